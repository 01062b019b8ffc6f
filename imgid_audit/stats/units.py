"""Sampling units of each slice: the one source of cluster identity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.intervals import Floats

Index = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """Subjects of each slice: `of_row` (n,) is the row's unit, units sorted by slice at `offsets`."""

    of_row: Codes
    offsets: Index

    @property
    def count(self) -> int:
        return int(self.offsets[-1])

    @property
    def per_slice(self) -> NDArray[np.intp]:
        return np.diff(self.offsets)

    @staticmethod
    def of(codes: Codes, subjects: Codes, n_slices: int, n_subjects: int) -> Units:
        """Number the (slice, subject) pairs that occur."""
        key = codes.astype(np.int64) * n_subjects + subjects
        size = n_slices * n_subjects
        edges = np.arange(n_slices + 1, dtype=np.int64) * n_subjects
        if size <= max(10_000_000, 4 * len(key)):
            seen = np.zeros(size, dtype=bool)
            seen[key] = True
            number = np.concatenate(([0], np.cumsum(seen)))
            return Units(number.astype(np.int32)[key], number[edges])
        pairs, of_row = np.unique(key, return_inverse=True)
        return Units(of_row.astype(np.int32), np.searchsorted(pairs, edges))

    def sums(self, values: Floats, rows: Bools | None = None) -> Floats:
        """Sum of row values (n,) by unit, (units,), over a mask of rows or all."""
        of_row = self.of_row if rows is None else self.of_row[rows]
        weights = values if rows is None else values[rows]
        return np.bincount(of_row, weights=weights, minlength=self.count).astype(np.float64)

    def holders(self, rows: Bools) -> Floats:
        """Units of each slice, (slices,), that have a row of the mask."""
        seen = np.zeros(self.count)
        seen[self.of_row[rows]] = 1.0
        return segment_sum(seen, self.offsets)


def correction(count: Floats) -> Floats:
    """k / (k - 1), NaN for fewer than two."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(count > 1, count / (count - 1), np.nan)


def clustered_variance(influence: Floats, units: Units) -> Floats:
    """Variance of a sum of row influences (n,): k/(k-1) sum over subjects of their squared sum."""
    per_unit = units.sums(influence)
    k = units.per_slice.astype(np.float64)
    return np.asarray(correction(k) * segment_sum(per_unit**2, units.offsets))
