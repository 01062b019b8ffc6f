"""Each slice of an attribute against the best one, against all rows, and against a named reference."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.core.result import Against, Contrast, GapKind, Interval, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.metrics import METRICS
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.contrasts import against_slice, against_total, values
from imgid_audit.stats.intervals import Bounds, Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.requested import pair_method

KINDS: tuple[GapKind, ...] = ("difference", "ratio")
MOST_CLASSES = 20
"""With more classes than these only the macro mean has contrasts: a table of thousands helps nobody."""


def contrasts(found: Sequence[Measured], total: Sequence[Measured], spec: EvaluationSpec) -> Iterator[Contrast]:
    """The contrasts of a metric: `found` over a breakdown with attributes, `total` over all rows, class by class."""
    pairs = list(zip(found, total, strict=True))
    if len(pairs) > MOST_CLASSES + 1:
        pairs = [pair for pair in pairs if pair[0].class_name is None]
    for one, whole in pairs:
        if one.defined.sum() < 2:
            continue
        for kind in KINDS:
            if kind == "ratio" and METRICS[one.metric].bounds[0] < 0:
                continue
            yield from _against_slice(one, kind, spec, "best", best_of(one))
            if whole.defined[0]:
                yield from _against_total(one, whole, kind, spec)
            named = reference_of(one, spec.references)
            if named is not None and one.defined[named]:
                yield from _against_slice(one, kind, spec, "reference", named)


def best_of(measured: Measured) -> int:
    """Index of the best defined slice, in the metric's own direction; the highest for metrics without one."""
    value = np.where(measured.defined, measured.value, np.nan)
    return int(np.nanargmin(value) if METRICS[measured.metric].better == "lower" else np.nanargmax(value))


def reference_of(measured: Measured, references: Mapping[str, str]) -> int | None:
    """Index of the slice whose levels are all named references; None where an attribute has none."""
    names = measured.breakdown.attributes
    if any(name not in references for name in names):
        return None
    levels = tuple(references[name] for name in names)
    return next((i for i, where in enumerate(measured.breakdown.slices) if where.levels == levels), None)


def _against_slice(one: Measured, kind: GapKind, spec: EvaluationSpec, against: Against, at: int) -> Iterator[Contrast]:
    level = spec.intervals.level
    limits = against_slice(one.band, one.defined, at, kind, level, chosen=against == "best")
    difference = values(one.band, one.value[at], kind)
    together = "simultaneous over all pairs" if against == "best" else "simultaneous over the groups"
    method = f"{pair_method(one.band, kind).name}, {together}"
    where = one.breakdown.slices[at]
    yield from _rows(one, kind, against, where, difference, limits, level, method, skip=at)


def _against_total(one: Measured, whole: Measured, kind: GapKind, spec: EvaluationSpec) -> Iterator[Contrast]:
    level = spec.intervals.level
    share = one.support / max(1, int(whole.support[0])) if _is_mean_of_groups(one) else None
    limits = against_total(one.band, one.defined, whole.band, share, kind, level)
    difference = values(one.band, whole.value[0], kind)
    method = "MOVER, simultaneous over the groups"
    yield from _rows(one, kind, "overall", TOTAL, difference, limits, level, method, skip=None)


def _is_mean_of_groups(one: Measured) -> bool:
    """Whether the value of all rows is the groups' mean, weighted by the rows that count."""
    return isinstance(one.band, RateBand) or bool(getattr(METRICS[one.metric], "mean_of_rows", False))


def _rows(
    one: Measured,
    kind: GapKind,
    against: Against,
    reference: Slice,
    difference: Floats,
    limits: Bounds,
    level: float,
    method: str,
    skip: int | None,
) -> Iterator[Contrast]:
    """One contrast a defined slice, but for the reference itself."""
    for i in np.flatnonzero(one.defined):
        if i == skip:
            continue
        value: float | Undefined = float(difference[i])
        interval: Interval | None = None
        if math.isnan(float(difference[i])):
            value = Undefined("not_applicable", f"{reference} has the value 0; the ratio has no denominator")
        else:
            low, high = min(float(limits[0][i]), float(difference[i])), max(float(limits[1][i]), float(difference[i]))
            interval = Interval(low, high, level, method)
        where = one.breakdown.slices[int(i)]
        yield Contrast(one.metric, one.class_name, one.breakdown.name, where, against, reference, kind, value, interval)
