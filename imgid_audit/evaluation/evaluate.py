"""Decisions in, evaluation out: estimates, gaps, verdicts, confusion and calibration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain

import numpy as np

from imgid_audit.core.factor import tally
from imgid_audit.core.policy import EvaluationSpec, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AtThreshold, Contrast, Estimate, Evaluation, ReliabilityCurve, Verdict
from imgid_audit.evaluation.at_threshold import at_threshold
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.evaluation.contrasts import contrasts
from imgid_audit.evaluation.disparities import Hypothesis, adjust, criterion_gaps
from imgid_audit.evaluation.drops import Baseline, drop_verdict
from imgid_audit.evaluation.envelopes import asked_gaps, beyond_noise
from imgid_audit.evaluation.judgements import verdict
from imgid_audit.evaluation.plan import Names, Plan
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.calibration import reliability
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.measured import Measured

AllMeasured = Mapping[str, tuple[Measured, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """What is reported of one breakdown."""

    estimates: tuple[Estimate, ...]
    beside: tuple[Estimate, ...]
    gaps: tuple[Hypothesis, ...]
    contrasts: tuple[Contrast, ...]
    curves: tuple[ReliabilityCurve, ...]
    thresholds: tuple[AtThreshold, ...]


def evaluate(decisions: Decisions, spec: EvaluationSpec, baseline: Baseline | None = None) -> Evaluation:
    """Measure every metric of `spec` on every slice, compare slices, and judge the policy.

    Slices are the total, each attribute's levels and the cells of each listed intersection; binary
    tasks also have the gaps of equalized odds and demographic parity. One breakdown is in memory
    at a time. Pure: no disk, clock or hidden state; the same arguments give the same result.
    `baseline`: what ``max_drop`` rules compare with; without one they are not evaluated.
    Raises `InputError`, with every problem, for metrics, attributes and rules that cannot be.
    """
    plan, rows = Plan.of(decisions, spec), Rows(decisions)
    found: list[Shown] = []
    verdicts: dict[int, Verdict] = {}
    total: AllMeasured = {}
    for names in plan.breakdowns:
        sample = Sample(rows, breakdown(decisions, names), spec.intervals)
        measured = {name: METRICS[name].measure(sample) for name in plan.metrics_of(names)}
        total = total or measured  # the first breakdown is all rows
        if names in plan.shown:
            found.append(_shown(names, sample, measured, total, plan, spec))
        for i, rule in plan.rules_of(names):
            verdicts[i] = _answer(rule, sample, measured, spec, baseline)
    return Evaluation(
        task=decisions.task,
        estimates=tuple(chain.from_iterable(one.estimates for one in found)),
        gaps=adjust([gap for one in found for gap in one.gaps]),
        verdicts=tuple(verdicts[i] for i in range(len(spec.policy.rules))),
        confusion=confusion(decisions),
        reliability=tuple(chain.from_iterable(one.curves for one in found)),
        beside=tuple(chain.from_iterable(one.beside for one in found)),
        operating_point=decisions.operating_point,
        at_threshold=tuple(chain.from_iterable(one.thresholds for one in found)),
        costs=decisions.costs,
        contrasts=tuple(chain.from_iterable(one.contrasts for one in found)),
    )


def _shown(
    names: Names, sample: Sample, measured: AllMeasured, total: AllMeasured, plan: Plan, spec: EvaluationSpec
) -> Shown:
    """Estimates of one breakdown; of groups, also what sets them apart."""
    intervals = spec.intervals
    gaps: list[Hypothesis] = []
    against: list[Contrast] = []
    if names:
        gaps += [one for name in plan.asked for one in asked_gaps(name, measured, sample, intervals)]
        against += [one for name in plan.asked for one in contrasts(measured[name], total[name], spec)]
        for criterion in plan.criteria:
            gaps += criterion_gaps(criterion, [measured[name][0] for name in criterion.parts], intervals)
    single = len(names) < 2
    return Shown(
        _estimates(plan.asked, measured, intervals.level),
        _estimates(plan.companions if single else (), measured, intervals.level),
        tuple(gaps),
        tuple(against),
        reliability(sample) if single else (),
        at_threshold(sample) if single else (),
    )


def _estimates(names: Names, measured: AllMeasured, level: float) -> tuple[Estimate, ...]:
    return tuple(one for name in names for each in measured[name] for one in each.estimates(level))


def _answer(
    rule: Rule, sample: Sample, measured: AllMeasured, spec: EvaluationSpec, baseline: Baseline | None
) -> Verdict:
    if rule.kind == "max_drop":
        return drop_verdict(rule, baseline, spec)
    decisions = sample.rows.decisions
    found = verdict(rule, sample.breakdown, measured, decisions, spec.policy, spec.intervals)
    return beyond_noise(found, rule, sample, measured, spec)


def confusion(decisions: Decisions) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows by true (first axis) and predicted class, (classes, classes)."""
    classes = len(decisions.task.labels)
    keys = decisions.label.astype(np.int64) * classes + decisions.predicted
    return tally(keys, classes**2, decisions.count).reshape(classes, classes)
