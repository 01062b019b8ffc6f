"""Pictures that no file holds: read as the network sees them, embedded as files are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imgid_audit.core.errors import InputError
from imgid_audit.vision.models import SmallCNN
from imgid_audit.vision.pictures import embed_pictures, read_pictures
from imgid_audit.vision.settings import InputSettings, PredictSettings
from imgid_audit.vision.transforms import resolve_input
from imgid_audit.vision.weights import LoadedModel

SETTINGS = PredictSettings(device="cpu", batch_size=3, workers=2)


@pytest.fixture
def model() -> LoadedModel:
    torch.manual_seed(0)
    transform = resolve_input(InputSettings(size=16, mean="imagenet", std="imagenet"), None, 16)
    return LoadedModel(SmallCNN(3, 2).eval(), transform, None, "")


def test_pictures_are_read_in_order_and_embedded_as_by_the_network_itself(tmp_path: Path, model: LoadedModel) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, size=(8, 16, 16, 3)).astype(np.uint8)
    names = np.array([f"{number}.png" for number in range(8)], dtype=object)
    for name, image in zip(names, pixels, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    rows = np.array([0, 2, 3, 5, 7])
    read = read_pictures(names, rows, tmp_path, model, SETTINGS)
    assert np.array_equal(read, pixels[rows].transpose(0, 3, 1, 2))
    mean, std = (torch.tensor(part).view(3, 1, 1) for part in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.inference_mode():
        expected = torch.nn.Sequential(*list(model.module)[:-1])((torch.from_numpy(read) / 255 - mean) / std)
    found = embed_pictures(read, model, SETTINGS, 2)
    assert found.dtype == np.float32
    assert np.allclose(found, expected.numpy(), atol=1e-5)


def test_an_image_that_cannot_be_read_is_named(tmp_path: Path, model: LoadedModel) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"image 'broken\.png' cannot be used"):
        read_pictures(np.array(["broken.png"], dtype=object), np.array([0]), tmp_path, model, SETTINGS)
