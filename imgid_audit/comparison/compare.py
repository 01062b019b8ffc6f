"""Methods against a baseline: estimates, changes, and the one verdict of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np

from imgid_audit.comparison.changes import change, change_interval, mean_interval, undefined_change
from imgid_audit.comparison.levelling import levelled_down
from imgid_audit.comparison.levels import Network
from imgid_audit.comparison.quantities import (
    Frame,
    Key,
    frame,
    networks,
    primary_key,
    primary_series,
    quantities,
)
from imgid_audit.comparison.runs import Compared, ComparisonSpec, MethodRuns, check_same_rows
from imgid_audit.comparison.series import Series
from imgid_audit.core.comparison import ChangeVerdict, MethodChange, MethodEstimate, Primary
from imgid_audit.core.policy import Forms
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Breakdown
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.metrics import METRICS
from imgid_audit.stats.hypotheses import holm
from imgid_audit.stats.seeds import OverSeeds

Changes = dict[Key, MethodChange]


def compare_methods(baseline: MethodRuns, methods: Sequence[MethodRuns], spec: ComparisonSpec) -> Compared:
    """Estimate everything of every method, and its change against the baseline, paired by seed and test row.

    Quantities of one network are computed first (the worst group is that network's own), then averaged over
    seeds. Exactly one change of each method has a verdict: the primary quantity, where the networks were
    selected as declared; its p-values are adjusted over those methods (Holm 1979), of which one whose change
    is undefined counts with p = 1. Where levels are picked, Holm adjusts the p-values of the changes alone, and
    an adjusted one is never below that with picks on other rows. Groups and classes that the baseline leaves
    without enough rows, or that are ignored, stay out of the worst and the gap of every method. Pure: the same
    arguments give the same result. Raises ValueError for rows or seeds that are not those of the baseline,
    `InputError` for an unknown attribute or a class that the primary metric has not.
    """
    for method in (baseline, *methods):
        check_same_rows(baseline, method)
    spec = _closed(spec)
    base = networks(baseline, spec)
    shape = frame(base, spec, *_breakdowns(baseline.decisions[0], spec))
    before = quantities(base, _recalibrated(baseline, spec), shape)
    estimates = list(_estimates(baseline, before, spec))
    changes: list[tuple[Changes, float | None]] = []
    for method in methods:
        after = quantities(networks(method, spec), _recalibrated(method, spec), shape)
        estimates += _estimates(method, after, spec)
        changes.append(_changes(method, before, after, shape))
    judged = _judged([one.selected == "declared" for one in methods], changes, shape)
    levelled = [levelled_down(one, before, shape) for one in judged]
    return Compared(tuple(estimates), tuple(each for one in levelled for each in one.values()), shape.left_out)


def primary_changes(baseline: MethodRuns, methods: Sequence[MethodRuns], spec: ComparisonSpec) -> list[MethodChange]:
    """The primary change of each method as `compare_methods` gives it, at a fraction of the cost; no levelling down."""
    for method in (baseline, *methods):
        check_same_rows(baseline, method)
    spec = _closed(spec)
    base = networks(baseline, spec)
    shape = frame(base, spec, *_breakdowns(baseline.decisions[0], spec))
    key, before = primary_key(shape), primary_series(base, shape)
    found = [
        _changes(method, {key: before}, {key: primary_series(networks(method, spec), shape)}, shape)
        for method in methods
    ]
    return [one[key] for one in _judged([one.selected == "declared" for one in methods], found, shape)]


def primary_value(decisions: Decisions, spec: ComparisonSpec) -> float | None:
    """The primary quantity of one network's decisions; None where it is undefined."""
    value = primary_or_why(decisions, spec)
    return None if isinstance(value, Undefined) else value


def primary_or_why(decisions: Decisions, spec: ComparisonSpec) -> float | Undefined:
    """The primary quantity of one network's decisions."""
    one = [Network(decisions, _closed(spec).intervals)]
    found = primary_series(one, frame(one, spec, *_breakdowns(decisions, spec)))
    undefined = found.undefined[0]
    return float(found.values[0]) if undefined is None else undefined


def primary_left_out(decisions: Decisions, spec: ComparisonSpec) -> Mapping[str, str]:
    """What the primary quantity of one network's decisions leaves out: groups, or classes, with the reason."""
    if spec.primary.quantity == "overall":
        return {}
    one = [Network(decisions, _closed(spec).intervals)]
    shape = frame(one, spec, *_breakdowns(decisions, spec))
    classes = {f"class {label}" for label in decisions.task.labels}
    wanted = spec.primary.quantity == "worst_class"
    return {name: why for name, why in shape.left_out.items() if (name in classes) == wanted}


def _closed(spec: ComparisonSpec) -> ComparisonSpec:
    """Closed forms alone: a bootstrap for every network would cost more than the networks."""
    forms = replace(spec.intervals.forms, mean=Forms().mean)
    return replace(spec, intervals=replace(spec.intervals, forms=forms))


def _breakdowns(decisions: Decisions, spec: ComparisonSpec) -> tuple[Breakdown, Breakdown | None]:
    across = spec.primary.across
    return breakdown(decisions, ()), breakdown(decisions, across) if across else None


def _recalibrated(runs: MethodRuns, spec: ComparisonSpec) -> list[Network] | None:
    if runs.recalibrated is None:
        return None
    return [Network(one, spec.intervals) for one in runs.recalibrated]


def _estimates(runs: MethodRuns, found: Mapping[Key, Series], spec: ComparisonSpec) -> Iterator[MethodEstimate]:
    """The mean over seeds and every seed of each quantity."""
    for key, series in found.items():
        yield _mean_estimate(runs, series, key[-1], spec)
        for s, seed in enumerate(runs.seeds):
            yield _seed_estimate(runs, series, s, seed, key[-1], spec)


def _mean_estimate(runs: MethodRuns, series: Series, recalibrated: bool, spec: ComparisonSpec) -> MethodEstimate:
    mean, a = _mean(series, runs.seeds), series.usual
    counts: tuple[int | None, int | None, int | None] = (None, None, None)
    if a is not None:
        held = [one.subjects for one in series.levels]
        support = min(int(one.support[a]) for one in series.levels)
        subjects = None if held[0] is None else min(int(one[a]) for one in held if one is not None)
        counts = int(series.levels[0].n[a]), support, subjects
    return MethodEstimate(
        runs.name, None, series.quantity, series.metric, series.class_of(a), series.slice_of(a),
        mean, None if isinstance(mean, Undefined) else mean_interval(series, spec.intervals.level),
        *counts, recalibrated, runs.selected,
    )  # fmt: skip


def _seed_estimate(
    runs: MethodRuns, series: Series, s: int, seed: int, recalibrated: bool, spec: ComparisonSpec
) -> MethodEstimate:
    undefined, a, levels = series.undefined[s], series.picked[s], series.levels[s]
    interval = None
    if undefined is None and a is not None and series.quantity in ("overall", "group"):
        interval = Interval(float(levels.low[a]), float(levels.high[a]), spec.intervals.level, levels.methods[a])
    subjects = None if a is None or levels.subjects is None else int(levels.subjects[a])
    return MethodEstimate(
        runs.name, seed, series.quantity, series.metric, series.class_of(a), series.slice_of(a),
        float(series.values[s]) if undefined is None else undefined, interval,
        None if a is None else int(levels.n[a]), None if a is None else int(levels.support[a]), subjects,
        recalibrated, runs.selected,
    )  # fmt: skip


def _changes(
    runs: MethodRuns, before: Mapping[Key, Series], after: Mapping[Key, Series], shape: Frame
) -> tuple[Changes, float | None]:
    """Every quantity's change, and the p-value alone of the primary one's where it is judged and defined.

    Recalibrated scores are compared with the baseline's, recalibrated too if they are.
    """
    found: Changes = {}
    alone = None
    for key, series in after.items():
        against = before.get(key) or before[*key[:-1], False]
        told, over = _change(runs, against, series, key[-1], shape)
        if key == primary_key(shape) and over is not None and runs.selected == "declared":
            told, alone = replace(told, p_value=over.p_value()), over.p_alone()
        found[key] = told
    return found, alone


def _change(
    runs: MethodRuns, first: Series, second: Series, recalibrated: bool, shape: Frame
) -> tuple[MethodChange, OverSeeds | None]:
    level, subject = shape.spec.intervals.level, runs.decisions[0].subject
    a = first.usual if first.quantity != "gap" else None
    told = MethodChange(
        runs.name, second.quantity, second.metric, first.class_of(a), first.slice_of(a), 0.0, None,
        _mean(first, runs.seeds), _mean(second, runs.seeds), recalibrated=recalibrated, selected=runs.selected,
    )  # fmt: skip
    undefined = undefined_change(first, second, runs.seeds)
    if undefined is not None:
        return replace(told, value=undefined), None
    found = change(first, second, None if subject is None else subject.codes)
    interval = change_interval(found, second, level, subject is not None)
    told = replace(told, value=found.value, interval=interval, seed_error=found.seed_error, test_error=found.test_error)
    return told, found


def _mean(series: Series, seeds: Sequence[int]) -> float | Undefined:
    undefined = series.whole(seeds)
    return float(series.values.mean()) if undefined is None else undefined


def _judged(declared: Sequence[bool], changes: Sequence[tuple[Changes, float | None]], shape: Frame) -> list[Changes]:
    """The same changes, with the primary one of each declared method adjusted over them and judged."""
    key, alpha = primary_key(shape), 1 - shape.spec.intervals.level
    # a method that ran is one of the family, also where its change is undefined
    family = [i for i in range(len(changes)) if declared[i]]
    p = [1.0 if (alone := changes[i][1]) is None else alone for i in family]
    adjusted = dict(zip(family, holm(np.array(p, dtype=np.float64)).tolist(), strict=True))
    out = []
    for i, (one, _) in enumerate(changes):
        if declared[i]:
            p_value = one[key].p_value
            of = None if p_value is None else max(adjusted[i], p_value)
            told = replace(one[key], p_adjusted=of, verdict=_verdict(one[key].value, of, alpha, shape.spec.primary))
            one = {**one, key: told}
        out.append(one)
    return out


def _verdict(value: float | Undefined, adjusted: float | None, alpha: float, primary: Primary) -> ChangeVerdict:
    better = "lower" if primary.quantity == "gap" else METRICS[primary.metric].better
    if isinstance(value, Undefined) or adjusted is None or adjusted > alpha or better is None or value == 0:
        return "no evidence"
    return "helps" if (value > 0) == (better == "higher") else "harms"
