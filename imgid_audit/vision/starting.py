"""What a training starts from: a network with fresh or given weights, and what it is fed."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.vision.metadata import WeightsMetadata, read_metadata
from imgid_audit.vision.models import build_model, input_transform, require_taken
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
        metadata = read_metadata(Path(settings.init))
        stored = stored_transform(metadata, _at(settings.init))
        if stored is not None:
            _require_channels(model_settings, metadata, stored, settings.init)
    if stored is None and settings.init is not None:
        stored = timm_transform(model_settings.architecture)
    return input_transform(model_settings, stored, pretrained=settings.init is not None)


def _require_channels(ours: ModelSettings, metadata: WeightsMetadata, stored: InputTransform, init: str) -> None:
    """A file of other channels does not fit, whatever else the config says of them; what a factory takes is its own."""
    if ":" in ours.architecture or stored.channels == ours.input.channels:
        return
    found = f"is of {metadata.architecture or 'a network'} with {_channels(stored.channels)}"
    wanted = f"the config asks for {ours.architecture} with {_channels(ours.input.channels)}"
    same = metadata.architecture in (None, ours.architecture)
    other = f"model.input.channels: {stored.channels}" if same else "another architecture"
    raise InputError(Problem(_at(init), f"{found}, and {wanted}: give another file, or {other}"))


def _channels(count: int) -> str:
    return f"{count} channel{'' if count == 1 else 's'}"


def _at(init: str) -> str:
    return f"[train > init] {init}"


def starting_model(model_settings: ModelSettings, settings: TrainSettings, classes: int) -> LoadedModel:
    """The network that a training starts from, as it is; a last layer that `train.init` lacks is drawn from the seed.

    Raises `InputError` as `train` does for `init`, and where the network cannot take its input.
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
        state = pretrained_state(model_settings) if given else _state(settings.init)
        fit_state(model, state, _at(settings.init), classes, new_head=True)
    require_taken(model, model_settings.architecture, transform_of(model_settings, settings), classes)
    return model


def _state(init: str) -> dict[str, torch.Tensor]:
    """The tensors of a starting point's file; every problem of it says what the file is for."""
    try:
        return load_state(Path(init))
    except InputError as error:
        raise InputError([Problem(_at(one.where), one.message) for one in error.problems]) from None
