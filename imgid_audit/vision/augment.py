"""Random changes of training images on torchvision's v2 kernels, reproducible whatever the threads.

torchvision's own random transforms draw from one global generator, whose order depends on threads;
here every draw comes from a generator made of (seed, epoch, row).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torchvision.transforms.v2.functional as tv
from torchvision.transforms.v2 import InterpolationMode

from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.transforms import InputTransform

_MAGNITUDE = 9 / 30  # RandAugment's usual magnitude 9 on its scale of 30
_ASPECT = (3 / 4, 4 / 3)  # of random resized crops, as in Inception's and torchvision's


def needs_original(settings: AugmentSettings) -> bool:
    """Whether the random part starts from the image at its own size (a crop of it is resized)."""
    return settings.crop < 1


def is_random(settings: AugmentSettings) -> bool:
    return settings != AugmentSettings()


def augment(
    image: torch.Tensor, settings: AugmentSettings, transform: InputTransform, rng: np.random.Generator
) -> torch.Tensor:
    """uint8 (c, H, W) to uint8 (channels, size, size).

    With `needs_original` the image has any size, else `transform.prepare` was applied. The steps in
    order: crop, horizontal and vertical flip, rotation, brightness and contrast, RandAugment.
    """
    if needs_original(settings):
        image = transform.with_channels(_random_crop(image, settings.crop, transform, rng))
    if rng.random() < settings.hflip:
        image = tv.horizontal_flip(image)
    if rng.random() < settings.vflip:
        image = tv.vertical_flip(image)
    if settings.rotation:
        angle = rng.uniform(-settings.rotation, settings.rotation)
        image = tv.rotate(image, angle, interpolation=InterpolationMode.BILINEAR)
    if settings.colour:
        image = tv.adjust_brightness(image, rng.uniform(1 - settings.colour, 1 + settings.colour))
        image = tv.adjust_contrast(image, rng.uniform(1 - settings.colour, 1 + settings.colour))
    for operation in rng.choice(len(_OPERATIONS), size=settings.randaugment):
        image = _OPERATIONS[operation](image, _MAGNITUDE * rng.choice((-1.0, 1.0)))
    return image.contiguous()


def _random_crop(
    image: torch.Tensor, smallest: float, transform: InputTransform, rng: np.random.Generator
) -> torch.Tensor:
    """A part of `smallest` to all of the area, of aspect 3/4 to 4/3 where it fits, resized (Szegedy et al. 2015)."""
    height, width = image.shape[-2:]
    area = height * width * rng.uniform(smallest, 1)
    aspect = np.exp(rng.uniform(*np.log(_ASPECT)))
    w = int(np.clip(round(np.sqrt(area * aspect)), 1, width))
    h = int(np.clip(round(np.sqrt(area / aspect)), 1, height))
    top = int(rng.integers(0, height - h + 1))
    left = int(rng.integers(0, width - w + 1))
    mode = InterpolationMode(transform.interpolation)
    return tv.resized_crop(image, top, left, h, w, [transform.size] * 2, interpolation=mode, antialias=True)


def _affine(image: torch.Tensor, *, x: float = 0, y: float = 0, shear: tuple[float, float] = (0, 0)) -> torch.Tensor:
    return tv.affine(
        image,
        angle=0,
        translate=[x, y],
        scale=1,
        shear=list(shear),
        interpolation=InterpolationMode.BILINEAR,
    )


# The space of RandAugment (Cubuk et al. 2020) at signed magnitude m in [-1, 1].
_OPERATIONS: tuple[Callable[[torch.Tensor, float], torch.Tensor], ...] = (
    lambda image, m: image,  # noqa: ARG005
    lambda image, m: _affine(image, shear=(float(np.degrees(np.arctan(0.3 * m))), 0)),
    lambda image, m: _affine(image, shear=(0, float(np.degrees(np.arctan(0.3 * m))))),
    lambda image, m: _affine(image, x=m * image.shape[-1] * 150 / 331),
    lambda image, m: _affine(image, y=m * image.shape[-2] * 150 / 331),
    lambda image, m: tv.rotate(image, 30 * m, interpolation=InterpolationMode.BILINEAR),
    lambda image, m: tv.adjust_brightness(image, 1 + 0.9 * m),
    lambda image, m: tv.adjust_saturation(image, 1 + 0.9 * m),
    lambda image, m: tv.adjust_contrast(image, 1 + 0.9 * m),
    lambda image, m: tv.adjust_sharpness(image, 1 + 0.9 * m),
    lambda image, m: tv.posterize(image, 8 - round(4 * abs(m))),
    lambda image, m: tv.solarize(image, 255 * (1 - abs(m))),
    lambda image, m: tv.autocontrast(image),  # noqa: ARG005
    lambda image, m: tv.equalize(image),  # noqa: ARG005
)
