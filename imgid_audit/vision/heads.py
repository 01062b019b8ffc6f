"""Training of a last layer on embeddings: what a method may change of it, and nothing else differs.

Features are standardised inside and folded back, everything is tensors of one size, and one thread
computes: the same bytes on any number of cores.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.vision.adamw import AdamW
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.judge import Judge, Picked, Select, criterion, logits_of_head
from imgid_audit.vision.last_layer import install
from imgid_audit.vision.mix import Drawn, draw_shares, losses_of, mixed_rows
from imgid_audit.vision.objective import CrossEntropy
from imgid_audit.vision.reproducible import derive, reproducible, threads
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.treatment import HeadTask, LinearHead, Loss, LossBatch, Part, Refit, Scores, Treatment, decay_of

__all__ = ["HeadRun", "HeadTraining", "Picked", "criterion", "head_scores", "install", "refitted_by", "train_head"]

_HEAD = 23  # what seeds are derived for, and below it:
_INIT, _ORDER, _ROWS, _POINTS, _VIEWS, _MIX, _REFIT, _TORCH = range(8)

_CONSTANT = 1e-6  # of its mean: a feature that varies less is rounding, and is left out
_LARGE = 1 << 25  # multiplications a batch, from which on more than one thread is worth it


class HeadTraining(Protocol):
    """How a head is trained: AdamW with a cosine schedule."""

    @property
    def epochs(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def lr(self) -> float: ...
    @property
    def weight_decay(self) -> float: ...


@dataclass(frozen=True, slots=True, eq=False)
class HeadRun:
    """What a training of a head gave.

    - `picked`: by the ``declared`` criterion and by ``average`` accuracy
    - `undefined`: codes of classes or groups without val rows, which the declared criterion cannot speak of
    - `rows_seen`: embeddings that went through the head that the ``declared`` criterion picks: of all `epochs`, and of
      its refits
    - `tuned`: values that a refit chose by itself
    """

    picked: Mapping[Selected, Picked]
    undefined: tuple[int, ...]
    rows_seen: int
    epochs: int
    tuned: Mapping[Selected, Mapping[str, float]] = field(default_factory=dict)

    @property
    def heads(self) -> dict[Selected, LinearHead]:
        return {name: one.head for name, one in self.picked.items()}

    @property
    def val(self) -> dict[Selected, float | None]:
        """The value on val by which each was picked: the declared criterion, and plain accuracy."""
        return {"declared": self.picked["declared"].criterion, "average": self.picked["average"].accuracy}


def train_head(
    task: HeadTask,
    treatment: Treatment,
    settings: HeadTraining,
    seed: int,
    *,
    select: Select,
    stop: Callable[[], bool] = lambda: False,
) -> HeadRun:
    """A linear head on embeddings, trained from `seed` as `treatment` says.

    After every epoch the head is judged on val; the best by the declared criterion `select` and the best by
    accuracy are kept: of equal ones that of lower cross-entropy, of those the first; without val rows the
    last. `refits` are applied to those two. Weight decay spares the bias.

    Raises `InputError` where there is nothing to train on, or the treatment does not fit; `DivergedError` where
    numbers became NaN or infinite; `StoppedError` once `stop()` is true, asked in every epoch.
    """
    if not len(task.train):
        raise InputError(Problem("[data > split]", "has no train rows whose image could be used"))
    work = settings.batch_size * task.train.embeddings.shape[1] * task.classes
    with reproducible(derive(seed, _HEAD, _TORCH), torch.device("cpu")), threads(1 if work < _LARGE else None):
        training = _Training(task, treatment, settings, seed)
        judge = Judge(task.val, task.classes, task.groups_count, select)
        best = _run(training, judge, settings, stop)
        # A refit and the float64 of the folded weights may change a decision: what is told is of the final head.
        refitted: dict[int, LinearHead] = {}
        for epoch, head in best.values():
            if epoch not in refitted:
                refitted[epoch] = _refit(task, training.folded(head), treatment, seed)
        final = {name: refitted[epoch] for name, (epoch, _) in best.items()}
        picked = {name: judge.picked(refitted[epoch], epoch) for name, (epoch, _) in best.items()}
    seen = training.rows_seen + final["declared"].rows_seen
    tuned = {name: head.tuned for name, head in final.items()}
    return HeadRun(picked, judge.undefined, seen, settings.epochs, tuned)


def head_scores(head: LinearHead, embeddings: NDArray[Any]) -> Scores:
    """Softmax probabilities, float64 (n, classes)."""
    logits = head.logits(embeddings)
    found = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(found / found.sum(axis=1, keepdims=True))


Kept = tuple[int, LinearHead]


def _run(training: _Training, judge: Judge, settings: HeadTraining, stop: Callable[[], bool]) -> dict[Selected, Kept]:
    """All epochs; the epoch and the (standardised) head that each criterion picks."""
    best: dict[Selected, Kept] = {}
    values: dict[Selected, tuple[float, float]] = {}
    x = None if judge.part is None else training.standardised(judge.part.embeddings)
    for epoch in range(1, settings.epochs + 1):
        if stop():
            raise StoppedError(f"stopped in epoch {epoch} of {settings.epochs} of a head: the same command goes on")
        head = training.epoch(epoch)
        found = judge.values(x, head)
        for name, value in found.items():
            if value is None or name not in values or value > values[name]:
                best[name] = (epoch, head)
                if value is not None:
                    values[name] = value
    return best


def _refit(task: HeadTask, head: LinearHead, treatment: Treatment, seed: int) -> LinearHead:
    seeds = [_seed32(seed, _REFIT, number) for number in range(len(treatment.refits))]
    head = refitted_by(treatment.refits, task, head, seeds)
    if not _finite(head):
        raise DivergedError("the refitted head has weights that are NaN or infinite")
    return head


def refitted_by(refits: Sequence[Refit], task: HeadTask, head: LinearHead, seeds: Sequence[int]) -> LinearHead:
    """The head after all of `refits`, in their order; it tells the rows that they saw, the values that they chose."""
    seen, tuned = 0, dict[str, float]()
    for refit, seed in zip(refits, seeds, strict=True):
        # a refit may hand back what it was given: that must not count twice
        head = refit(task, LinearHead(head.weight, head.bias), seed)
        seen, tuned = seen + head.rows_seen, {**tuned, **head.tuned}
    return LinearHead(head.weight, head.bias, seen, tuned)


class _Training:
    """The head, its optimiser, and the training rows as standardised tensors."""

    def __init__(self, task: HeadTask, treatment: Treatment, settings: HeadTraining, seed: int) -> None:
        _require_embeddings(treatment, task.train)
        self.treatment, self.settings, self.seed = treatment, settings, seed
        self.rows_seen = 0
        points = treatment.points
        part = task.train if points is None else points(task.train, task.classes, _seed32(seed, _POINTS))
        self.part = part
        self._mean, self._scale = _spread_of(task.train.embeddings)
        self._x = self.standardised(part.embeddings)
        views = _views_of(task.train, part) if treatment.views else None
        self._copies = 0 if views is None else len(views)
        self._viewed = 0 if views is None else views.shape[1]
        if views is not None:
            self._x = torch.cat([self._x, *(self.standardised(view) for view in views)])
        self._labels = torch.from_numpy(part.labels.astype(np.int64))
        self._groups = None if part.groups is None else torch.from_numpy(part.groups.astype(np.int64))
        self._loss: Loss = treatment.loss(task.material) if treatment.loss else CrossEntropy()
        classes, width = task.classes, len(self._mean)
        generator = torch.Generator().manual_seed(derive(seed, _HEAD, _INIT))
        start = (torch.rand(classes, width, generator=generator) * 2 - 1) / math.sqrt(width)
        self._weight = start.requires_grad_()
        self._bias = torch.zeros(classes, requires_grad=True)
        self._optimizer = AdamW([self._weight], [self._bias], decay_of(treatment, settings.weight_decay))

    def standardised(self, embeddings: NDArray[Any]) -> torch.Tensor:
        """float32 (n, d) of mean 0 and deviation 1 over the training rows; constant features are 0."""
        centred = embeddings.astype(np.float32, copy=False) - self._mean.astype(np.float32)
        centred *= self._scale.astype(np.float32)
        return torch.from_numpy(centred)

    def folded(self, head: LinearHead) -> LinearHead:
        """The head of raw embeddings that says the same."""
        weight = head.weight * self._scale
        return LinearHead(weight, head.bias - weight @ self._mean)

    def epoch(self, epoch: int) -> LinearHead:
        """Train one epoch (from 1); the head that predicts, in the standardised space."""
        order = self._order(epoch)
        picks = torch.from_numpy(self._pick_views(order, epoch))
        rows = torch.from_numpy(order)
        batches = len(range(0, len(rows), self.settings.batch_size))
        shares = draw_shares(self.treatment.mix, batches, _rng(self.seed, _MIX, epoch))
        total = torch.zeros(())
        labels = self._labels[rows].split(self.settings.batch_size)
        groups = [None] * batches if self._groups is None else self._groups[rows].split(self.settings.batch_size)
        for number, pick in enumerate(picks.split(self.settings.batch_size)):
            # Cosine from lr to 0 over the whole training (Loshchilov and Hutter 2017).
            fraction = (epoch - 1 + number / batches) / self.settings.epochs
            lr = self.settings.lr * 0.5 * (1 + math.cos(math.pi * fraction))
            drawn = None if shares is None else Drawn(shares[number])
            total += self._step(self._x.index_select(0, pick), labels[number], groups[number], drawn, epoch, lr)
        self.rows_seen += len(rows)
        weight, bias = (part.detach().double().numpy().copy() for part in (self._weight, self._bias))
        trained = LinearHead(weight, bias)
        head = self._loss.finished(trained) if math.isfinite(float(total)) and _finite(trained) else None
        if head is None or not _finite(head):
            message = f"loss or weights of a head became NaN or infinite in epoch {epoch}"
            raise DivergedError(f"{message}. Make the learning rate smaller (it is {self.settings.lr:g})")
        return head

    def _step(
        self, x: torch.Tensor, labels: torch.Tensor, groups: torch.Tensor | None, drawn: Drawn | None, epoch: int,
        lr: float,
    ) -> torch.Tensor:  # fmt: skip
        """One step at learning rate `lr`; the mean loss of the batch."""
        if drawn is not None:
            x = mixed_rows(x, drawn.share)
        logits = logits_of_head(x, self._weight, self._bias)
        batch = LossBatch(logits, labels, groups, epoch, self.settings.epochs, x, self._weight)
        loss = losses_of(self._loss, batch, drawn).mean()
        loss.backward()
        self._optimizer.step(lr)
        return loss.detach()

    def _order(self, epoch: int) -> NDArray[np.int64]:
        """Rows of the (resampled) training part in random order."""
        rows: NDArray[Any] = np.arange(len(self.part))
        if self.treatment.rows is not None:
            rows = np.asarray(self.treatment.rows(self.part.labels, self.part.groups, _seed32(self.seed, _ROWS, epoch)))
            if not len(rows):
                raise InputError(Problem("[mitigations]", f"a sampler chose no training row in epoch {epoch}"))
        return _rng(self.seed, _ORDER, epoch).permutation(rows).astype(np.int64)

    def _pick_views(self, order: NDArray[np.int64], epoch: int) -> NDArray[np.int64]:
        """For each row the original or one of its views, all equally often; rows without views have only themselves."""
        if not self._copies:
            return order
        which = _rng(self.seed, _VIEWS, epoch).integers(0, self._copies + 1, len(order))
        viewed = (which > 0) & (order < self._viewed)
        return np.where(viewed, len(self.part) + (which - 1) * self._viewed + order, order)


def _spread_of(embeddings: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of each feature and 1 / its standard deviation, (d,), as float32 holds them; 0 for constant features."""
    mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = embeddings - mean
    spread = np.sqrt(np.einsum("ij,ij->j", centred, centred, dtype=np.float64) / len(embeddings))
    varies = spread > _CONSTANT * np.abs(mean)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=varies)
    return mean.astype(np.float64), scale.astype(np.float32).astype(np.float64)


def _require_embeddings(treatment: Treatment, train: Part) -> None:
    """Raise `InputError` for what needs images, or views that were not embedded."""
    if treatment.mix is not None and treatment.mix.kind != "mixup":
        message = f"{treatment.mix.kind} cuts images: on embeddings use mixup, or scope full"
        raise InputError(Problem("[mitigations]", message))
    if treatment.views and treatment.augment not in (None, AugmentSettings()) and train.views is None:
        raise InputError(Problem("[mitigations]", "views of training images are asked for, and none were embedded"))


def _views_of(train: Part, part: Part) -> NDArray[np.float32] | None:
    """The views (v, n, d) of the first n rows of `part`: its own, else of the training rows that it begins with."""
    n = len(train)
    if part is not train and part.views is not None:
        if part.views.shape[1:] != part.embeddings.shape:
            message = f"a method made views of shape {part.views.shape} for embeddings {part.embeddings.shape}"
            raise InputError(Problem("[mitigations]", f"{message}: they must be (views, *that)"))
        return part.views
    if part is not train and not (len(part) >= n and np.array_equal(part.embeddings[:n], train.embeddings)):
        message = "a method replaced training rows and gave no views of its own, which are asked for"
        raise InputError(Problem("[mitigations]", message))
    return train.views


def _finite(head: LinearHead) -> bool:
    return bool(np.isfinite(head.weight).all() and np.isfinite(head.bias).all())


def _rng(seed: int, *path: int) -> np.random.Generator:
    return np.random.default_rng(derive(seed, _HEAD, *path))


def _seed32(seed: int, *path: int) -> int:
    """A seed for libraries that take 32 bits."""
    return derive(seed, _HEAD, *path) % 2**32
