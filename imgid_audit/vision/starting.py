"""What a training starts from: a network with fresh or given weights, and what it is fed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from imgid_audit.vision.metadata import read_metadata
from imgid_audit.vision.models import build_model, input_transform
from imgid_audit.vision.pretrained import pretrained_state, timm_transform
from imgid_audit.vision.reproducible import INIT, derive, reproducible
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.state import fit_state
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import LoadedModel, hash_state, load_state, stored_transform

DEFAULT = "DEFAULT"
"""`train.init` of the weights that torchvision or timm publish for an architecture."""


def transform_of(model_settings: ModelSettings, settings: TrainSettings) -> InputTransform:
    """What the network is fed: the settings, then what is stored in the file that it starts from, then what the
    published weights of its architecture ask for."""
    stored = None
    if settings.init not in (None, DEFAULT) and Path(settings.init).is_file():
        stored = stored_transform(read_metadata(Path(settings.init)), settings.init)
    if stored is None and settings.init is not None:
        stored = timm_transform(model_settings.architecture)
    return input_transform(model_settings, stored, pretrained=settings.init is not None)


def starting_model(model_settings: ModelSettings, settings: TrainSettings, classes: int) -> LoadedModel:
    """The network that a training starts from, as it is; a last layer that `train.init` lacks is drawn from the seed.

    Raises `InputError` as `train` does for `init`.
    """
    transform = transform_of(model_settings, settings)
    with reproducible(derive(settings.seed, INIT), torch.device("cpu")):
        model = initial_model(model_settings, settings, classes)
    return LoadedModel(model.eval(), transform, None, hash_state(model))


def initial_model(model_settings: ModelSettings, settings: TrainSettings, classes: int) -> nn.Module:
    """The same, drawn from torch's generator as it is."""
    model = build_model(model_settings, classes)
    if settings.init is not None:
        given = settings.init == DEFAULT
        state = pretrained_state(model_settings) if given else load_state(Path(settings.init))
        fit_state(model, state, f"[train > init] {settings.init}", classes, new_head=True)
    return model
