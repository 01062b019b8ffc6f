"""Ranking metrics of one class on every slice, from one sort of the scores.

Area under the ROC curve: Mann-Whitney with midranks; variance: DeLong et al. (1988) Biometrics
44:837 for independent rows, Obuchowski (1997) Biometrics 53:567 for clustered ones (they agree
where every row is its own subject). Average precision: step-wise, ties by threshold; variance by
its influence function, summed by subject.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.intervals import Floats

Index = NDArray[np.intp]
SliceCodes = NDArray[np.uint16] | NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Rows by ascending score: `rows` (n,), and `rank` (n,) of each, equal scores sharing one."""

    rows: Index
    rank: NDArray[np.int32]

    @staticmethod
    def of(scores: Floats) -> Order:
        rows = np.argsort(scores)
        sorted_scores = scores[rows]
        new = np.empty(len(rows), dtype=bool)
        new[:1] = False
        np.not_equal(sorted_scores[1:], sorted_scores[:-1], out=new[1:])
        return Order(rows, np.cumsum(new, dtype=np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Rows by slice, then score, in groups of equal scores.

    - `rows` (n,), `positive` (n,): the rows and whether each is of the class
    - `group` (n,): the row's group; None where no two scores of a slice are equal
    - `positives`, `negatives` (groups,): rows of each in a group; `lower_positives`, `lower_negatives`
      (groups,): rows of each in the slice's lower groups; `slice_of` (groups,)
    - `offsets` (slices + 1,): where a slice's groups begin
    """

    rows: Index
    positive: NDArray[np.bool_]
    group: Index | None
    positives: Floats
    negatives: Floats
    lower_positives: Floats
    lower_negatives: Floats
    slice_of: SliceCodes
    offsets: Index

    @staticmethod
    def of(order: Order, positive: NDArray[np.bool_], codes: Codes, n_slices: int) -> Runs:
        rows, rank = order.rows, order.rank
        if n_slices > 1:
            # a stable sort of small integers is a radix sort: the scores are sorted only once
            small: SliceCodes = (codes.astype(np.uint16) if n_slices <= 1 << 16 else codes)[rows]
            by_slice = np.argsort(small, kind="stable")
            rows, rank, slice_of = rows[by_slice], rank[by_slice], small[by_slice]
        else:
            slice_of = np.zeros(len(rows), dtype=np.int32)
        hit = positive[rows]
        new = np.empty(len(rows), dtype=bool)
        new[:1] = True
        np.not_equal(rank[1:], rank[:-1], out=new[1:])
        new[1:] |= slice_of[1:] != slice_of[:-1]
        starts = np.flatnonzero(new)
        group: Index | None = None
        positives = hit.astype(np.float64)
        negatives = 1.0 - positives
        if len(starts) < len(rows):
            group = np.cumsum(new) - 1
            sizes = np.diff(starts, append=len(rows))
            positives = np.add.reduceat(positives, starts)
            negatives = sizes - positives
            slice_of = slice_of[starts]
        offsets = np.searchsorted(slice_of, np.arange(n_slices + 1))
        lower_positives = _running(positives, offsets, slice_of) - positives
        lower_negatives = _running(negatives, offsets, slice_of) - negatives
        return Runs(rows, hit, group, positives, negatives, lower_positives, lower_negatives, slice_of, offsets)

    def up_to(self, counts: Floats) -> Floats:
        """Sum of `counts` (groups,) over the groups of the same slice that score no higher."""
        return _running(counts, self.offsets, self.slice_of)

    def spread(self, at_positive: Floats, at_negative: Floats) -> Floats:
        """A row's value from its group's: (n,), aligned with `rows`."""
        if self.group is not None:
            at_positive, at_negative = at_positive[self.group], at_negative[self.group]
        return np.where(self.positive, at_positive, at_negative)


def _running(counts: Floats, offsets: Index, slice_of: SliceCodes) -> Floats:
    """Cumulative sums (groups,) that start anew in every slice."""
    running = np.cumsum(counts)
    if len(offsets) > 2:
        running -= np.concatenate(([0.0], running))[offsets[:-1]][slice_of]
    return running


@dataclass(frozen=True, slots=True, eq=False)
class Ranked:
    """A ranking metric on every slice; arrays (slices,), NaN where undefined.

    `influence` (n,), aligned with the decisions' rows, holds each row's first-order share in
    (estimate - truth); None unless asked for.
    """

    value: Floats
    variance: Floats
    positives: Floats
    negatives: Floats
    influence: Floats | None


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


def clustered_variance(influence: Floats, units: Units) -> Floats:
    """Variance of a sum of row influences (n,): k/(k-1) sum over subjects of their squared sum."""
    per_unit = np.bincount(units.of_row, weights=influence, minlength=units.count)
    k = units.per_slice.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(k > 1, k / (k - 1), np.nan) * segment_sum(per_unit**2, units.offsets)


def auroc(runs: Runs, units: Units | None, *, influence: bool = False) -> Ranked:
    """Area under the ROC curve with its (clustered) DeLong variance.

    NaN where a slice lacks positives or negatives; the variance is NaN where either comes from
    one unit alone.
    """
    P, N = runs.positives, runs.negatives
    p, n = segment_sum(P, runs.offsets), segment_sum(N, runs.offsets)
    s = runs.slice_of
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = runs.lower_negatives + N / 2
        value = segment_sum(P * lower, runs.offsets) / (p * n)
        at_positive = lower / n[s]
        at_positive -= value[s]
        at_negative = (runs.lower_positives + P / 2) / -p[s]
        at_negative += (1 - value)[s]
        if units is None:
            s10 = segment_sum(P * at_positive**2, runs.offsets) / (p - 1)
            s01 = segment_sum(N * at_negative**2, runs.offsets) / (n - 1)
            variance = s10 / p + s01 / n
        else:
            variance = _obuchowski(runs, units, at_positive, at_negative, p, n)
        shares = _by_row(runs, at_positive / p[s], at_negative / n[s]) if influence else None
    return Ranked(value, np.where((p > 0) & (n > 0), variance, np.nan), p, n, shares)


def _by_row(runs: Runs, at_positive: Floats, at_negative: Floats) -> Floats:
    out = np.empty(len(runs.rows))
    out[runs.rows] = runs.spread(at_positive, at_negative)
    return out


def _obuchowski(runs: Runs, units: Units, at_positive: Floats, at_negative: Floats, p: Floats, n: Floats) -> Floats:
    deviation = runs.spread(at_positive, at_negative)
    unit = units.of_row[runs.rows]
    hit = runs.positive

    def summed(rows: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        sums: Floats = np.bincount(unit[rows], weights=deviation[rows], minlength=units.count).astype(np.float64)
        holders = np.bincount(unit[rows], minlength=units.count) > 0
        return sums, segment_sum(holders, units.offsets)

    x, with_positive = summed(hit)
    y, with_negative = summed(~hit)
    k = units.per_slice.astype(np.float64)

    def inflate(count: Floats) -> Floats:
        return np.where(count > 1, count / (count - 1), np.nan)

    s10 = inflate(with_positive) * segment_sum(x**2, units.offsets) / p
    s01 = inflate(with_negative) * segment_sum(y**2, units.offsets) / n
    s11 = np.where(k > 1, k / (k - 1), 0.0) * segment_sum(x * y, units.offsets)
    return np.asarray(np.maximum(s10 / p + s01 / n + 2 * s11 / (p * n), 0.0))


def average_precision(runs: Runs, units: Units | None, *, influence: bool = False) -> Ranked:
    """Average precision, sum over thresholds of precision times the step in recall.

    NaN where a slice has no positives. The derivative of AP with respect to a row's weight is
    [y (precision - AP) + sum over positives i scored no higher of (y - precision_i) / N_i] / P,
    N_i rows scored at least as high as i.
    """
    P, N = runs.positives, runs.negatives
    p, n = segment_sum(P, runs.offsets), segment_sum(N, runs.offsets)
    s = runs.slice_of
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = p[s] - runs.lower_positives
        called = hits + n[s] - runs.lower_negatives
        precision = hits / called
        value = segment_sum(P * precision, runs.offsets) / p
        step = P / called
        lift = runs.up_to(step)
        step *= precision
        drop = runs.up_to(step)
        at_positive = (precision - value[s] + lift - drop) / p[s]
        at_negative = -drop / p[s]
        if units is None:
            total = p + n
            squares = segment_sum(P * at_positive**2 + N * at_negative**2, runs.offsets)
            variance = np.where(total > 1, total / (total - 1), np.nan) * squares
            shares = _by_row(runs, at_positive, at_negative) if influence else None
        else:
            shares = np.nan_to_num(_by_row(runs, at_positive, at_negative))
            variance = clustered_variance(shares, units)
    return Ranked(value, np.where(p > 0, variance, np.nan), p, n, shares)
