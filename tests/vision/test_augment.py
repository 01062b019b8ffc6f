"""Augmentation: does what each setting says, never more, and repeats itself exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imgid_audit.vision import augment as module
from imgid_audit.vision.augment import augment, is_random, needs_original
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.transforms import InputTransform

PLAIN = InputTransform(32)
IMAGE = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8))


def changed(seed: int = 0, image: torch.Tensor = IMAGE, **settings: object) -> torch.Tensor:
    return augment(image, AugmentSettings(**settings), PLAIN, np.random.default_rng(seed))


def test_off_by_default() -> None:
    assert torch.equal(changed(), IMAGE)
    assert not is_random(AugmentSettings())


@pytest.mark.parametrize(("setting", "axis"), [("hflip", 2), ("vflip", 1)])
def test_flip_has_its_probability(setting: str, axis: int) -> None:
    assert torch.equal(changed(**{setting: 1.0}), IMAGE.flip(axis))
    flipped = sum(not torch.equal(changed(seed, **{setting: 0.3}), IMAGE) for seed in range(1000))
    assert abs(flipped - 300) < 60  # four standard deviations


def test_rotation_stays_within_its_degrees() -> None:
    dot = torch.zeros(3, 33, 33, dtype=torch.uint8)
    dot[:, 16, 30] = 255  # 14 pixels right of the centre
    for seed in range(50):
        turned = changed(seed, dot, rotation=30.0)[0].float()
        y, x = (int(i) for i in np.unravel_index(int(turned.argmax()), turned.shape))
        assert abs(np.degrees(np.arctan2(16 - y, x - 16))) <= 30 + 4  # a pixel is 4 degrees here


def test_colour_keeps_shape_and_moves_brightness_both_ways() -> None:
    means = [float(changed(seed, colour=0.3).float().mean()) for seed in range(60)]
    mean = float(IMAGE.float().mean())
    assert min(means) < mean < max(means)
    assert 0.6 * mean < min(means)
    assert max(means) < 1.4 * mean


def test_random_crop_takes_a_part_of_the_original() -> None:
    """On a ramp the crop's range of values says how wide it was."""
    ramp = torch.arange(200, dtype=torch.uint8).repeat(3, 100, 1)
    assert needs_original(AugmentSettings(crop=0.25))
    widths, starts = [], []
    for seed in range(200):
        part = changed(seed, ramp, crop=0.25)
        assert part.shape == (3, 32, 32)
        widths.append(int(part.max()) - int(part.min()))
        starts.append(int(part.min()))
    assert min(widths) > 50
    assert max(widths) < 200
    assert len(set(starts)) > 50


@pytest.mark.parametrize("operation", range(len(module._OPERATIONS)))
@pytest.mark.parametrize("magnitude", [-0.3, 0.3])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_randaugment_operation_gives_an_image(operation: int, magnitude: float, channels: int) -> None:
    image = IMAGE[:channels]
    out = module._OPERATIONS[operation](image, magnitude)
    assert out.shape == image.shape
    assert out.dtype == torch.uint8


def test_same_generator_same_pixels_whatever_was_drawn_elsewhere() -> None:
    settings = {"hflip": 0.5, "rotation": 20.0, "colour": 0.2, "randaugment": 3, "crop": 0.5}
    first = changed(7, **settings)
    torch.rand(10)
    np.random.default_rng().random()
    assert torch.equal(changed(7, **settings), first)
    assert not torch.equal(changed(8, **settings), first)
