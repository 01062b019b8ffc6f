"""Confusion counts of subjects where there are many classes: only the pairs that occur are held."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.core.factor import Codes, Counts, tally
from imgid_audit.stats.effective_n import Moments, segment_sum
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.units import Units

Outcomes = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class UnitPairs:
    """Units (subjects of a slice) with the classes that they have rows or predictions of.

    - `rows` (units,): all rows of each unit, sorted by slice at `offsets`
    - `unit` (pairs,): the unit of each pair; `counts` (pairs, 4): its TP, FP, FN, TN. Pairs are sorted
      by slice and class, at `pair_offsets` (slices * classes + 1,)

    Any other unit and class has all its rows in TN.
    """

    rows: Counts
    offsets: NDArray[np.intp]
    unit: NDArray[np.intp]
    counts: Counts
    pair_offsets: NDArray[np.intp]

    @staticmethod
    def of(label: Codes, predicted: Codes, units: Units, classes: int, count: Counts | None) -> UnitPairs:
        """Reduce the rows, arrays (n,) as in `Cells.count`."""
        slices = len(units.offsets) - 1
        slice_of = np.repeat(np.arange(slices), units.per_slice)
        wrong = np.flatnonzero(label != predicted)
        by_label = (slice_of[units.of_row] * classes + label) * units.count + units.of_row
        by_call = (slice_of[units.of_row[wrong]] * classes + predicted[wrong]) * units.count + units.of_row[wrong]
        keys, place = np.unique(np.concatenate([by_label, by_call]), return_inverse=True)
        held = np.ones(len(label), dtype=np.int64) if count is None else count
        right = (label == predicted) * held
        labelled, called = place[: len(label)], place[len(label) :]
        rows, unit = tally(units.of_row, units.count, held), keys % units.count
        counts = np.empty((len(keys), 4), dtype=np.int64)
        counts[:, TP] = tally(labelled, len(keys), right)
        counts[:, FP] = tally(called, len(keys), held[wrong])
        counts[:, FN] = tally(labelled, len(keys), held - right)
        counts[:, TN] = rows[unit] - counts[:, [TP, FP, FN]].sum(axis=1)
        edges = np.searchsorted(keys, np.arange(slices * classes + 1) * units.count)
        return UnitPairs(rows, units.offsets, unit, counts, edges)

    def moments(self, events: Outcomes, trials: Outcomes) -> Moments:
        """Sums over each slice's units, (slices, classes), of a rate with these outcomes.

        Those of units whose rows are all TN, corrected where they are not: integers, so nothing is lost.
        """
        blank_y, blank_m = (self.rows.astype(np.float64) * (TN in outcomes) for outcomes in (events, trials))
        y, m = (self.counts[:, list(outcomes)].sum(axis=1).astype(np.float64) for outcomes in (events, trials))
        base = Moments.of(blank_y, blank_m, lambda values: segment_sum(values, self.offsets))
        there = Moments.of(y, m, self._by_class)
        instead = Moments.of(blank_y[self.unit], blank_m[self.unit], self._by_class)
        shape = (len(self.offsets) - 1, -1)
        return Moments(
            **{
                field.name: getattr(base, field.name)[:, None]
                + (getattr(there, field.name) - getattr(instead, field.name)).reshape(shape)
                for field in fields(Moments)
            }
        )

    def _by_class(self, values: Floats) -> Floats:
        return segment_sum(values, self.pair_offsets)
