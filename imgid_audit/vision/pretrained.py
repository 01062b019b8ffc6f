"""Published weights of an architecture, torchvision's or timm's, and the input that they ask for."""

from __future__ import annotations

import math
from typing import Any

import torch

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.vision.models import TIMM, default_weights, require_timm
from imgid_audit.vision.settings import ModelSettings
from imgid_audit.vision.transforms import InputTransform

WHERE = "[train > init]"


def pretrained_state(settings: ModelSettings) -> dict[str, torch.Tensor]:
    """The weights that torchvision or timm publish for an architecture: fetched once, then cached by them.

    torchvision's are checked against the hash in their file's name. Raises `InputError` where there are none or
    they cannot be fetched.
    """
    if settings.architecture.startswith(TIMM):
        return _timm_state(settings)
    architecture = settings.architecture
    weights = default_weights(architecture)
    if weights is None:
        raise InputError(Problem(WHERE, f"there are no DEFAULT weights of {architecture!r}: give a file, or null"))
    try:
        return dict(weights.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise _not_fetched("torchvision", architecture, error) from None


def timm_transform(architecture: str) -> InputTransform | None:
    """What timm's published weights of ``timm/NAME`` are fed; None where it is another's, or has none."""
    if not architecture.startswith(TIMM):
        return None
    name = architecture.removeprefix(TIMM)
    timm = require_timm(name)
    if not timm.is_model_pretrained(name):
        return None
    asked: dict[str, Any] = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    size = int(asked["input_size"][-1])
    whole = asked["crop_mode"] == "squash"  # the whole image, its sides' ratio lost
    return InputTransform(
        size=size,
        resize=None if whole else math.floor(size / asked["crop_pct"]),
        mean=tuple(map(float, asked["mean"])),
        std=tuple(map(float, asked["std"])),
        interpolation=asked["interpolation"],
    )


def _timm_state(settings: ModelSettings) -> dict[str, torch.Tensor]:
    name = settings.architecture.removeprefix(TIMM)
    timm = require_timm(name)
    if not timm.is_model_pretrained(name):
        raise InputError(Problem(WHERE, f"timm has no pretrained weights of {name!r}: give a file, or null"))
    try:  # as timm adapts them to the number of channels; the last layer has timm's classes
        return dict(timm.create_model(name, pretrained=True, in_chans=settings.input.channels).state_dict())
    except Exception as error:  # its hub's client raises errors of several libraries
        raise _not_fetched("timm", settings.architecture, error) from None


def _not_fetched(whose: str, architecture: str, error: Exception) -> InputError:
    first = next(iter(str(error).splitlines()), type(error).__name__)
    message = f"cannot fetch {whose}'s weights of {architecture!r} ({first}): without a network, give a file, or null"
    return InputError(Problem(WHERE, message))
