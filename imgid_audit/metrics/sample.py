"""A breakdown's rows reduced once to what metrics are functions of: cells, units, sorted runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imgid_audit.core.cells import FN, FP, TN, TP, Cells
from imgid_audit.core.factor import tally
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.core.task import Task
from imgid_audit.metrics.rows import BINS, Rows
from imgid_audit.metrics.unit_pairs import UnitPairs
from imgid_audit.stats.auroc import Runs
from imgid_audit.stats.calibration import BinTotals
from imgid_audit.stats.effective_n import Moments, segment_sum
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.resampling import Weights, alike, profile_weights, replicate, stream, subject_weights
from imgid_audit.stats.units import Units, clustered_variance, correction

Counts = NDArray[np.int64]
MOST = 16_000_000
"""Cells of subjects that are held one and all; of more, those that are not 0."""

SMALL = 100_000
"""Confusion counts that are always worth having, however few the entries."""

ROUNDING = 1e-10
"""A variance below this share of the mean square is rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class Addends:
    """A row adds `per_profile[its profile]` (profiles, width) to its cells, times `weights` (n,) if any."""

    per_profile: sparse.csr_array
    weights: Floats | None = None


class Sample:
    """Everything that metrics read, for one breakdown; nothing is computed before it is asked for."""

    def __init__(self, rows: Rows, breakdown: Breakdown, intervals: IntervalSpec) -> None:
        self.rows = rows
        self.breakdown = breakdown
        self.intervals = intervals
        self._runs: dict[int, Runs] = {}

    @property
    def task(self) -> Task:
        return self.rows.decisions.task

    @property
    def has_scores(self) -> bool:
        return self.rows.decisions.scores is not None

    @property
    def size(self) -> int:
        """Number of slices."""
        return len(self.breakdown.slices)

    @cached_property
    def n(self) -> Counts:
        """Rows of each slice, (slices,)."""
        return tally(self.keys, self.size, self.count)

    @property
    def count(self) -> Counts | None:
        """How many rows each entry of the decisions stands for, (n,); None: one each."""
        return self.rows.decisions.count

    @cached_property
    def keys(self) -> NDArray[np.intp]:
        """The slice of each row, (n,), as bincount takes it without a copy."""
        return self.breakdown.codes.astype(np.intp)

    @cached_property
    def profiles(self) -> Counts | None:
        """Rows by slice, label and prediction, (slices, classes, classes); None where that exceeds the rows."""
        decisions, classes = self.rows.decisions, len(self.task.labels)
        if self.size * classes**2 > max(len(decisions), SMALL):
            return None
        keys = self.keys * classes**2 + self.rows.profile
        shape = (self.size, classes, classes)
        return tally(keys, self.size * classes**2, self.count).reshape(shape)

    @cached_property
    def counts(self) -> Counts:
        """One-vs-rest cells of each slice, (slices, classes, 4)."""
        decisions = self.rows.decisions
        classes = len(self.task.labels)
        if self.profiles is not None:
            return _one_vs_rest(self.profiles)
        codes = self.breakdown.codes
        return Cells.count(decisions.label, decisions.predicted, codes, self.size, classes, self.count).counts

    @cached_property
    def units(self) -> Units | None:
        """The subjects of each slice; None where rows are independent."""
        subject = self.rows.decisions.subject
        if subject is None:
            return None
        return Units.of(self.breakdown.codes, subject.codes, self.size, len(subject.levels))

    @cached_property
    def sampled(self) -> Counts:
        """Sampling units of each slice, subjects or rows, (slices,)."""
        return self.n if self.units is None else self.units.per_slice.astype(np.int64)

    def subjects(self, rows: NDArray[np.bool_]) -> Counts | None:
        """Subjects of each slice among a mask of rows (n,); None where rows are independent."""
        if self.units is None:
            return None
        return self.units.holders(rows).astype(np.int64)

    def moments(self, events: tuple[int, ...], trials: tuple[int, ...]) -> Moments:
        """What the design effect of a rate with these outcomes is a function of, (slices, classes); subjects only."""
        units = self._units()
        if self._pairs is not None:
            return self._pairs.moments(events, trials)
        y, m = (self._unit_counts[..., list(outcomes)].sum(axis=-1).astype(np.float64) for outcomes in (events, trials))
        return Moments.of(y, m, lambda values: segment_sum(values, units.offsets))

    def _units(self) -> Units:
        if self.units is None:
            raise ValueError("rows without subjects have no units to count")
        return self.units

    @cached_property
    def _unit_counts(self) -> Counts:
        """Cells of every unit, (units, classes, 4)."""
        units, decisions, classes = self._units(), self.rows.decisions, len(self.task.labels)
        return Cells.count(decisions.label, decisions.predicted, units.of_row, units.count, classes, self.count).counts

    @cached_property
    def _pairs(self) -> UnitPairs | None:
        """The same as the pairs that occur, where all of them are too many; else None."""
        units, decisions, classes = self._units(), self.rows.decisions, len(self.task.labels)
        if 4 * units.count * classes <= MOST:
            return None
        return UnitPairs.of(decisions.label, decisions.predicted, units, classes, self.count)

    def runs(self, class_index: int) -> Runs:
        """Rows by slice and score of one class."""
        if class_index not in self._runs:
            decisions = self.rows.decisions
            runs = Runs.of(
                self.rows.order(class_index), decisions.label == class_index, self.breakdown.codes, self.size
            )
            if len(self.task.scored_classes) > 2:
                return runs  # many classes: do not hold them all
            self._runs[class_index] = runs
        return self._runs[class_index]

    def variance_of_sum(self, influence: Floats) -> Floats:
        """Variance, (slices,), of the sum of row influences that add up to 0 in each slice.

        `influence` (n,) is that of one row of each entry. k/(k-1) times the sum over the k units of
        their squared sums; NaN where there is one unit.
        """
        count = 1 if self.count is None else self.count
        if self.units is not None:
            return clustered_variance(influence * count, self.units)
        squares = np.bincount(self.keys, weights=influence**2 * count, minlength=self.size)
        return np.asarray(correction(self.n.astype(np.float64)) * squares)

    @property
    def unit_name(self) -> str:
        return "rows" if self.units is None else "subjects"

    def resample(
        self, family: str, profile: Counts, cells: tuple[Addends, ...], statistic: Callable[[Floats], Floats]
    ) -> Floats:
        """Replicates (slices, draws, ...) of a statistic of additive cells, NaN where it is undefined.

        - `profile` (n,): rows of a slice with equal profiles are exchangeable
        - `cells`: what rows add; see `Addends`
        - `statistic`: cells (draws, width) -> (draws, ...), several quantities from the same draws where asked
        """
        none = np.asarray(statistic(np.full((1, cells[0].per_profile.shape[1]), np.nan)))
        out = np.full((self.size, self.intervals.draws, *none.shape[1:]), np.nan)
        if self.units is None:
            edges, multiplicity, added = self._by_profile(profile, cells)
        else:
            edges, multiplicity, added = self.units.offsets, None, self._by_subject(self.units, profile, cells)
        for i, where in enumerate(self.breakdown.slices):
            first, last = edges[i], edges[i + 1]
            if first == last:
                continue
            if multiplicity is not None:
                generator = stream(self.intervals.seed, where, family)
                weights = profile_weights(generator, multiplicity[first:last], self.intervals.draws)
                held = added[first:last]
            else:
                weights, held = self._drawn_subjects(where, added[first:last])
            out[i] = replicate(weights, held, statistic)
        return out

    def _drawn_subjects(self, where: Slice, added: sparse.csr_array) -> tuple[Iterator[Weights], sparse.csr_array]:
        """Weights of a slice's units, or of the kinds of them, and their cells."""
        draws, generator = self.intervals.draws, stream(self.intervals.seed, where, "subjects")
        kinds = alike(added)
        if kinds is None:
            return subject_weights(generator, added.shape[0], draws), added
        return profile_weights(generator, kinds[1], draws), added[kinds[0]]

    @cached_property
    def calibration(self) -> Floats:
        """Additive cells of calibration, (slices, BINS + 1, 3): rows, sum of scores, outcomes of each bin."""
        rows, slots = self.rows, BINS + 1
        keys = self.keys * slots + rows.bins
        parts = (
            np.bincount(keys, weights=weights, minlength=self.size * slots)
            for weights in (None, rows.confidence, rows.outcome)
        )
        return np.stack([part.reshape(self.size, slots) for part in parts], axis=-1).astype(np.float64)

    def bin_totals(self, values: Floats) -> BinTotals:
        """Totals of row `values` (n,) by slice and bin; the last is for scores of exactly 1, as in torchmetrics."""
        return BinTotals.of(values, self.rows.bins, self.keys, self.size, BINS + 1, self.units)

    @cached_property
    def excess(self) -> BinTotals:
        """Totals of score less outcome."""
        return self.bin_totals(self.rows.excess)

    def mean(self, values: Floats, squares: Floats) -> tuple[Floats, Floats]:
        """Mean of row values (n,) in each slice and its standard error; `squares` are the values squared.

        NaN and NaN for no rows; the error is NaN for one unit, and 0 where the spread is nothing but
        rounding.
        """
        n = self.n.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.bincount(self.keys, weights=values, minlength=self.size) / n
            if self.units is not None:
                return value, np.sqrt(self.variance_of_sum((values - value[self.keys]) / n[self.keys]))
            second = np.bincount(self.keys, weights=squares, minlength=self.size) / n
            variance = second - value**2
            variance = np.where(variance > ROUNDING * second, variance, 0.0)
            return value, np.sqrt(np.where(n > 1, variance / (n - 1), np.nan))

    def _by_profile(self, profile: Counts, cells: tuple[Addends, ...]) -> tuple[Counts, Counts, sparse.csr_array]:
        """Where the profiles of each slice begin, their rows, and what a row of each adds on average."""
        kinds = cells[0].per_profile.shape[0]
        keys = self.keys * kinds + profile
        held = tally(keys, self.size * kinds, self.count)
        found = np.flatnonzero(held)
        multiplicity = held[found]
        edges = np.searchsorted(found, np.arange(self.size + 1) * kinds)
        added = sparse.csr_array((len(found), cells[0].per_profile.shape[1]))
        for part in cells:
            rows = part.per_profile[found % kinds]
            if part.weights is not None:
                weights = part.weights if self.count is None else part.weights * self.count
                mean = np.bincount(keys, weights=weights, minlength=self.size * kinds)[found] / multiplicity
                rows = rows.multiply(mean[:, None]).tocsr()
            added = added + rows
        return edges, multiplicity, added

    def _by_subject(self, units: Units, profile: Counts, cells: tuple[Addends, ...]) -> sparse.csr_array:
        """What each unit adds, (units, width)."""
        added = sparse.csr_array((units.count, cells[0].per_profile.shape[1]))
        count = np.ones(len(profile)) if self.count is None else self.count.astype(np.float64)
        for part in cells:
            weights = count if part.weights is None else part.weights * count
            shape = (units.count, part.per_profile.shape[0])
            held = sparse.coo_array((weights, (units.of_row, profile)), shape=shape).tocsr()
            added = added + held @ part.per_profile
        return added


def _one_vs_rest(profiles: Counts) -> Counts:
    """Cells (slices, classes, 4) of confusion counts (slices, classes, classes)."""
    label, called = profiles.sum(axis=2), profiles.sum(axis=1)
    hit = np.diagonal(profiles, axis1=1, axis2=2)
    rows = label.sum(axis=1, keepdims=True)
    cells = np.empty((*label.shape, 4), dtype=np.int64)
    cells[..., TP], cells[..., FP], cells[..., FN] = hit, called - hit, label - hit
    cells[..., TN] = rows - called - label + hit
    return cells
