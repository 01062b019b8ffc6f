"""Streamed metrics of training and prediction, by torchmetrics: what progress shows and checkpoints are picked by.

torchmetrics takes seconds to import, so this module is imported where meters are first needed.
Its ratios give 0 for a class without rows; here only its counts are used, and a ratio over
nothing is None.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torchmetrics import MeanMetric
from torchmetrics.classification import MulticlassStatScores

from imgid_audit.vision.distributed import World
from imgid_audit.vision.slices import Accuracies, Slices

_TP, _SUPPORT = 0, 4  # positions in torchmetrics' stat scores: tp, fp, tn, fn, support


class Meters:
    """Mean loss, accuracy, accuracy of each class, of each group and of each slice, over the rows seen so far.

    Accuracy of a class is its recall. `groups` is the number of groups, 0 for none.
    """

    def __init__(self, classes: int, groups: int = 0, slices: Slices | None = None) -> None:
        self.slices = None if slices is None else slices.tally()
        self._loss = MeanMetric(nan_strategy="disable")  # the default leaves NaN out of the mean
        self._classes = MulticlassStatScores(num_classes=classes, average=None, validate_args=False)
        # Group g is "predicted" where its row is right, and a last, empty class where it is wrong.
        self._wrong = groups
        self._groups = (
            MulticlassStatScores(num_classes=groups + 1, average=None, validate_args=False) if groups else None
        )

    def update(
        self,
        predicted: torch.Tensor,
        label: torch.Tensor,
        group: torch.Tensor | None = None,
        loss: torch.Tensor | None = None,
        rows: NDArray[np.intp] | None = None,
    ) -> None:
        """Count rows: `predicted`, `label`, `group` (m,) int64 codes on the CPU; `loss` (m,) of each row.

        `rows` (m,) are theirs in the manifest, by which slices are counted.
        """
        if self.slices is not None and rows is not None:
            self.slices.update(rows, (predicted == label).numpy())
        self._classes.update(predicted, label)
        if self._groups is not None and group is not None:
            self._groups.update(torch.where(predicted == label, group, self._wrong), group)
        if loss is not None:
            self._loss.update(loss)

    def share(self, world: World) -> None:
        """Add up what all processes of `world` counted; nothing is to be counted afterwards."""
        if world.alone:
            return
        for metric in (self._loss, self._classes, *([] if self._groups is None else [self._groups])):
            states = world.gathered(metric.metric_state)
            metric.reset()
            for state in states:  # in the same order everywhere: sums of floats then are the same to the bit
                metric.merge_state(state)
        if self.slices is not None:
            self.slices.counts = sum(world.gathered(self.slices.counts), np.zeros_like(self.slices.counts))

    @property
    def rows(self) -> int:
        return int(_counts(self._classes)[:, _SUPPORT].sum())

    @property
    def accuracy(self) -> float | None:
        if not self.rows:
            return None
        counts = _counts(self._classes)
        return float(counts[:, _TP].sum() / counts[:, _SUPPORT].sum())

    @property
    def loss(self) -> float | None:
        return float(self._loss.mean_value / self._loss.weight) if self._loss.weight else None

    @property
    def class_accuracy(self) -> tuple[float | None, ...]:
        return _ratios(_counts(self._classes)) if self.rows else ()

    @property
    def group_accuracy(self) -> tuple[float | None, ...]:
        return () if self._groups is None or not self.rows else _ratios(_counts(self._groups)[:-1])

    @property
    def slice_accuracy(self) -> Accuracies:
        return () if self.slices is None else self.slices.accuracy


def _counts(scores: MulticlassStatScores) -> NDArray[np.int64]:
    """(classes, 5), by the states alone: `compute` would ask other processes, and warn where nothing was counted."""
    tp, fp, tn, fn = (state.reshape(-1) for state in (scores.tp, scores.fp, scores.tn, scores.fn))
    counts: NDArray[np.int64] = torch.stack([tp, fp, tn, fn, tp + fn], dim=1).numpy()
    return counts


def _ratios(counts: NDArray[np.int64]) -> tuple[float | None, ...]:
    return tuple(int(row[_TP]) / int(row[_SUPPORT]) if row[_SUPPORT] else None for row in counts)
