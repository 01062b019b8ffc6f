"""Decisions in, evaluation out: estimates, gaps, verdicts, confusion and calibration."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.errors import Problem, raise_all
from imgid_audit.core.policy import EvaluationSpec, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Evaluation, ReliabilityCurve, Verdict
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.evaluation.disparities import CRITERIA, Hypothesis, adjust, criterion_gaps, gaps_of
from imgid_audit.evaluation.judgements import metrics_of, verdict
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.calibration import reliability
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.verdicts import PAIRED

Names = tuple[str, ...]


def evaluate(decisions: Decisions, spec: EvaluationSpec) -> Evaluation:
    """Measure every metric of `spec` on every slice, compare slices, and judge the policy.

    Slices are the total, each attribute's levels and the cells of each listed intersection; binary
    tasks also have the gaps of equalized odds and demographic parity. One breakdown is in memory
    at a time. Pure: no disk, clock or hidden state; the same arguments give the same result.
    Raises `InputError`, with every problem, for metrics, attributes and rules that cannot be.
    """
    _check(decisions, spec)
    rows = Rows(decisions)
    asked = tuple(dict.fromkeys(spec.metrics))
    single = [(factor.name,) for factor in decisions.attributes]
    shown: list[Names] = list(dict.fromkeys([(), *single, *spec.intersections]))
    estimates: list[Estimate] = []
    gaps: list[Hypothesis] = []
    curves: list[ReliabilityCurve] = []
    verdicts: dict[int, Verdict] = {}
    for names in dict.fromkeys([*shown, *(rule.across for rule in spec.policy.rules)]):
        rules = [(i, rule) for i, rule in enumerate(spec.policy.rules) if rule.across == names]
        part = breakdown(decisions, names)
        sample = Sample(rows, part, spec.intervals)
        wanted = [metric for _, rule in rules for metric in metrics_of(rule)]
        criteria = [one for one in CRITERIA.values() if names and names in shown and decisions.task.kind == "binary"]
        if names in shown:
            wanted += [*asked, *(metric for criterion in criteria for metric in criterion.parts)]
        measured = {name: METRICS[name].measure(sample) for name in dict.fromkeys(wanted)}
        if names in shown:
            estimates += [
                one for name in asked for each in measured[name] for one in each.estimates(spec.intervals.level)
            ]
        if names and names in shown:
            gaps += [one for name in asked for each in measured[name] for one in gaps_of(each, spec.intervals)]
        for criterion in criteria:
            gaps += criterion_gaps(criterion, [measured[name][0] for name in criterion.parts], spec.intervals)
        if len(names) < 2 and names in shown:
            curves += reliability(sample)
        for i, rule in rules:
            verdicts[i] = verdict(rule, part, measured, decisions, spec.policy, spec.intervals)
    return Evaluation(
        task=decisions.task,
        estimates=tuple(estimates),
        gaps=adjust(gaps),
        verdicts=tuple(verdicts[i] for i in range(len(spec.policy.rules))),
        confusion=confusion(decisions),
        reliability=tuple(curves),
        operating_point=decisions.operating_point,
    )


def confusion(decisions: Decisions) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
    """Rows by true (first axis) and predicted class, (classes, classes)."""
    classes = len(decisions.task.labels)
    keys = decisions.label.astype(np.int64) * classes + decisions.predicted
    return np.bincount(keys, minlength=classes**2).reshape(classes, classes)


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
    if rule.kind in PAIRED and not rule.across:
        problems.append(Problem(where, f"{rule.kind} compares levels: name the attributes in `across`"))
    if rule.metric in CRITERIA and rule.kind not in PAIRED:
        problems.append(Problem(where, f"{rule.metric} is itself a gap: use max_gap, not {rule.kind}"))
    return problems
