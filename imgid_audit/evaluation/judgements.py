"""The policy's rules, each answered from the measurements of its breakdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from imgid_audit.core.policy import IntervalSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Verdict, VerdictStatus
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.evaluation.bound_methods import bounds_method
from imgid_audit.evaluation.disparities import CRITERIA
from imgid_audit.evaluation.needed import Open, merged, plan
from imgid_audit.evaluation.wording import comparison_text, names, spoken, subject, worse_and_better
from imgid_audit.metrics import METRICS
from imgid_audit.stats.bands import Mask
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.verdicts import PAIRED, UPPER, Judgement, Part, Requirement, judge

Measurements = Mapping[str, tuple[Measured, ...]]
SEVERITY: tuple[VerdictStatus, ...] = ("fail", "not_evaluated", "inconclusive", "pass")
"""Where a rule holds for several classes, the first of these that a class has is the rule's."""


MOST_PLANNED = 10
"""Of more inconclusive classes only those with the worst bounds say what they need: they need the most."""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """A rule's answer for one class, before the classes are put together; `open` where it is inconclusive."""

    status: VerdictStatus
    reason: str
    judgement: Judgement | None
    worst: Slice | None
    open: Open | None = None


def metrics_of(rule: Rule) -> tuple[str, ...]:
    """The metrics that a rule reads: the one that its own is judged by, or its criterion's parts."""
    return CRITERIA[rule.metric].parts if rule.metric in CRITERIA else (METRICS[rule.metric].judged_as,)


def verdict(
    rule: Rule,
    breakdown: Breakdown,
    measurements: Measurements,
    decisions: Decisions,
    policy: Policy,
    intervals: IntervalSpec,
) -> Verdict:
    """Answer one rule; `measurements` has its metrics over its breakdown."""
    targets = _targets(rule, measurements, decisions)
    if isinstance(targets, str):
        return Verdict(rule.id, "not_evaluated", targets, None, None, None, rule.tolerance, None, None)
    answers = [_answer(rule, breakdown, parts, len(targets), policy, intervals) for parts in targets]
    status = next(status for status in SEVERITY if any(answer.status == status for answer in answers))
    ranked = _ranked([answer for answer in answers if answer.status == status], rule)
    leading, plans = ranked[0], [plan(one.open) for one in ranked[:MOST_PLANNED] if one.open is not None]
    found = leading.judgement
    needed = merged(plans)
    reason = leading.reason + (plans[0].said if plans else "")
    reason += f"; {names('left out', rule.ignore)}" if rule.ignore else ""
    counts = None if needed is None else {name: more.count for name, more in needed.items()}
    ranges = None if needed is None else {name: (more.low, more.high) for name, more in needed.items()}
    observed, low, high, method = None, None, None, None
    if found is not None:
        observed = found.observed
        low, high = (found.failing, found.passing) if _asks_upper(rule) else (found.passing, found.failing)
        method = bounds_method(rule, targets[answers.index(leading)], intervals.level)
    return Verdict(
        rule.id, status, reason, observed, low, high, rule.tolerance, leading.worst, counts,
        subjects_needed_range=ranges, method=method,
    )  # fmt: skip


def _targets(rule: Rule, measurements: Measurements, decisions: Decisions) -> list[tuple[Measured, ...]] | str:
    """The measured parts of each class that the rule speaks of, or why there is none."""
    task = decisions.task
    parts = [METRICS[name] for name in metrics_of(rule)]
    needing = [metric.name for metric in parts if metric.needs == "scores"]
    if needing and decisions.scores is None:
        return f"{spoken(rule.metric)} needs scores, and there are only predicted labels"
    classes: tuple[str | None, ...]
    if not all(metric.per_class for metric in parts):
        if rule.class_name is not None:
            return f"{spoken(rule.metric)} has no classes, and the rule names class {rule.class_name!r}"
        classes = (None,)
    elif rule.class_name is None:
        classes = tuple(task.labels[index] for index in task.scored_classes)
    elif task.kind == "multiclass" and rule.class_name == "macro" and "macro" not in task.labels:
        if not all(metric.macro for metric in parts):
            return f"{spoken(rule.metric)} has no macro mean"
        classes = (None,)
    elif rule.class_name in (task.labels[index] for index in task.scored_classes):
        classes = (rule.class_name,)
    else:
        known = ", ".join(repr(task.labels[index]) for index in task.scored_classes)
        return f"{spoken(rule.metric)} has no class {rule.class_name!r} in this {task.kind} task: it speaks of {known}"
    return [
        tuple(one for name in metrics_of(rule) for one in measurements[name] if one.class_name == class_name)
        for class_name in classes
    ]


def _answer(
    rule: Rule,
    breakdown: Breakdown,
    measured: tuple[Measured, ...],
    classes: int,
    policy: Policy,
    intervals: IntervalSpec,
) -> Answer:
    kept = np.array([not set(where.levels) & set(rule.ignore) for where in breakdown.slices], dtype=bool)
    least = 2 if rule.kind in PAIRED else 1
    what = subject(rule, measured[0])
    defined = [kept & one.defined for one in measured]
    for one, mask in zip(measured, defined, strict=True):
        if mask.sum() < least:
            return Answer("not_evaluated", _too_few(one, kept, least), None, None)
        if not _comparable(rule, one, mask):
            return Answer("not_evaluated", f"{what}: every level is 0; the ratio has no denominator", None, None)
    supported = [mask & (one.support >= policy.min_support) for one, mask in zip(measured, defined, strict=True)]
    lacking = kept & ~np.logical_and.reduce(supported)
    asked = _requirement(rule, len(measured), classes, intervals)
    pairs = list(zip(measured, supported, strict=True))
    usable = [(one, mask) for one, mask in pairs if mask.sum() >= least and _comparable(rule, one, mask)]
    parts = tuple(Part(one.band, mask) for one, mask in usable)
    whole = len(parts) == len(measured)
    held = tuple(one for one, _ in usable)
    weak = _weak_text(lacking, measured, policy.min_support)
    judged = bool(parts) and (whole or not asked.mean)
    found = judge(parts, asked) if judged else None
    still_open = Open(found, asked, measured, tuple(defined), lacking, policy.min_support)
    if found is None:
        return Answer("inconclusive", f"{what}: {weak}", None, None, still_open)
    said = comparison_text(what, rule, found, held[found.part], parts[found.part].used, intervals.level)
    status: VerdictStatus = found.status
    if lacking.any():
        said = f"{said}; {weak}"
        status = "fail" if status == "fail" else "inconclusive"
    worst = _worst(rule, found, held[found.part])
    return Answer(status, said, found, worst, still_open if status == "inconclusive" else None)


def _requirement(rule: Rule, parts: int, classes: int, intervals: IntervalSpec) -> Requirement:
    mean = rule.metric in CRITERIA and CRITERIA[rule.metric].how == "mean"
    return Requirement(rule.kind, rule.tolerance, intervals.level, parts * classes, mean)


def _comparable(rule: Rule, measured: Measured, used: Mask) -> bool:
    """Whether the rule's quantity exists on the used levels: a ratio needs one that is above 0."""
    return rule.kind != "min_ratio" or bool(measured.value[used].max() > 0)


def _asks_upper(rule: Rule) -> bool:
    return rule.kind in UPPER


def _too_few(measured: Measured, kept: Mask, least: int) -> str:
    """Why a metric is not defined on enough levels."""
    pairs = zip(measured.breakdown.slices, measured.undefined, kept, strict=True)
    reasons = [f"{where}: {reason.reason}" for where, reason, use in pairs if reason is not None and use]
    shown = "; ".join(reasons[:5]) + (f"; and {len(reasons) - 5} more" if len(reasons) > 5 else "")
    count = int((kept & measured.defined).sum())
    wanted = "two levels or more" if least == 2 else "a level"
    known = f"{spoken(measured.metric)} is defined on {count} of {int(kept.sum())} levels and the rule needs {wanted}"
    return known + (f" ({shown})" if shown else "")


def _weak_text(lacking: Mask, measured: tuple[Measured, ...], least: int) -> str:
    """The levels under the minimum support, with the support that they have."""
    support = np.min([one.support for one in measured], axis=0)
    slices = measured[0].breakdown.slices
    shown = [f"{slices[i]} ({int(support[i])})" for i in np.flatnonzero(lacking)]
    listed = ", ".join(shown[:10]) + (f" and {len(shown) - 10} more" if len(shown) > 10 else "")
    return f"not compared, with fewer than {max(least, 1)} rows that count: {listed}"


def _worst(rule: Rule, found: Judgement, measured: Measured) -> Slice:
    """The slice that decided; of a pair, the one that is worse, or may be, in the metric's own direction."""
    worse, _ = worse_and_better(rule, found, measured)
    return measured.breakdown.slices[worse]


def _ranked(answers: Sequence[Answer], rule: Rule) -> list[Answer]:
    """Answers with one status, the one whose deciding bound is worst first."""

    def severity(answer: Answer) -> float:
        if answer.judgement is None:
            return np.inf
        bound = answer.judgement.failing if answer.status == "fail" else answer.judgement.passing
        return bound if _asks_upper(rule) else -bound

    return sorted(answers, key=severity, reverse=True)
