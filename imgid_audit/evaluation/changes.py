"""What changed between two runs: every metric on every slice, with an interval that knows the pairing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.evaluation.breakdowns import breakdowns
from imgid_audit.evaluation.compared import Compared, compare, flips_by_unit
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.flips import flip_test
from imgid_audit.stats.hypotheses import holm
from imgid_audit.stats.measured import Measured


@dataclass(frozen=True, slots=True)
class Change:
    """A metric on one slice in both runs. `value` is second - first.

    - `interval`: None exactly where `value` is `Undefined`; `p_value` tests that it is 0 and
      `p_adjusted` is Holm-adjusted over all the changes of the comparison
    - `support`, `subjects`: rows, and subjects, that count in the first and in the second run
    """

    metric: str
    class_name: str | None
    slice: Slice
    first: float | Undefined
    second: float | Undefined
    value: float | Undefined
    interval: Interval | None
    p_value: float | None
    p_adjusted: float | None
    support: tuple[int, int]
    subjects: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Flips:
    """Rows of one slice that the runs answer differently: `lost` right in the first alone, `gained` in the second.

    `p_value` tests that they flip as often one way as the other, `p_adjusted` is Holm's over the slices.
    """

    slice: Slice
    rows: int
    gained: int
    lost: int
    subjects: int | None
    p_value: float | None
    p_adjusted: float | None
    method: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All changes; `flips` are there for paired runs alone."""

    paired: bool
    changes: tuple[Change, ...]
    flips: tuple[Flips, ...]


def changes(
    first: Decisions,
    second: Decisions,
    metrics: Sequence[str],
    intervals: IntervalSpec,
    *,
    intersections: tuple[tuple[str, ...], ...] = (),
    paired: bool,
) -> Changes:
    """Compare two runs of one task on the total, each attribute's levels and each intersection.

    `paired`: row i of one is row i of the other, as `pairing.pair` makes them; else the two are
    compared as independent samples, on the slices that either has. Raises `InputError` for an
    attribute that is not in both.
    """
    found: list[tuple[tuple[str, str | None, Slice], Change]] = []
    flips: list[Flips] = []
    rows = Rows(first), Rows(second)
    parts = zip(breakdowns(first, intersections), breakdowns(second, intersections), strict=True)
    for one, two in parts:
        joint = (one, two) if paired else joined(one, two)
        samples = Sample(rows[0], joint[0], intervals), Sample(rows[1], joint[1], intervals)
        for name in metrics:
            for pair in compare(METRICS[name], *samples, paired=paired):
                hypothesis = METRICS[name].hypothesis
                made = _changes(pair, intervals.level)
                found += [((hypothesis, change.class_name, change.slice), change) for change in made]
        if paired:
            flips += _flips(*samples)
    return Changes(paired, _adjusted(found), _adjusted_flips(flips))


def joined(first: Breakdown, second: Breakdown) -> tuple[Breakdown, Breakdown]:
    """Both breakdowns over the slices that either has, the first one's first."""
    slices = (*first.slices, *(where for where in second.slices if where not in set(first.slices)))
    place = {where: i for i, where in enumerate(slices)}
    code = np.array([place[where] for where in second.slices], dtype=np.int32)
    codes = code[second.codes] if len(code) else second.codes
    return replace(first, slices=slices), replace(second, slices=slices, codes=codes)


def _changes(pair: Compared, level: float) -> Iterator[Change]:
    band, undefined = pair.band, pair.undefined
    value = band.value
    low, high = band.limits(level)
    methods, p_values = band.methods(level), pair.p_values()
    for i, where in enumerate(pair.first.breakdown.slices):
        reason = undefined[i]
        support = int(pair.first.support[i]), int(pair.second.support[i])
        subjects = None
        if pair.first.subjects is not None and pair.second.subjects is not None:
            subjects = int(pair.first.subjects[i]), int(pair.second.subjects[i])
        interval = None
        if reason is None:
            interval = Interval(float(low[i]), float(high[i]), level, methods[i])
        yield Change(
            pair.first.metric,
            pair.first.class_name,
            where,
            _value(pair.first, i),
            _value(pair.second, i),
            float(value[i]) if reason is None else reason,
            interval,
            float(p_values[i]) if reason is None else None,
            None,
            support,
            subjects,
        )


def _value(measured: Measured, i: int) -> float | Undefined:
    reason = measured.undefined[i]
    return float(measured.value[i]) if reason is None else reason


def _flips(first: Sample, second: Sample) -> Iterator[Flips]:
    """Rows right in one run alone, slice by slice."""
    right = [one.rows.decisions.label == one.rows.decisions.predicted for one in (first, second)]
    every = np.ones(len(right[0]), dtype=bool)
    held = flips_by_unit(first, right[0], right[1], every)
    for i, where in enumerate(first.breakdown.slices):
        unit = slice(int(held.offsets[i]), int(held.offsets[i + 1]))
        gained, lost, rows = (int(part[unit].sum()) for part in (held.gained, held.lost, held.rows))
        subjects = None if first.units is None else int(first.sampled[i])
        p_value, method = None, "no rows"
        if rows:
            net = (held.gained[unit] - held.lost[unit]).astype(np.int64)
            p_value, method = flip_test(net, first.units is not None)
        yield Flips(where, rows, gained, lost, subjects, p_value, None, method)


def _adjusted(found: Sequence[tuple[tuple[str, str | None, Slice], Change]]) -> tuple[Change, ...]:
    """Holm over the distinct hypotheses; complements (recall and false negative rate) share one."""
    p = {name: change.p_value for name, change in found if change.p_value is not None}
    adjusted = dict(zip(p, holm(np.array(list(p.values()), dtype=np.float64)), strict=True))
    return tuple(
        change if change.p_value is None else replace(change, p_adjusted=max(change.p_value, float(adjusted[name])))
        for name, change in found
    )


def _adjusted_flips(flips: Sequence[Flips]) -> tuple[Flips, ...]:
    tested = [i for i, one in enumerate(flips) if one.p_value is not None]
    adjusted = dict(zip(tested, holm(np.array([flips[i].p_value for i in tested], dtype=np.float64)), strict=True))
    return tuple(replace(one, p_adjusted=float(adjusted[i])) if i in adjusted else one for i, one in enumerate(flips))
