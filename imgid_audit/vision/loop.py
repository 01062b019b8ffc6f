"""One epoch of training, one pass of validation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from imgid_audit.core.errors import StoppedError
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.progress import Progress
from imgid_audit.core.task import Task
from imgid_audit.vision import device as devices
from imgid_audit.vision.augment import augment, is_random
from imgid_audit.vision.checkpoint import History
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.meters import Meters
from imgid_audit.vision.mix import Drawn, draw, mixed_images
from imgid_audit.vision.models import logits_of
from imgid_audit.vision.objective import Objective, material_of
from imgid_audit.vision.reproducible import derive, seed_all
from imgid_audit.vision.settings import AugmentSettings, ModelSettings, TrainSettings
from imgid_audit.vision.sources import Batch, Finish, ImageSource, Rows, blocks
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.treatment import PLAIN, Resample, Treatment, decay_of

INIT, EPOCH, ORDER, RESAMPLE, AUGMENT, MIX = range(6)
"""What seeds are derived for."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a training is given and that does not change."""

    manifest: Manifest
    task: Task
    root: Path
    model_settings: ModelSettings
    settings: TrainSettings
    folder: Path
    transform: InputTransform
    device: torch.device
    groups: NDArray[np.int64] | None
    group_names: tuple[str, ...]
    resample: Resample | None
    progress: Progress
    stop: Callable[[], bool]
    treatment: Treatment = PLAIN
    keep_average: bool = False

    @property
    def augment(self) -> AugmentSettings:
        """Random changes of training images: the treatment's, else those of the settings."""
        return self.settings.augment if self.treatment.augment is None else self.treatment.augment


class Loop:
    """The network and its optimiser, and what is done with them to batches."""

    def __init__(self, job: Job, model: nn.Module) -> None:
        self.job = job
        self.layout = devices.memory_format(job.device)
        self.dtype = devices.resolve_precision(job.settings.precision, job.device, training=True)
        self.model = model.to(job.device, memory_format=self.layout)
        decay = decay_of(job.treatment, job.settings.weight_decay)
        self.optimizer = make_optimizer(self.model, job.settings.model_copy(update={"weight_decay": decay}))
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=self.dtype == torch.float16)
        self.train_rows, self.val_rows = job.manifest.rows("train"), job.manifest.rows("val")
        self.groups = None if job.groups is None else torch.from_numpy(job.groups)
        groups = None if job.groups is None else job.groups[self.train_rows]
        labels = job.manifest.label.codes[self.train_rows]
        material = material_of(labels, groups, len(job.task.labels), len(job.group_names))
        self.objective = Objective(job.treatment, material, self.model, job.settings.epochs)
        self.turn = (0, 0)

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        return parts if self.objective.plain else {**parts, "loss": self.objective.loss}

    def finished(self) -> contextlib.AbstractContextManager[None]:
        """The network as it predicts: for validation, and for the weights that are kept."""
        return self.objective.finished()

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def train_epoch(self, epoch: int, source: ImageSource, history: History) -> Meters:
        """Epoch `epoch` (from 1): every (resampled) training row once, in random order."""
        job, settings = self.job, self.job.settings
        seed_all(derive(settings.seed, EPOCH, epoch))
        plan = self._plan(epoch)
        rows = sum(map(len, plan))
        meters = Meters(len(job.task.labels))
        self.model.train()
        for number, batch in enumerate(source.batches(plan, self._finish(epoch))):
            if job.stop():
                raise StoppedError(
                    f"training stopped in epoch {epoch} of {settings.epochs}: the same command continues"
                )
            self._set_lr((epoch - 1 + number / len(plan)) / settings.epochs)
            history.undecodable.update(batch.failed)
            if batch.pixels is None or (len(batch.rows) == 1 < settings.batch_size):
                continue  # batch norm has no statistics of a single image
            self.turn = (epoch, number)
            loss = self._step(batch, meters)
            if not math.isfinite(loss):
                raise DivergedError(f"training loss became {loss} in epoch {epoch}, batch {number + 1}")
            history.images_seen += len(batch.rows)
            done = (epoch - 1) * rows + min((number + 1) * settings.batch_size, rows)
            job.progress.update(done, settings.epochs * rows, self._remark(epoch, loss, history))
        return meters

    def validate(self, source: ImageSource, history: History) -> Meters:
        """Loss, accuracy, and accuracy by class and group on the validation rows."""
        job = self.job
        meters = Meters(len(job.task.labels), len(job.group_names))
        size = devices.auto_batch_size(job.device, job.transform.size)
        self.model.eval()
        with torch.inference_mode():
            for batch in source.batches(blocks(self.val_rows, size)):
                history.undecodable.update(batch.failed)
                if batch.pixels is None:
                    continue
                label = self._labels(batch)
                logits = self._logits(batch.pixels).cpu()
                losses = nn.functional.cross_entropy(logits, label, reduction="none")
                group = None if self.groups is None else self.groups[torch.from_numpy(batch.rows)]
                meters.update(logits.argmax(dim=1), label, group, losses)
        return meters

    def finite(self) -> bool:
        """Whether all weights are finite numbers."""
        return all(bool(torch.isfinite(value).all()) for value in self.model.state_dict().values())

    def _step(self, batch: Batch, meters: Meters) -> float:
        assert batch.pixels is not None
        label = self._labels(batch)
        pixels, drawn = self._mixed(batch.pixels)
        self.optimizer.zero_grad(set_to_none=True)
        logits = self._logits(pixels)
        group = None if self.groups is None else self.groups[torch.from_numpy(batch.rows)].to(logits.device)
        label_there = label.to(logits.device, non_blocking=True)
        losses, plain = self.objective(logits, label_there, group, self.turn[0], drawn)
        mean = losses.mean()
        self.scaler.scale(mean).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if drawn is not None and drawn.share < 0.5:
            label = label.roll(1, 0)  # a mixed image counts as right where its larger part is recognised
        meters.update(logits.detach().argmax(dim=1).cpu(), label, loss=plain.cpu())
        return float(mean.detach())

    def _mixed(self, pixels: torch.Tensor) -> tuple[torch.Tensor, Drawn | None]:
        """The batch as the treatment mixes it, and how."""
        mix = self.job.treatment.mix
        if mix is None:
            return pixels, None
        rng = np.random.default_rng((derive(self.job.settings.seed, MIX), *self.turn))
        drawn = draw(mix, pixels.shape[-2], pixels.shape[-1], rng)
        on_device = pixels.to(self.job.device, non_blocking=True)
        return mixed_images(on_device if drawn.box is not None else on_device.float(), drawn), drawn

    def _logits(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 logits (m, classes) on the device."""
        device = self.job.device
        with devices.autocast(device, self.dtype):
            batch = self.job.transform.normalise(pixels.to(device, non_blocking=True))
            return logits_of(self.model(batch.contiguous(memory_format=self.layout))).float()

    def _labels(self, batch: Batch) -> torch.Tensor:
        return torch.from_numpy(self.job.manifest.label.codes[batch.rows].astype(np.int64))

    def _plan(self, epoch: int) -> list[Rows]:
        settings = self.job.settings
        rows = self.train_rows
        resample = self.job.treatment.rows or self.job.resample
        if resample is not None:
            groups = None if self.job.groups is None else self.job.groups[rows]
            seed = derive(settings.seed, RESAMPLE, epoch) % 2**32
            rows = rows[resample(self.job.manifest.label.codes[rows], groups, seed)]
        order = np.random.default_rng(derive(settings.seed, ORDER, epoch)).permutation(len(rows))
        plan = blocks(rows[order], settings.batch_size)
        if len(plan) > 1 and len(plan[-1]) == 1:
            plan[-2:] = [np.concatenate(plan[-2:])]
        return plan

    def _finish(self, epoch: int) -> Finish | None:
        job = self.job
        if not is_random(job.augment):
            return None

        def finish(image: torch.Tensor, row: int) -> torch.Tensor:
            rng = np.random.default_rng((job.settings.seed, AUGMENT, epoch, row))
            return augment(image, job.augment, job.transform, rng)

        return finish

    def _set_lr(self, fraction: float) -> None:
        """Cosine from `lr` to 0 over the whole training (Loshchilov and Hutter 2017)."""
        settings = self.job.settings
        scale = 0.5 * (1 + math.cos(math.pi * fraction)) if settings.schedule == "cosine" else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = settings.lr * scale

    def _remark(self, epoch: int, loss: float, history: History) -> str:
        last = history.epochs[-1] if history.epochs else None
        known = (
            "" if last is None or last.criterion is None else f", val {self.job.settings.select} {last.criterion:.3f}"
        )
        return f"epoch {epoch}/{self.job.settings.epochs}, loss {loss:.3f}{known}"


def make_optimizer(model: nn.Module, settings: TrainSettings) -> torch.optim.Optimizer:
    """AdamW, Adam, or SGD with Nesterov momentum 0.9."""
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay
        )
    kind = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
    return kind(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
