"""Ranking metrics of one class on every slice, from one sort of the scores.

Area under the ROC curve: Mann-Whitney with midranks; variance: DeLong et al. (1988) Biometrics
44:837 for independent rows, Obuchowski (1997) Biometrics 53:567 for clustered ones (they agree
where every row is its own subject). Average precision: step-wise, ties by threshold; variance by
its influence function, summed by subject.

Both depend on the rows through the positives' scores and the negatives that fall on or between
them, so a slice is reduced to its `Steps`, whose length is the number of distinct positive scores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.units import Bools, Index, Units, clustered_variance, correction


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Rows by ascending score: `rows` (n,), and `rank` (n,) of each, equal scores sharing one.

    `rank` is None where no two scores are equal.
    """

    rows: Index
    rank: NDArray[np.int32] | None

    @staticmethod
    def of(scores: Floats) -> Order:
        rows = np.argsort(scores)
        ordered = scores[rows]
        new = ordered[1:] != ordered[:-1]
        if new.all():
            return Order(rows, None)
        return Order(rows, np.cumsum(np.concatenate(([False], new)), dtype=np.int32))


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Rows by slice, then by ascending score; slice s holds `offsets[s]` to `offsets[s + 1]`.

    `rows`, `positive` (of the class) and `rank` have shape (n,); `rank` is None without ties.
    """

    rows: Index
    positive: Bools
    rank: NDArray[np.int32] | None
    offsets: Index

    @staticmethod
    def of(order: Order, positive: Bools, codes: Codes, n_slices: int) -> Runs:
        rows, rank = order.rows, order.rank
        if n_slices > 1:
            # a stable sort of small integers is a radix sort: the scores are sorted only once
            width = np.uint8 if n_slices <= 1 << 8 else np.uint16 if n_slices <= 1 << 16 else np.int32
            by_slice = np.argsort(codes.astype(width)[rows], kind="stable")
            rows, rank = rows[by_slice], None if rank is None else rank[by_slice]
        sizes = np.bincount(codes, minlength=n_slices)
        return Runs(rows, positive[rows], rank, np.concatenate(([0], np.cumsum(sizes))))

    def steps(self, index: int) -> Steps:
        """The slice's positives and negatives in order of score."""
        part = slice(self.offsets[index], self.offsets[index + 1])
        return Steps.of(self.positive[part], None if self.rank is None else self.rank[part])


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The distinct scores of a slice's positives, ascending, arrays (steps,).

    - `held`: positives with the score; `tied`: negatives with it; `between`: negatives strictly
      between the previous step and this one; `above`: negatives above the last step
    """

    held: Floats
    tied: Floats
    between: Floats
    above: float

    @staticmethod
    def of(positive: Bools, rank: NDArray[np.int32] | None) -> Steps:
        at = np.flatnonzero(positive)
        if rank is None:
            first, last = at, at + 1
            held = np.ones(len(at))
        else:
            ranks, counts = np.unique(rank[at], return_counts=True)
            first, last = np.searchsorted(rank, ranks, "left"), np.searchsorted(rank, ranks, "right")
            held = counts.astype(np.float64)
        previous = np.concatenate(([0], last[:-1])) if len(last) else last
        above = len(positive) - last[-1] if len(last) else len(positive)
        return Steps(held, (last - first) - held, (first - previous).astype(np.float64), float(above))

    @property
    def negatives(self) -> float:
        return float(self.tied.sum() + self.between.sum() + self.above)


@dataclass(frozen=True, slots=True, eq=False)
class Derivatives:
    """A functional of the ranking and the derivative of it with respect to each row's weight.

    Rows of a kind share theirs: positives `held`, negatives `tied` and `between`, as in `Steps`;
    `above` is one number.
    """

    value: float
    held: Floats
    tied: Floats
    between: Floats
    above: float

    def squares(self, steps: Steps) -> tuple[float, float]:
        """Sum of squares over positives and over negatives."""
        positive = (steps.held * self.held**2).sum()
        negative = (steps.tied * self.tied**2).sum() + (steps.between * self.between**2).sum()
        return float(positive), float(negative + steps.above * self.above**2)

    def by_row(self, positive: Bools, rank: NDArray[np.int32] | None) -> Floats:
        """Each row's derivative, aligned with a slice's rows in ascending order."""
        seen = np.cumsum(positive)
        if rank is None:
            between = np.append(self.between, self.above)[seen]
            return np.where(positive, self.held[np.maximum(seen - 1, 0)], between)
        ranks = np.unique(rank[positive])
        step = np.searchsorted(ranks, rank, "left")
        is_tied = np.append(ranks, -1)[step] == rank
        tied, held = np.append(self.tied, 0.0)[step], np.append(self.held, 0.0)[step]
        return np.where(positive, held, np.where(is_tied, tied, np.append(self.between, self.above)[step]))


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


def _auroc_of(steps: Steps) -> Derivatives:
    """Derivatives: (share of negatives below - A) / P for a positive, likewise for a negative."""
    positives, negatives = steps.held.sum(), steps.negatives
    below = np.cumsum(steps.between + steps.tied) - steps.tied / 2
    lower = np.cumsum(steps.held) - steps.held
    value = float((steps.held * below).sum() / (positives * negatives))
    return Derivatives(
        value,
        (below / negatives - value) / positives,
        (1 - (lower + steps.held / 2) / positives - value) / negatives,
        (1 - lower / positives - value) / negatives,
        -value / negatives,
    )


def _average_precision_of(steps: Steps) -> Derivatives:
    """Derivatives [y (precision - AP) + sum over positives i scored no higher of (y - precision_i) / N_i] / P.

    N_i is the number of rows that score at least as high as positive i.
    """
    positives, negatives = steps.held.sum(), steps.negatives
    hits = positives - (np.cumsum(steps.held) - steps.held)
    called = hits + negatives - (np.cumsum(steps.between + steps.tied) - steps.tied)
    precision = hits / called
    value = float((steps.held * precision).sum() / positives)
    gain = np.cumsum(steps.held / called)
    cost = np.cumsum(steps.held * precision / called)
    return Derivatives(
        value,
        (precision - value + gain - cost) / positives,
        -cost / positives,
        -np.concatenate(([0.0], cost[:-1])) / positives,
        float(-cost[-1] / positives),
    )


def auroc(runs: Runs, units: Units | None, *, influence: bool = False) -> Ranked:
    """Area under the ROC curve with its (clustered) DeLong variance.

    NaN where a slice lacks positives or negatives; the variance is NaN where either comes from
    one unit alone.
    """
    found = _ranked(runs, units, _auroc_of, needs_negatives=True, influence=influence)
    if units is None or found.influence is None:
        return found
    is_positive = np.empty(len(runs.rows), dtype=bool)
    is_positive[runs.rows] = runs.positive
    at_positive, at_negative = (units.sums(found.influence, rows) for rows in (is_positive, ~is_positive))
    variance = (
        correction(units.holders(is_positive)) * segment_sum(at_positive**2, units.offsets)
        + correction(units.holders(~is_positive)) * segment_sum(at_negative**2, units.offsets)
        + 2 * correction(units.per_slice.astype(np.float64)) * segment_sum(at_positive * at_negative, units.offsets)
    )
    defined = np.isfinite(found.value)
    return Ranked(
        found.value,
        np.where(defined, np.maximum(variance, 0.0), np.nan),
        found.positives,
        found.negatives,
        found.influence,
    )


def average_precision(runs: Runs, units: Units | None, *, influence: bool = False) -> Ranked:
    """Average precision, the sum over thresholds of precision times the step in recall.

    NaN where a slice has no positives.
    """
    found = _ranked(runs, units, _average_precision_of, needs_negatives=False, influence=influence)
    if units is None or found.influence is None:
        return found
    variance = clustered_variance(found.influence, units)
    defined = np.isfinite(found.value)
    return Ranked(found.value, np.where(defined, variance, np.nan), found.positives, found.negatives, found.influence)


def _ranked(
    runs: Runs,
    units: Units | None,
    functional: Callable[[Steps], Derivatives],
    *,
    needs_negatives: bool,
    influence: bool,
) -> Ranked:
    """Value and derivatives of every slice; the variance of independent rows.

    That is n/(n-1) times the sum of squares over all rows, or, for a functional of two samples,
    over the positives and over the negatives apart.
    """
    slices = len(runs.offsets) - 1
    value, variance, positives, negatives = (np.full(slices, np.nan) for _ in range(4))
    shares = np.zeros(len(runs.rows)) if influence or units is not None else None
    for i in range(slices):
        steps = runs.steps(i)
        p, n = float(steps.held.sum()), steps.negatives
        positives[i], negatives[i] = p, n
        if p == 0 or (n == 0 and needs_negatives):
            continue
        found = functional(steps)
        value[i] = found.value
        over_positives, over_negatives = found.squares(steps)
        if needs_negatives and p > 1 and n > 1:
            variance[i] = p / (p - 1) * over_positives + n / (n - 1) * over_negatives
        elif not needs_negatives and p + n > 1:
            variance[i] = (p + n) / (p + n - 1) * (over_positives + over_negatives)
        if shares is not None:
            part = slice(runs.offsets[i], runs.offsets[i + 1])
            rank = None if runs.rank is None else runs.rank[part]
            shares[runs.rows[part]] = found.by_row(runs.positive[part], rank)
    return Ranked(value, variance, positives, negatives, shares)
