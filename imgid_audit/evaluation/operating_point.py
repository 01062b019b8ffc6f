"""The threshold of a binary task: given, or found on the validation split with its own uncertainty."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Codes, Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions, OperatingPoint, Scores
from imgid_audit.core.slices import TOTAL, Breakdown
from imgid_audit.core.task import Task
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats import thresholds
from imgid_audit.stats.resampling import stream
from imgid_audit.stats.thresholds import Candidates, Criterion, Target, choose, redraw

RATES = ("specificity", "sensitivity", "fpr")
"""Criteria that must reach a value."""

MAXIMA = ("f1", "youden")
"""Criteria that are made as large as they can be."""

_MEASURES = {
    "specificity": "specificity",
    "sensitivity": "recall",
    "fpr": "false_positive_rate",
    "f1": "f1",
    "youden": "balanced_accuracy",
}
"""The metric whose interval is the criterion's; Youden's index is twice the balanced accuracy, less one."""


def given_operating_point(threshold: float) -> OperatingPoint:
    """The threshold that the user gave."""
    return OperatingPoint(threshold, f"threshold = {threshold:g}", "given")


def find_operating_point(
    task: Task,
    label: Codes,
    scores: Scores,
    at: Criterion,
    value: float | None = None,
    source: str = "val",
    *,
    subject: Factor | None = None,
    intervals: IntervalSpec | None = None,
) -> OperatingPoint:
    """The threshold that meets a criterion on the validation split.

    Candidates are the observed scores of the positive class and the next number above the highest
    (which calls nothing positive). ``specificity``: the smallest whose specificity >= `value`;
    ``fpr``: the smallest whose false positive rate <= `value`; ``sensitivity``: the largest whose
    sensitivity >= `value`; ``f1`` and ``youden`` (sensitivity + specificity - 1), without a
    `value`: the smallest of those that maximise it. Rows with equal scores stay together.

    - `label` (n,), `scores` (n, 2): the validation rows; `subject` (n,): None where independent
    - `intervals`: level, draws and seed of the point's own uncertainty; None leaves it out

    Raises `InputError` where the task is not binary, the criterion or `value` is not known, or the
    split lacks the rows that the criterion counts.
    """
    raise_all(_problems(task, at, value))
    positive = task.positive_index or 0
    target, is_positive, score = Target(at, value), label == positive, scores[:, positive]
    require_rows(target, is_positive, source)
    candidates = Candidates.of(score)
    counts = candidates.counts(is_positive)
    chosen, reached = choose(target, counts)
    threshold = float(candidates.thresholds(chosen, counts)[0])
    sign = "<=" if at == "fpr" else ">="
    criterion = f"max {at}" if value is None else f"{at} {sign} {value:g}"
    point = OperatingPoint(threshold, criterion, source, float(reached[0]))
    if intervals is None:
        return point
    found = with_draws(point, target, score, is_positive, subject, intervals)
    called = np.where(score >= threshold, positive, 1 - positive).astype(np.int32)
    return _with_achieved(found, target, Decisions(task, label, called, scores, subject, ()), intervals)


def require_rows(target: Target, is_positive: NDArray[np.bool_], source: str) -> None:
    """Raise `InputError` where the split `source` lacks the rows that the criterion counts."""
    needs_negative, needs_positive = target.needs
    counts = (("positive", needs_positive, is_positive.any()), ("negative", needs_negative, (~is_positive).any()))
    lacking = " and no ".join(name for name, needed, there in counts if needed and not there)
    if lacking:
        message = f"{target.criterion} cannot be found: the {source} split has no {lacking} rows"
        raise InputError(Problem("[operating_point]", f"{message}; choose another split, or give a `threshold`"))


def with_draws(
    point: OperatingPoint,
    target: Target,
    score: NDArray[np.float64],
    is_positive: NDArray[np.bool_],
    subject: Factor | None,
    intervals: IntervalSpec,
) -> OperatingPoint:
    """The point with the interval of its threshold: percentiles of bootstrap samples of subjects, or of rows.

    A sample that lacks the rows that the criterion counts has no threshold: it is counted, and left
    out. There is no interval where more than half of the samples have none.
    """
    if not intervals.draws:
        return point
    codes = None if subject is None else subject.codes
    drawn = redraw(target, score, is_positive, codes, stream(intervals.seed, TOTAL, "operating point"), intervals.draws)
    found = int(np.isfinite(drawn).sum())
    unit = "rows" if subject is None else "subjects"
    point = replace(
        point, level=intervals.level, method=f"percentile bootstrap over {unit}", draws=intervals.draws, found=found
    )
    limits = thresholds.limits(drawn, intervals.level, point.threshold)
    if limits is None or 2 * found < intervals.draws:
        return point
    return replace(point, low=float(limits[0]), high=float(limits[1]))


def _with_achieved(point: OperatingPoint, target: Target, val: Decisions, intervals: IntervalSpec) -> OperatingPoint:
    """The point with the interval of the criterion's value at this very threshold, as the audit makes them."""
    whole = Breakdown("", (), (TOTAL,), np.zeros(len(val), dtype=np.int32))
    measured = METRICS[_MEASURES[target.criterion]].measure(Sample(Rows(val), whole, intervals))[0]
    interval = measured.estimates(intervals.level)[0].interval
    if interval is None:
        return point
    low, high = interval.low, interval.high
    if target.criterion == "youden":
        low, high = 2 * low - 1, 2 * high - 1
    return replace(point, level=interval.level, achieved_low=low, achieved_high=high, achieved_method=interval.method)


def _problems(task: Task, at: str, value: float | None) -> list[Problem]:
    problems = []
    if task.positive_index is None:
        problems.append(Problem("[operating_point]", "needs a binary task; this one is multiclass"))
    known = get_args(Criterion) if value is None else RATES
    if at not in known:
        problems.append(Problem("[operating_point > at]", f"must be {', '.join(known)}, got {at!r}"))
    elif value is None and at not in MAXIMA:
        problems.append(Problem("[operating_point > value]", f"is required for {at}"))
    if value is not None and not 0 <= value <= 1:
        problems.append(Problem("[operating_point > value]", f"must be from 0 to 1, got {value}"))
    return problems
