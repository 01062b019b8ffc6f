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

_TP, _SUPPORT = 0, 4  # positions in torchmetrics' stat scores: tp, fp, tn, fn, support


class Meters:
    """Mean loss, accuracy, accuracy of each class and of each group, over the rows seen so far.

    Accuracy of a class is its recall. `groups` is the number of groups, 0 for none.
    """

    def __init__(self, classes: int, groups: int = 0) -> None:
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
    ) -> None:
        """Count rows: `predicted`, `label`, `group` (m,) int64 codes on the CPU; `loss` (m,) of each row."""
        self._classes.update(predicted, label)
        if self._groups is not None and group is not None:
            self._groups.update(torch.where(predicted == label, group, self._wrong), group)
        if loss is not None:
            self._loss.update(loss)

    @property
    def rows(self) -> int:
        return int(_counts(self._classes)[:, _SUPPORT].sum()) if self._classes.update_called else 0

    @property
    def accuracy(self) -> float | None:
        if not self.rows:
            return None
        counts = _counts(self._classes)
        return float(counts[:, _TP].sum() / counts[:, _SUPPORT].sum())

    @property
    def loss(self) -> float | None:
        return float(self._loss.compute()) if self._loss.update_called else None

    @property
    def class_accuracy(self) -> tuple[float | None, ...]:
        return _ratios(_counts(self._classes)) if self.rows else ()

    @property
    def group_accuracy(self) -> tuple[float | None, ...]:
        if self._groups is None or not self._groups.update_called:
            return ()
        return _ratios(_counts(self._groups)[:-1])


def _counts(scores: MulticlassStatScores) -> NDArray[np.int64]:
    counts: NDArray[np.int64] = scores.compute().numpy()
    return counts


def _ratios(counts: NDArray[np.int64]) -> tuple[float | None, ...]:
    return tuple(int(row[_TP]) / int(row[_SUPPORT]) if row[_SUPPORT] else None for row in counts)
