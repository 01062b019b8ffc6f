"""What happens between decoded pixels and a network's input, the same for training and prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torchvision.transforms.v2.functional as tv
from torchvision.transforms.v2 import InterpolationMode

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.vision.images import DECODER, UndecodableError
from imgid_audit.vision.settings import InputSettings, Normalisation

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

_LONGEST = 100  # sides' ratio: beyond it a resized shorter side makes the other one enormous


@dataclass(frozen=True, slots=True)
class InputTransform:
    """Pixels of any size to a network's input of shape (channels, size, size).

    - `resize` None: the whole image becomes size x size; else its shorter side becomes `resize`
      pixels and the central size x size part is taken, as torchvision's pretrained weights ask
    - `mean`, `std`: one number a channel, in units of full scale (0 to 1)

    Resizing is antialiased and stays in 8 bits: within one level of Pillow.
    """

    size: int
    resize: int | None = None
    channels: int = 3
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (1.0, 1.0, 1.0)
    interpolation: str = "bilinear"

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (1 or 3, H, W) to uint8 (channels, size, size)."""
        return self.with_channels(self.fit(image))

    def fit(self, image: torch.Tensor) -> torch.Tensor:
        """uint8 (c, H, W) to uint8 (c, size, size): resized, and cropped where `resize` says so."""
        height, width = image.shape[-2:]
        if self.resize is not None and max(height, width) > _LONGEST * min(height, width):
            raise UndecodableError(f"{width}x{height} is too long and narrow to resize its shorter side")
        mode = InterpolationMode(self.interpolation)
        target = [self.size, self.size] if self.resize is None else [self.resize]
        if self.resize is not None or list(image.shape[-2:]) != target:
            image = tv.resize(image, target, interpolation=mode, antialias=True)
        return image if self.resize is None else tv.center_crop(image, [self.size, self.size])

    def with_channels(self, image: torch.Tensor) -> torch.Tensor:
        """Grey is repeated for three channels; colour becomes luma (ITU-R BT.601) for one."""
        if image.shape[0] == self.channels:
            return image
        return image.expand(3, -1, -1) if self.channels == 3 else tv.rgb_to_grayscale(image, num_output_channels=1)

    def normalise(self, batch: torch.Tensor) -> torch.Tensor:
        """uint8 (n, channels, size, size), on its device, to float32 network input."""
        mean = torch.tensor(self.mean, device=batch.device).view(1, -1, 1, 1)
        std = torch.tensor(self.std, device=batch.device).view(1, -1, 1, 1)
        return (batch.float() / 255 - mean) / std

    def describe(self) -> dict[str, Any]:
        """Plain JSON: goes into the weights' metadata, provenance and the key of predictions."""
        described = asdict(self)
        return {**described, "mean": list(self.mean), "std": list(self.std), "decoder": DECODER}


def from_description(text: Mapping[str, Any]) -> InputTransform:
    """The transform that `describe` wrote. KeyError or TypeError where it is something else."""
    return InputTransform(
        size=int(text["size"]),
        resize=None if text["resize"] is None else int(text["resize"]),
        channels=int(text["channels"]),
        mean=tuple(float(value) for value in text["mean"]),
        std=tuple(float(value) for value in text["std"]),
        interpolation=str(text["interpolation"]),
    )


def from_weights_preset(preset: Any) -> InputTransform:
    """The transform of torchvision's pretrained weights (a `ImageClassification` preset)."""
    return InputTransform(
        size=preset.crop_size[0],
        resize=preset.resize_size[0],
        mean=tuple(preset.mean),
        std=tuple(preset.std),
        interpolation=preset.interpolation.value,
    )


def resolve_input(settings: InputSettings, base: InputTransform | None, default_size: int) -> InputTransform:
    """The transform that the settings ask for; parts that they leave out come from `base`.

    An explicit `size` means the whole image at that size. Without `base` (no pretrained weights),
    `default_size` and no normalisation. Raises `InputError` where mean or std do not fit the
    channels.
    """
    channels = settings.channels
    if base is None:
        base = InputTransform(default_size, None, channels, (0.0,) * channels, (1.0,) * channels)
    elif base.channels != channels and "channels" not in settings.model_fields_set:
        channels = base.channels
    mean = _normalisation("mean", settings.mean, IMAGENET_MEAN, base.mean, channels)
    std = _normalisation("std", settings.std, IMAGENET_STD, base.std, channels)
    if any(value <= 0 for value in std):
        raise InputError(Problem("[model > input > std]", f"must be greater than 0, got {list(std)}"))
    size, resize = (base.size, base.resize) if settings.size is None else (settings.size, None)
    return InputTransform(size, resize, channels, mean, std, base.interpolation)


def _normalisation(
    name: str, given: Normalisation, imagenet: tuple[float, ...], base: tuple[float, ...], channels: int
) -> tuple[float, ...]:
    values = imagenet if given == "imagenet" else base if given is None else tuple(given)
    if len(values) == 3 and channels == 1 and given in ("imagenet", None):
        return (sum(values) / 3,)
    if len(values) == 1:
        values = values * channels
    if len(values) != channels:
        needs = f"needs {channels} number{'' if channels == 1 else 's'}, one a channel"
        raise InputError(Problem(f"[model > input > {name}]", f"{needs}, got {len(values)}"))
    return values
