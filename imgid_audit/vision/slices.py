"""Accuracy of every level of every attribute after every epoch: counted in training, told as curves. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.fit import Curves, SliceCurve
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.vision.records import TrainingRecord

Accuracies = tuple[float | None, ...]


class Slices:
    """The levels of all attributes of a manifest, in its order: `names` (attribute, level)."""

    def __init__(self, manifest: Manifest) -> None:
        self.names = tuple((factor.name, level) for factor in manifest.attributes for level in factor.levels)
        sizes = [len(factor.levels) for factor in manifest.attributes]
        first = np.cumsum([0, *sizes])[:-1]
        columns = [factor.codes + start for factor, start in zip(manifest.attributes, first, strict=True)]
        self._codes = np.stack(columns) if columns else np.zeros((0, len(manifest)), dtype=np.int64)

    def counts(self, rows: NDArray[np.intp]) -> NDArray[np.int64]:
        """How often each level occurs among `rows` (m,) of the manifest, shape (levels,)."""
        return np.bincount(self._codes[:, rows].ravel(), minlength=len(self.names)).astype(np.int64)

    def tally(self) -> SliceTally:
        return SliceTally(self)


class SliceTally:
    """Rows seen so far and those of them that were right, `counts` int64 (2, levels): additive."""

    def __init__(self, slices: Slices) -> None:
        self._slices = slices
        self.counts = np.zeros((2, len(slices.names)), dtype=np.int64)

    def update(self, rows: NDArray[np.intp], right: NDArray[np.bool_]) -> None:
        """Count `rows` (m,) of the manifest, `right` (m,); a row that comes twice counts twice."""
        self.counts[0] += self._slices.counts(rows)
        self.counts[1] += self._slices.counts(rows[right])

    @property
    def accuracy(self) -> Accuracies:
        """Of each level; None where no row was seen."""
        return tuple(int(right) / int(seen) if seen else None for seen, right in self.counts.T)


def curves_of(record: TrainingRecord) -> Curves:
    """A training's losses, learning rate, and accuracy of all rows and of every level, epoch by epoch."""
    epochs = record.epochs
    total = SliceCurve(
        TOTAL,
        tuple(epoch.train_accuracy for epoch in epochs),
        tuple(epoch.val_accuracy for epoch in epochs),
        record.train_rows,
        record.val_rows,
    )
    levels = tuple(
        SliceCurve(
            Slice((attribute,), (level,)),
            tuple(epoch.train_slices[place] for epoch in epochs),
            tuple(epoch.val_slices[place] if epoch.val_slices else None for epoch in epochs),
            *record.slice_rows[place],
        )
        for place, (attribute, level) in enumerate(record.slices)
    )
    return Curves(
        train_loss=tuple(epoch.train_loss for epoch in epochs),
        val_loss=tuple(epoch.val_loss for epoch in epochs),
        lr=tuple(epoch.lr for epoch in epochs),
        best_epoch=record.best_epoch,
        criterion=record.criterion,
        ended=record.ended,
        slices=(total, *levels),
        best_frozen=record.best_frozen,
        best_averaged=record.best_averaged,
    )
