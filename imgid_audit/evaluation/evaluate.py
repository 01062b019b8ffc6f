"""Decisions in, evaluation out: estimates, gaps, verdicts, confusion and calibration."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.errors import Problem, raise_all
from imgid_audit.core.factor import tally
from imgid_audit.core.policy import EvaluationSpec, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AtThreshold, Contrast, Estimate, Evaluation, ReliabilityCurve, Verdict
from imgid_audit.evaluation.at_threshold import at_threshold
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.evaluation.contrasts import contrasts
from imgid_audit.evaluation.disparities import CRITERIA, Hypothesis, adjust, criterion_gaps
from imgid_audit.evaluation.drops import Baseline, drop_verdict
from imgid_audit.evaluation.envelopes import asked_gaps, beyond_noise
from imgid_audit.evaluation.judgements import metrics_of, verdict
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import with_companions
from imgid_audit.metrics.calibration import reliability
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.verdicts import PAIRED

Names = tuple[str, ...]


def evaluate(decisions: Decisions, spec: EvaluationSpec, baseline: Baseline | None = None) -> Evaluation:
    """Measure every metric of `spec` on every slice, compare slices, and judge the policy.

    Slices are the total, each attribute's levels and the cells of each listed intersection; binary
    tasks also have the gaps of equalized odds and demographic parity. One breakdown is in memory
    at a time. Pure: no disk, clock or hidden state; the same arguments give the same result.
    `baseline`: what ``max_drop`` rules compare with; without one they are not evaluated.
    Raises `InputError`, with every problem, for metrics, attributes and rules that cannot be.
    """
    _check(decisions, spec)
    rows = Rows(decisions)
    asked = tuple(dict.fromkeys(spec.metrics))
    others = tuple(dict.fromkeys(one for name in asked for one in with_companions(METRICS[name]) if one not in asked))
    single = [(factor.name,) for factor in decisions.attributes]
    shown: list[Names] = list(dict.fromkeys([(), *single, *spec.intersections]))
    estimates: list[Estimate] = []
    beside: list[Estimate] = []
    gaps: list[Hypothesis] = []
    against: list[Contrast] = []
    curves: list[ReliabilityCurve] = []
    thresholds: list[AtThreshold] = []
    verdicts: dict[int, Verdict] = {}
    total: dict[str, tuple[Measured, ...]] = {}
    for names in dict.fromkeys([*shown, *(rule.across for rule in spec.policy.rules)]):
        rules = [(i, rule) for i, rule in enumerate(spec.policy.rules) if rule.across == names]
        part = breakdown(decisions, names)
        sample = Sample(rows, part, spec.intervals)
        wanted = [metric for _, rule in rules if rule.kind != "max_drop" for metric in metrics_of(rule)]
        criteria = [one for one in CRITERIA.values() if names and names in shown and decisions.task.kind == "binary"]
        if names in shown:
            wanted += [*asked, *(metric for criterion in criteria for metric in criterion.parts)]
            wanted += [METRICS[name].judged_as for name in asked if names]
            wanted += others if len(names) < 2 else ()
        measured = {name: METRICS[name].measure(sample) for name in dict.fromkeys(wanted)}
        total = total or measured  # the first breakdown is all rows
        if names in shown:
            estimates += [
                one for name in asked for each in measured[name] for one in each.estimates(spec.intervals.level)
            ]
        if names and names in shown:
            gaps += [one for name in asked for one in asked_gaps(name, measured, sample, spec.intervals)]
            against += [one for name in asked for one in contrasts(measured[name], total[name], spec)]
        for criterion in criteria:
            gaps += criterion_gaps(criterion, [measured[name][0] for name in criterion.parts], spec.intervals)
        if len(names) < 2 and names in shown:
            curves += reliability(sample)
            beside += [
                one for name in others for each in measured[name] for one in each.estimates(spec.intervals.level)
            ]
            thresholds += at_threshold(sample)
        for i, rule in rules:
            if rule.kind == "max_drop":
                verdicts[i] = drop_verdict(rule, baseline, spec)
                continue
            answer = verdict(rule, part, measured, decisions, spec.policy, spec.intervals)
            verdicts[i] = beyond_noise(answer, rule, sample, measured, spec)
    return Evaluation(
        task=decisions.task,
        estimates=tuple(estimates),
        gaps=adjust(gaps),
        verdicts=tuple(verdicts[i] for i in range(len(spec.policy.rules))),
        confusion=confusion(decisions),
        reliability=tuple(curves),
        beside=tuple(beside),
        operating_point=decisions.operating_point,
        at_threshold=tuple(thresholds),
        costs=decisions.costs,
        contrasts=tuple(against),
    )


def confusion(decisions: Decisions) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows by true (first axis) and predicted class, (classes, classes)."""
    classes = len(decisions.task.labels)
    keys = decisions.label.astype(np.int64) * classes + decisions.predicted
    return tally(keys, classes**2, decisions.count).reshape(classes, classes)


def _check(decisions: Decisions, spec: EvaluationSpec) -> None:
    """Raise every problem of names that do not exist and rules that cannot be meant."""
    problems = [Problem("metrics", METRICS.unknown(name)) for name in spec.metrics if name not in METRICS]
    if not 0 < spec.intervals.level < 1:
        problems.append(Problem("intervals > level", f"must be between 0 and 1, got {spec.intervals.level}"))
    if spec.intervals.draws < 0:
        problems.append(Problem("intervals > draws", f"must not be negative, got {spec.intervals.draws}"))
    known = {factor.name for factor in decisions.attributes}
    for i, names in enumerate(spec.intersections):
        problems += _unknown(f"intersections > {i}", names, known)
    for rule in spec.policy.rules:
        where = f"policy > rules > {rule.id}"
        problems += _unknown(f"{where} > across", rule.across, known)
        problems += _rule_problems(where, rule)
    raise_all(problems)


def _unknown(where: str, names: Names, known: set[str]) -> list[Problem]:
    listed = ", ".join(sorted(known)) or "none"
    return [Problem(where, f"unknown attribute {name!r}: known are {listed}") for name in names if name not in known]


def _rule_problems(where: str, rule: Rule) -> list[Problem]:
    if rule.metric not in METRICS and rule.metric not in CRITERIA:
        extra = ", ".join(CRITERIA)
        return [Problem(f"{where} > metric", f"{METRICS.unknown(rule.metric)}, and the criteria {extra}")]
    problems = []
    if rule.kind == "max_drop" and rule.metric in METRICS and METRICS[rule.metric].better is None:
        problems.append(Problem(where, f"{rule.metric} is neither better high nor low, so it cannot drop"))
    if rule.kind in PAIRED and not rule.across:
        problems.append(Problem(where, f"{rule.kind} compares levels: name the attributes in `across`"))
    if rule.kind == "min_ratio" and rule.metric in METRICS and METRICS[rule.metric].bounds[0] < 0:
        problems.append(Problem(where, f"{rule.metric} may be negative and has no ratio: use max_gap"))
    if rule.metric in CRITERIA and rule.kind not in PAIRED:
        problems.append(Problem(where, f"{rule.metric} is itself a gap: use max_gap, not {rule.kind}"))
    return problems
