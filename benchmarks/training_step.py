"""What both benchmarks of training compare: an epoch of ours, and of a bare PyTorch loop on the same pixels.

Both have the same network, rows, loader with its cache filled, order, optimiser, schedule and precision. Ours counts
besides: losses and accuracy by class and by level of two attributes, finite losses, and progress.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from PIL import Image
from torch import nn

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.progress import SILENT
from imgid_audit.core.task import Task
from imgid_audit.vision import device as devices
from imgid_audit.vision.checkpoint import History
from imgid_audit.vision.job import Job
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.models import build_model, logits_of
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.sources import ImageSource, blocks
from imgid_audit.vision.transforms import InputTransform

LABELS = ("a", "b", "c", "d")


@dataclass(frozen=True)
class Case:
    """One comparison: `architecture` at `side` pixels in batches of `batch`; `settings` of `train` besides."""

    name: str
    architecture: str
    side: int
    batch: int
    images: int
    settings: dict[str, object]


def world(folder: Path, images: int, side: int) -> Manifest:
    """Images of noise, all to train on, with two attributes."""
    rng = np.random.default_rng(0)
    names = np.array([f"{number:05d}.png" for number in range(images)], dtype=object)
    for name in names:
        Image.fromarray(rng.integers(0, 255, (side, side, 3), dtype=np.uint8)).save(folder / name, compress_level=1)
    attributes = tuple(
        Factor(name, tuple("xyz"[:levels]), rng.integers(0, levels, images).astype(np.int32))
        for name, levels in (("device", 2), ("site", 3))
    )
    return Manifest(
        names, Factor("label", LABELS, rng.integers(0, len(LABELS), images).astype(np.int32)),
        Factor("split", SPLITS, np.full(images, SPLITS.index("train"), dtype=np.int32)), attributes, None, names,
        np.full(images, Status.PENDING, dtype=np.int8), np.full(images, "", dtype=object),
    )  # fmt: skip


@contextmanager
def epochs_of(case: Case, device: torch.device) -> Iterator[tuple[Callable[[int], None], Callable[[int], None]]]:
    """`(ours, bare)`, each a function that trains its own network for one epoch (from 1)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = world(folder, case.images, case.side)
        model = ModelSettings(architecture=case.architecture, input=InputSettings(size=case.side))
        given = {"epochs": 1000, "batch_size": case.batch, **case.settings}
        settings = TrainSettings.model_validate(given)
        transform = InputTransform(case.side)
        job = Job(
            manifest, Task("multiclass", LABELS), folder, model, settings, folder, transform, device, None, (), None,
            SILENT, lambda: False,
        )  # fmt: skip
        assert manifest.images is not None
        with ImageSource(manifest.images, folder, transform.prepare, threads=0, cache_bytes=1 << 30) as source:
            for _ in source.batches(blocks(np.arange(case.images), case.batch)):
                pass  # fill the cache
            loop, history = Loop(job, build_model(model, len(LABELS))), History()
            bare = Bare(build_model(model, len(LABELS)), settings, transform, device, manifest.label.codes)
            yield (
                lambda epoch: _ours(loop, epoch, source, history),
                lambda epoch: bare.epoch(epoch, source, case.images),
            )


def _ours(loop: Loop, epoch: int, source: ImageSource, history: History) -> None:
    loop.train_epoch(epoch, source, history)


class Bare:
    """The loop that one would write by hand."""

    def __init__(
        self, model: nn.Module, settings: TrainSettings, transform: InputTransform, device: torch.device,
        labels: np.ndarray,
    ) -> None:  # fmt: skip
        self.layout = devices.memory_format(device)
        self.model = model.to(device, memory_format=self.layout).train()
        self.run = torch.compile(self.model) if settings.compile == "always" else self.model
        self.settings, self.transform, self.device = settings, transform, device
        self.dtype = devices.resolve_precision(settings.precision, device, training=True)
        self.labels = torch.from_numpy(labels.astype(np.int64))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay)
        self.schedule = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, 1000)

    def epoch(self, number: int, source: ImageSource, images: int) -> float:
        order = np.random.default_rng(number).permutation(images)
        total = 0.0
        for batch in source.batches(blocks(order, self.settings.batch_size)):
            assert batch.pixels is not None
            self.optimizer.zero_grad(set_to_none=True)
            label = self.labels[torch.from_numpy(batch.rows)].to(self.device, non_blocking=True)
            with devices.autocast(self.device, self.dtype):
                pixels = self.transform.normalise(batch.pixels.to(self.device, non_blocking=True))
                logits = logits_of(self.run(pixels.contiguous(memory_format=self.layout)))
                loss = nn.functional.cross_entropy(logits.float(), label)
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.schedule.step()
        return total


@dataclass(frozen=True)
class Timed:
    """Median seconds of an epoch of either, and the median of the ratios of neighbouring ones."""

    ours: float
    bare: float
    ratio: float


def timed(case: Case, device: torch.device, repeats: int, wait: Callable[[], None] = lambda: None) -> Timed:
    """Epochs of both in turn, so that what else the machine does falls on both; `wait` until the device is done."""
    with epochs_of(case, device) as (ours, bare):
        seconds: list[tuple[float, float]] = []
        for number in range(1, repeats + 3):
            pair = []
            for work in (ours, bare) if number % 2 else (bare, ours):
                start = perf_counter()
                work(number)
                wait()
                pair.append(perf_counter() - start)
            seconds.append((pair[0], pair[1]) if number % 2 else (pair[1], pair[0]))
    seconds = seconds[2:]  # the first epochs choose kernels, and compile
    return Timed(median(a for a, _ in seconds), median(b for _, b in seconds), median(a / b for a, b in seconds))
