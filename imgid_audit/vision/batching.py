"""Batches that fit in memory, and the forward pass: shared by prediction and by embedding."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from imgid_audit.core.errors import StoppedError
from imgid_audit.vision import device as devices
from imgid_audit.vision.models import logits_of
from imgid_audit.vision.settings import PredictSettings
from imgid_audit.vision.weights import LoadedModel

T = TypeVar("T")


class Forward:
    """A network on its device, in its precision and memory layout, in eval mode."""

    def __init__(self, model: LoadedModel, settings: PredictSettings, device: torch.device) -> None:
        self.device = device
        self.dtype = devices.resolve_precision(settings.precision, device, training=False)
        self.transform = model.transform
        self.module = model.module.eval().to(device, memory_format=devices.memory_format(device))

    def __call__(self, pixels: torch.Tensor) -> torch.Tensor:
        """Logits on the device of uint8 pixels (m, channels, size, size)."""
        with torch.inference_mode(), devices.autocast(self.device, self.dtype):
            batch = self.transform.normalise(pixels.to(self.device, non_blocking=True))
            return logits_of(self.module(batch.to(memory_format=devices.memory_format(self.device))))


def first_batch_size(settings: PredictSettings, device: torch.device, size: int) -> int:
    """What the settings ask for, else a size by device and image side."""
    return devices.auto_batch_size(device, size) if settings.batch_size == "auto" else settings.batch_size


def within_memory(work: Callable[[int], T], batch_size: int, device: torch.device, doing: str = "") -> tuple[T, int]:
    """`work(batch_size)` and the size that it was done with: halved for as long as memory runs out.

    Raises `StoppedError` where a single image does not fit; `doing` says what was done with it.
    """
    while True:
        try:
            return work(batch_size), batch_size
        except Exception as error:
            if not devices.is_out_of_memory(error):
                raise
            batch_size = _halved(batch_size, error, doing)
        devices.free_memory(device)


def _halved(batch_size: int, error: Exception, doing: str) -> int:
    if batch_size == 1:
        what = f"out of memory {doing} with a single image" if doing else "out of memory with a single image"
        raise StoppedError(f"{what}: use a smaller model.input.size, or another device") from error
    return batch_size // 2
