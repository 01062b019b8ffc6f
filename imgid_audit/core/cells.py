"""Cells: additive integer counts indexed by (slice, class).

Every count metric is a function on the trailing axes of `counts`, so one function serves the
total, each group and each bootstrap replicate, and batches, shards and processes add up.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Counts, tally

TP, FP, FN, TN = range(4)
"""Positions of the one-vs-rest outcomes on the last axis of `Cells.counts`."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One-vs-rest counts, int64, shape (..., classes, 4): the last axis is TP, FP, FN, TN.

    For every class the four add up to the rows of the slice.
    """

    counts: NDArray[np.int64]

    def __add__(self, other: Cells) -> Cells:
        return Cells(self.counts + other.counts)

    def sum(self, axis: int = 0) -> Cells:
        """Marginal over one leading axis (slices that are disjoint and cover their parent)."""
        return Cells(self.counts.sum(axis=axis))

    @property
    def n(self) -> NDArray[np.int64]:
        """Rows of each slice, shape (...)."""
        total: NDArray[np.int64] = self.counts[..., 0, :].sum(axis=-1)
        return total

    @staticmethod
    def zeros(shape: tuple[int, ...], classes: int) -> Cells:
        return Cells(np.zeros((*shape, classes, 4), dtype=np.int64))

    @staticmethod
    def count(
        label: Codes, predicted: Codes, units: Codes, n_units: int, classes: int, count: Counts | None = None
    ) -> Cells:
        """Count rows into `n_units` disjoint units (slices, subjects, ...), shape (n_units, classes, 4).

        `label`, `predicted` and `units` have shape (n,); labels and predictions are in
        [0, classes), units in [0, n_units). `count` (n,): rows that each entry stands for, None: 1.
        """
        shape = (n_units, classes)
        size = n_units * classes

        def held(codes: Codes, rows: NDArray[np.bool_] | slice) -> Counts:
            keys = units[rows].astype(np.int64) * classes + codes[rows]
            return tally(keys, size, None if count is None else count[rows]).reshape(shape)

        everything = slice(None)
        true_positive = held(label, label == predicted)
        positive = held(label, everything)
        called = held(predicted, everything)
        rows = tally(units, n_units, count)[:, None]
        counts = np.empty((*shape, 4), dtype=np.int64)
        counts[..., TP] = true_positive
        counts[..., FP] = called - true_positive
        counts[..., FN] = positive - true_positive
        counts[..., TN] = rows - called - positive + true_positive
        return Cells(counts)
