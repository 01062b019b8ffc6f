"""Prepared images as arrays, and the embeddings of images that no file holds: for methods that make pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Texts
from imgid_audit.vision import device as devices
from imgid_audit.vision.batching import Forward, first_batch_size, within_memory
from imgid_audit.vision.last_layer import Tap, linear_layer
from imgid_audit.vision.settings import PredictSettings
from imgid_audit.vision.sources import ImageSource, Rows, blocks
from imgid_audit.vision.treatment import Floats32
from imgid_audit.vision.weights import LoadedModel

_BLOCK = 64


def read_pictures(
    images: Texts, rows: Rows, root: Path, model: LoadedModel, settings: PredictSettings
) -> NDArray[np.uint8]:
    """The images of `rows` as the network sees them before normalisation, uint8 (n, channels, size, size).

    Raises `InputError` for an image that cannot be used.
    """
    device = devices.resolve_device(settings.device)
    threads = devices.auto_threads(device) if settings.workers == "auto" else settings.workers
    found: list[NDArray[np.uint8]] = []
    with ImageSource(images, root, model.transform.prepare, threads=threads) as source:
        for batch in source.batches(blocks(rows, _BLOCK)):
            if batch.failed:
                row, why = batch.failed[0]
                raise InputError(f"image {images[row]!r} cannot be used: {why}")
            assert batch.pixels is not None
            found.append(batch.pixels.numpy())
    return np.concatenate(found)


def embed_pictures(
    pictures: NDArray[np.uint8], model: LoadedModel, settings: PredictSettings, classes: int
) -> Floats32:
    """What enters the last layer of the network for each of `pictures` (m, channels, size, size), (m, d)."""
    device = devices.resolve_device(settings.device)
    forward, layer = Forward(model, settings, device), linear_layer(model.module, classes)
    values = np.empty((len(pictures), layer.in_features), dtype=np.float32)

    def work(size: int) -> None:
        for rows in blocks(np.arange(len(pictures)), size):
            forward(torch.from_numpy(pictures[rows]))
            assert tap.inputs is not None
            values[rows] = tap.inputs.float().cpu().numpy()

    with Tap(layer) as tap:
        within_memory(work, first_batch_size(settings, device, model.transform.size), device)
    return values
