"""The input transform against torchvision's own presets and Pillow, and what settings do to it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.models import Inception_V3_Weights, ResNet18_Weights, ViT_B_16_Weights, get_model_weights

from imgid_audit.core.errors import InputError
from imgid_audit.vision.images import UndecodableError
from imgid_audit.vision.models import input_transform
from imgid_audit.vision.settings import InputSettings, ModelSettings
from imgid_audit.vision.transforms import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    InputTransform,
    from_description,
    from_weights_preset,
)


def smooth(channels: int, height: int, width: int) -> torch.Tensor:
    rng = np.random.default_rng(1)
    coarse = Image.fromarray(rng.integers(0, 256, (6, 9, 3), dtype=np.uint8))
    pixels = np.array(coarse.resize((width, height), Image.Resampling.BICUBIC))
    return torch.from_numpy(pixels).permute(2, 0, 1)[:channels].contiguous()


@pytest.mark.parametrize("weights", [ResNet18_Weights.DEFAULT, Inception_V3_Weights.DEFAULT, ViT_B_16_Weights.DEFAULT])
@pytest.mark.parametrize("shape", [(3, 300, 400), (3, 500, 260), (3, 40, 30)])
def test_pretrained_preset_is_torchvisions(weights: object, shape: tuple[int, int, int]) -> None:
    preset = weights.transforms()  # type: ignore[attr-defined]
    image = smooth(*shape)
    transform = from_weights_preset(preset)
    ours = transform.normalise(transform.prepare(image)[None])[0]
    theirs = preset(Image.fromarray(image.permute(1, 2, 0).numpy()))  # as it is used: on a Pillow image
    one_level = 1 / 255 / min(preset.std)
    assert ours.shape == theirs.shape
    assert float((ours - theirs).abs().max()) <= one_level + 1e-5


def test_every_torchvision_preset_is_understood() -> None:
    names = ("swin_t", "efficientnet_v2_s", "regnet_y_400mf", "maxvit_t", "convnext_tiny", "mobilenet_v3_small")
    for name in names:
        preset = get_model_weights(name).DEFAULT.transforms()
        transform = from_weights_preset(preset)
        assert (transform.size, transform.resize) == (preset.crop_size[0], preset.resize_size[0])


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shape", [(100, 170), (64, 64), (20, 30), (7, 300)])
def test_resize_is_pillows_within_one_level(channels: int, shape: tuple[int, int]) -> None:
    image = smooth(channels, *shape)
    ours = InputTransform(64, channels=channels).prepare(image)
    array = image[0].numpy() if channels == 1 else image.permute(1, 2, 0).numpy()
    pillow = np.asarray(Image.fromarray(array).resize((64, 64), Image.Resampling.BILINEAR)).reshape(64, 64, channels)
    assert np.abs(ours.permute(1, 2, 0).numpy().astype(int) - pillow).max() <= 1


def test_channels() -> None:
    colour, grey = smooth(3, 20, 20), smooth(1, 20, 20)
    assert torch.equal(InputTransform(20).prepare(grey), grey.repeat(3, 1, 1))
    one = InputTransform(20, channels=1, mean=(0.0,), std=(1.0,))
    luma = np.asarray(Image.fromarray(colour.permute(1, 2, 0).numpy()).convert("L"))
    assert np.abs(one.prepare(colour)[0].numpy().astype(int) - luma).max() <= 1
    assert torch.equal(one.prepare(grey), grey)


def test_normalise_is_the_textbook() -> None:
    batch = torch.tensor([0, 51, 255], dtype=torch.uint8).view(1, 3, 1, 1)
    transform = InputTransform(1, mean=(0.5, 0.1, 0.0), std=(0.5, 0.2, 2.0))
    assert torch.allclose(transform.normalise(batch).ravel(), torch.tensor([-1.0, 0.5, 0.5]))


def test_a_sliver_is_refused_and_not_made_enormous() -> None:
    with pytest.raises(UndecodableError, match="50000x1 is too long and narrow"):
        InputTransform(224, resize=256).prepare(torch.zeros(3, 1, 50_000, dtype=torch.uint8))


def test_description_is_json_and_comes_back() -> None:
    transform = from_weights_preset(ResNet18_Weights.DEFAULT.transforms())
    text = json.loads(json.dumps(transform.describe()))
    assert from_description(text) == transform
    assert set(text) == {"size", "resize", "channels", "mean", "std", "interpolation", "decoder"}


def resolved(architecture: str = "resnet18", pretrained: bool = False, **settings: object) -> InputTransform:
    given = ModelSettings(architecture=architecture, input=InputSettings(**settings))
    return input_transform(given, None, pretrained=pretrained)


def test_settings_over_stored_over_preset_over_plain() -> None:
    preset = from_weights_preset(ResNet18_Weights.DEFAULT.transforms())
    assert resolved(pretrained=True) == preset
    assert resolved() == InputTransform(224)
    assert resolved("smallcnn") == InputTransform(64)
    assert resolved("pkg.mod:factory", pretrained=True) == InputTransform(224)
    sized = resolved(pretrained=True, size=96)
    assert (sized.size, sized.resize, sized.mean) == (96, None, preset.mean)
    assert resolved(size=224, mean="imagenet", std="imagenet") == InputTransform(
        224, None, 3, IMAGENET_MEAN, IMAGENET_STD
    )
    stored = InputTransform(48, None, 1, (0.3,), (0.4,))
    settings = ModelSettings(architecture="smallcnn")
    assert input_transform(settings, stored, pretrained=True) == stored


def test_grey_input_of_preset_and_single_numbers() -> None:
    assert resolved("smallcnn", channels=1, mean=(0.2,), std=(0.4,)).mean == (0.2,)
    assert resolved("smallcnn", mean=(0.2,), std=(0.4,)).std == (0.4, 0.4, 0.4)
    assert resolved("smallcnn", channels=1, mean="imagenet").mean == pytest.approx((sum(IMAGENET_MEAN) / 3,))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": (0.1, 0.2)}, r"\[model > input > mean\] needs 3 numbers, one a channel, got 2"),
        ({"std": (0.1, 0.0, 0.2)}, r"\[model > input > std\] must be greater than 0"),
        ({"channels": 1, "mean": (0.1, 0.2, 0.3)}, "needs 1 numbers?"),
    ],
)
def test_normalisation_that_does_not_fit(settings: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved("smallcnn", **settings)
