"""One epoch of training, one pass of validation."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import nn

from imgid_audit.core.errors import StoppedError
from imgid_audit.vision import device as devices
from imgid_audit.vision.accumulate import Gradients, Lot, Parts, Passed, buffers_back
from imgid_audit.vision.augment import augment, is_random
from imgid_audit.vision.averaging import Averaging, fresh_statistics, plain_epochs
from imgid_audit.vision.batching import within_memory
from imgid_audit.vision.checkpoint import History
from imgid_audit.vision.compiled import Compiled
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.finetune import Phases
from imgid_audit.vision.job import Job
from imgid_audit.vision.meters import Meters
from imgid_audit.vision.mix import Drawn, draw, mixed_images
from imgid_audit.vision.models import logits_of
from imgid_audit.vision.objective import Objective, material_of
from imgid_audit.vision.optimizer import make_optimizer, set_rate
from imgid_audit.vision.reproducible import AUGMENT, EPOCH, MIX, ORDER, RESAMPLE, derive, seed_all
from imgid_audit.vision.slices import Slices
from imgid_audit.vision.sources import Batch, Finish, ImageSource, Rows, blocks
from imgid_audit.vision.treatment import Scores, decay_of


class Loop:
    """The network and its optimiser, and what is done with them to batches."""

    def __init__(self, job: Job, model: nn.Module) -> None:
        self.job = job
        self.layout = devices.memory_format(job.device)
        self.dtype = devices.resolve_precision(job.settings.precision, job.device, training=True)
        self.model = job.world.prepared(model.to(job.device, memory_format=self.layout), job.device)
        decay = decay_of(job.treatment, job.settings.weight_decay)
        settings, classes = job.settings, len(job.task.labels)
        self.phases = Phases(self.model, classes, settings.fine_tune)
        self.optimizer = make_optimizer(self.model, classes, settings, decay)
        self.average = (
            None if settings.average is None else Averaging(self.model, settings.average, plain_epochs(settings))
        )
        self._network = self.model
        self.scaler = torch.amp.GradScaler(job.device.type, enabled=self.dtype == torch.float16)
        self.train_rows, self.val_rows = job.manifest.rows("train"), job.manifest.rows("val")
        self.slices = Slices(job.manifest)
        self.groups = None if job.groups is None else torch.from_numpy(job.groups)
        groups = None if job.groups is None else job.groups[self.train_rows]
        labels = job.manifest.label.codes[self.train_rows]
        material = material_of(labels, groups, len(job.task.labels), len(job.group_names))
        self.objective = Objective(job.treatment, material, self.model, job.settings.epochs)
        steps = job.settings.epochs * -(-len(self.train_rows) // job.settings.batch_size)
        self.compiled = Compiled(self.model, job.settings.compile, job.device, steps)
        parts = Parts(job.settings.accumulate, self.model, job.device, self.compiled.gives_up)
        self.gradients = Gradients(self.model, self._logits, self.objective, self.scaler, parts)
        self.turn, self.together = (0, 0), 0  # epoch and batch; its rows in all processes
        self.room = devices.auto_batch_size(job.device, job.transform.size)  # images that validation has memory for

    @property
    def parts(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        parts: dict[str, Any] = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        parts["accumulate"] = self.gradients.parts
        if self.average is not None:
            parts["average"] = self.average.model
        return parts if self.objective.plain else {**parts, "loss": self.objective.loss}

    @property
    def network(self) -> nn.Module:
        """The network that is judged and kept: the average once it has begun, else the one that is trained."""
        return self.average.network if self.average is not None and self.average.begun else self.model

    @contextlib.contextmanager
    def finished(self) -> Iterator[None]:
        """`network` as it predicts: for validation, and for the weights that are kept."""
        with self._computing_with(self.network), self.objective.finished(self.network):
            yield

    @contextlib.contextmanager
    def _computing_with(self, network: nn.Module) -> Iterator[None]:
        self._network = network
        try:
            yield
        finally:
            self._network = self.model

    @property
    def lr(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def train_epoch(self, epoch: int, source: ImageSource, history: History) -> Meters:
        """Epoch `epoch` (from 1): every (resampled) training row once, in random order."""
        job, settings = self.job, self.job.settings
        world = job.world
        seed_all(derive(settings.seed, EPOCH, epoch, *([] if world.first else [world.rank])))
        plan = self._plan(epoch)
        rows = sum(map(len, plan))
        meters = Meters(len(job.task.labels), slices=self.slices)
        self.phases.enter(epoch)
        for number, batch in enumerate(source.batches(world.stripes(plan), self._finish(epoch))):
            together, stopped = world.sums(self._usable(batch), job.stop())
            if stopped:
                raise StoppedError(
                    f"training stopped in epoch {epoch} of {settings.epochs}: the same command continues"
                )
            set_rate(self.optimizer, settings, epoch - 1 + number / len(plan))
            history.undecodable.update(batch.failed)
            if not together or (together == 1 and self._needs_two):
                continue
            self.turn, self.together = (epoch, number), int(together)
            (loss,) = world.sums(self._step(batch, meters))
            if not math.isfinite(loss):
                raise DivergedError(f"training loss became {loss} in epoch {epoch}, batch {number + 1}")
            history.images_seen += self.together
            done = (epoch - 1) * rows + min((number + 1) * settings.batch_size, rows)
            job.progress.update(done, settings.epochs * rows, self._remark(epoch, loss, history))
        if self.average is not None and self.average.ended(self.model, epoch) and not self.phases.frozen(epoch):
            self._renew_statistics(epoch, source)
        for module in (self.model, *([] if self.average is None else [self.average.model])):
            world.average_buffers(module)
        self._share(meters, history)
        return meters

    def _renew_statistics(self, epoch: int, source: ImageSource) -> None:
        """The average's batch-norm statistics over the epoch's rows as it saw them: one more forward pass."""
        with self._computing_with(self.network), fresh_statistics(self.network) as needed:
            for batch in source.batches(self._plan(epoch) if needed else (), self._finish(epoch)):
                if any(self.job.world.sums(self.job.stop())):
                    raise StoppedError(f"training stopped at the end of epoch {epoch}: the same command continues")
                if batch.pixels is not None and self._usable(batch):
                    self._counted(batch.pixels)

    def _counted(self, pixels: torch.Tensor) -> None:
        """A pass that batch norm makes its statistics of; it counts once, also where memory ran out before."""

        def work(parts: list[slice]) -> None:
            for part in parts:
                self._logits(pixels[part])

        with devices.memory_for("with train.average", "make train.batch_size, or model.input.size, smaller"):
            self.gradients.parts.fitting(len(pixels), work, buffers_back(self._network))

    def validate(self, source: ImageSource, history: History, keep: list[tuple[Rows, Scores]] | None = None) -> Meters:
        """Loss, accuracy, and accuracy by class, group and slice on the validation rows.

        Their rows and class probabilities are added to `keep`, batch by batch.
        """
        job = self.job
        meters = Meters(len(job.task.labels), len(job.group_names), self.slices)
        self._network.eval()
        with torch.inference_mode():
            for batch in source.batches(job.world.stripes(blocks(self.val_rows, self.room))):
                history.undecodable.update(batch.failed)
                if batch.pixels is None:
                    continue
                label = self._labels(batch)
                logits = self._judged(batch.pixels)
                losses = nn.functional.cross_entropy(logits, label, reduction="none")
                group = None if self.groups is None else self.groups[torch.from_numpy(batch.rows)]
                meters.update(logits.argmax(dim=1), label, group, losses, batch.rows)
                if keep is not None:
                    keep.append((batch.rows, logits.double().softmax(dim=1).numpy()))
        self._share(meters, history)
        return meters

    def _judged(self, pixels: torch.Tensor) -> torch.Tensor:
        """float32 logits (m, classes) on the CPU; computed in smaller parts from where memory runs out on."""

        def work(size: int) -> torch.Tensor:
            return torch.cat([self._logits(part).cpu() for part in pixels.split(size)])

        asked = min(self.room, len(pixels))
        logits, fitted = within_memory(work, asked, self.job.device, "in validation")
        self.room = self.room if fitted == asked else fitted
        return logits

    def finite(self) -> bool:
        """Whether all weights that are judged are finite numbers (an average is not, where what it is of is not)."""
        return all(bool(torch.isfinite(value).all()) for value in self.network.state_dict().values())

    def _usable(self, batch: Batch) -> int:
        """Images to learn from; a single one does not count where batch norm sees this process's alone."""
        rows = 0 if batch.pixels is None else len(batch.rows)
        return 0 if rows == 1 and self._needs_two and not self.gradients.parts.together else rows

    @property
    def _needs_two(self) -> bool:
        """Whether batch norm refuses a batch of a single image: it has no variance. Batches of one may be asked for."""
        return self.gradients.parts.normed and self.job.settings.batch_size > 1

    def _share(self, meters: Meters, history: History) -> None:
        """What the processes counted, and which images they could not decode, of all of them."""
        world = self.job.world
        meters.share(world)
        for found in world.gathered(history.undecodable):
            history.undecodable.update(found)

    def _step(self, batch: Batch, meters: Meters) -> float:
        """One step of the optimiser; this process's share of the loss."""
        drawn, passed = self._passed(batch) if self._usable(batch) else self._passed_nothing()
        self.job.world.add_gradients(self.model.parameters())
        self.scaler.step(self.optimizer)
        self.scaler.update()
        if self.average is not None:
            self.average.stepped(self.model)
        if passed is None:
            return 0.0
        label, rows = self._labels(batch), batch.rows
        if drawn is not None and drawn.share < 0.5:  # a mixed image counts as right where its larger part is recognised
            label, rows = label.roll(1, 0), np.roll(rows, 1)
        predicted, plain, loss = passed.read()
        meters.update(predicted, label, loss=plain, rows=rows)
        return loss

    def _passed(self, batch: Batch) -> tuple[Drawn | None, Passed | None]:
        """Gradients of a batch, and what came of it."""
        assert batch.pixels is not None
        device = self.job.device
        pixels, drawn = self._mixed(batch.pixels)
        label = self._labels(batch).to(device, non_blocking=True)
        group = None if self.groups is None else self.groups[torch.from_numpy(batch.rows)].to(device)
        return drawn, self.gradients(Lot(pixels, label, group, self.turn[0], drawn, self.together))

    def _passed_nothing(self) -> tuple[None, None]:
        """No gradients: other processes have the rows. Batch norm over all processes waits for this one too."""
        self.optimizer.zero_grad(set_to_none=True)
        if self.gradients.parts.together:
            side, channels = self.job.transform.size, self.job.model_settings.input.channels
            pixels = torch.zeros((0, channels, side, side), dtype=torch.uint8)
            none = torch.zeros(0, dtype=torch.int64, device=self.job.device)
            self.gradients(Lot(pixels, none, None, self.turn[0], None, self.together))
        return None, None

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
            learns = self._network is self.model and self.model.training
            network = self.compiled if learns else self._network
            return logits_of(network(batch.contiguous(memory_format=self.layout))).float()

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

    def _remark(self, epoch: int, loss: float, history: History) -> str:
        last = history.epochs[-1] if history.epochs else None
        known = (
            "" if last is None or last.criterion is None else f", val {self.job.settings.select} {last.criterion:.3f}"
        )
        return f"epoch {epoch}/{self.job.settings.epochs}, loss {loss:.3f}{known}"
