"""Gaps of an evaluation: every metric and class over every breakdown, and the named criteria."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.result import Gap, GapKind, Interval, Undefined
from imgid_audit.core.slices import Breakdown
from imgid_audit.metrics import METRICS
from imgid_audit.stats.envelope import envelope
from imgid_audit.stats.gaps import Disparity, disparity, joined, pairs_of
from imgid_audit.stats.hypotheses import equality, holm
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.requested import pair_method

KINDS: tuple[GapKind, ...] = ("difference", "ratio")


@dataclass(frozen=True, slots=True)
class Criterion:
    """A fairness criterion that is the gap of one metric or of several joined.

    Those that are one metric's own gap under another name are not `reported` again beside it.

    Source: Hardt et al. (2016) for equalized odds, Dwork et al. (2012) for demographic parity;
    maximum and mean as in fairlearn's equalized_odds_difference(agg=...).
    """

    name: str
    summary: str
    parts: tuple[str, ...]
    how: Literal["worst", "mean"]
    hypothesis: str
    reported: bool = True


CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion(
            "equalized_odds",
            "larger of the gaps of recall and false positive rate",
            ("recall", "false_positive_rate"),
            "worst",
            "equalized_odds",
        ),
        Criterion(
            "equalized_odds_mean",
            "mean of the gaps of recall and false positive rate",
            ("recall", "false_positive_rate"),
            "mean",
            "equalized_odds",
        ),
        Criterion("demographic_parity", "gap of the selection rate", ("selection_rate",), "worst", "selection_rate"),
        Criterion("equal_opportunity", "gap of the recall", ("recall",), "worst", "recall", reported=False),
        Criterion("predictive_parity", "gap of the precision", ("precision",), "worst", "precision", reported=False),
    )
}


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A gap with the name of the hypothesis whose p-value it carries."""

    gap: Gap
    name: tuple[str, str | None, str]


def gaps_of(measured: Measured, intervals: IntervalSpec) -> tuple[Hypothesis, ...]:
    """Difference and ratio of one metric and class over a breakdown with attributes."""
    metric = METRICS[measured.metric]
    p_value = equality(measured.band, measured.defined)
    name = (metric.hypothesis, measured.class_name, measured.breakdown.name)
    pairs = pairs_of(int(measured.defined.sum()))
    found = []
    for kind in KINDS:
        part = _disparity(measured, kind, intervals, 1)
        method = f"{pair_method(measured.band, kind).name}, {_together(pairs)}"
        gap = _gap(measured.metric, measured.class_name, measured.breakdown, kind, part, intervals, method, p_value)
        if kind == "difference" and not isinstance(part, Undefined):
            gap = replace(gap, envelope=envelope([(measured.band, measured.defined)], intervals.level))
        found.append(Hypothesis(gap, name))
    return tuple(found)


def criterion_gaps(criterion: Criterion, parts: Sequence[Measured], intervals: IntervalSpec) -> tuple[Hypothesis, ...]:
    """Difference and ratio of a criterion from its parts, measured over the same breakdown."""
    first = parts[0]
    tests = [equality(part.band, part.defined) for part in parts]
    known = [p for p in tests if p is not None]
    p_value = min(1.0, len(parts) * min(known)) if len(known) == len(parts) else None
    name = (criterion.hypothesis, first.class_name, first.breakdown.name)
    pairs = sum(pairs_of(int(part.defined.sum())) for part in parts)
    found = []
    for kind in KINDS:
        gaps = [_disparity(part, kind, intervals, len(parts)) for part in parts]
        undefined = [
            f"{part.metric}: {gap.reason}" for part, gap in zip(parts, gaps, strict=True) if isinstance(gap, Undefined)
        ]
        whole: Disparity | Undefined
        if undefined:
            whole = Undefined("not_applicable", "; ".join(undefined))
        else:
            whole = joined(tuple(gap for gap in gaps if isinstance(gap, Disparity)), kind, criterion.how)
        method = f"{pair_method(first.band, kind).name}, {_together(pairs)}"
        gap = _gap(criterion.name, first.class_name, first.breakdown, kind, whole, intervals, method, p_value)
        if kind == "difference" and not isinstance(whole, Undefined):
            noise = envelope([(part.band, part.defined) for part in parts], intervals.level, criterion.how)
            gap = replace(gap, envelope=noise)
        found.append(Hypothesis(gap, name))
    return tuple(found)


def adjust(found: Sequence[Hypothesis]) -> tuple[Gap, ...]:
    """Holm over the distinct hypotheses of the audit; gaps that share one share its p-value."""
    p: dict[tuple[str, str | None, str], float] = {}
    for one in found:
        if one.gap.p_value is not None:
            p.setdefault(one.name, one.gap.p_value)
    names = list(p)
    adjusted = dict(zip(names, holm(np.array([p[name] for name in names], dtype=np.float64)), strict=True))
    # complements share a hypothesis, and their p-values differ by rounding
    return tuple(
        one.gap
        if one.gap.p_value is None
        else replace(one.gap, p_adjusted=max(one.gap.p_value, float(adjusted[one.name])))
        for one in found
    )


def _disparity(measured: Measured, kind: GapKind, intervals: IntervalSpec, families: int) -> Disparity | Undefined:
    used = measured.defined
    if used.sum() < 2:
        scored = {reason.reason for reason in measured.undefined if reason and reason.kind == "not_applicable"}
        why = scored.pop() if scored else f"defined on {int(used.sum())} of {len(used)} levels; a gap needs two"
        return Undefined("not_applicable", why)
    if kind == "ratio" and METRICS[measured.metric].bounds[0] < 0:
        return Undefined("not_applicable", f"{measured.metric} may be negative; a ratio has no meaning")
    if kind == "ratio" and not measured.value[used].max() > 0:
        return Undefined("not_applicable", "every level is 0; the ratio has no denominator")
    return disparity(measured.band, used, kind, intervals.level, METRICS[measured.metric].better, families)


def _together(pairs: int) -> str:
    return "one pair" if pairs == 1 else f"simultaneous over {pairs} pairs (Tukey)"


def _gap(
    metric: str,
    class_name: str | None,
    breakdown: Breakdown,
    kind: GapKind,
    found: Disparity | Undefined,
    intervals: IntervalSpec,
    method: str,
    p_value: float | None,
) -> Gap:
    if isinstance(found, Undefined):
        return Gap(metric, class_name, breakdown.name, kind, found, None, None, None, p_value, None)
    interval = Interval(found.low, found.high, intervals.level, method)
    best, worst = breakdown.slices[found.best], breakdown.slices[found.worst]
    return Gap(metric, class_name, breakdown.name, kind, found.value, interval, best, worst, p_value, None)
