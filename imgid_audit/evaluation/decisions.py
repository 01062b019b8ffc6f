"""From manifest and predictions to decisions, and the search of a binary operating point."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Codes
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions, OperatingPoint, Predictions, Scores
from imgid_audit.core.task import Task

Criterion = Literal["specificity", "sensitivity", "fpr"]


def decide(
    task: Task,
    manifest: Manifest,
    predictions: Predictions,
    operating_point: OperatingPoint | None = None,
    split: str = "test",
) -> Decisions:
    """The predicted rows of `split`, each with its label and its predicted class.

    With an `operating_point` the positive class is predicted where its score >= the threshold;
    else the user's own predictions are taken; else the class of the highest score (the first of
    equal ones). Raises `InputError` where a threshold is asked for without scores or outside a
    binary task, and where there are neither predictions nor scores.
    """
    rows = manifest.rows(split)
    rows = rows[(predictions.status[rows] == Status.PREDICTED) & (manifest.label.codes[rows] >= 0)]
    scores = None if predictions.scores is None else predictions.scores[rows]
    given = None if predictions.predicted is None else predictions.predicted[rows]
    subject = manifest.subject
    return Decisions(
        task=task,
        label=manifest.label.codes[rows],
        predicted=predicted_codes(task, scores, given, operating_point),
        scores=scores,
        subject=None if subject is None else subject.take(rows),
        attributes=tuple(factor.take(rows) for factor in manifest.attributes),
        operating_point=operating_point,
    )


def predicted_codes(
    task: Task, scores: Scores | None, given: Codes | None, operating_point: OperatingPoint | None
) -> Codes:
    """Class codes (n,) by threshold, as given, or by the highest score; see `decide`."""
    positive = task.positive_index
    if operating_point is not None:
        problems = []
        if positive is None:
            problems.append(Problem("operating_point", "needs a binary task; this one is multiclass"))
        if scores is None:
            problems.append(
                Problem("operating_point", "needs scores, and there are only predicted labels: remove one of the two")
            )
        raise_all(problems)
        if positive is not None and scores is not None:
            called = scores[:, positive] >= operating_point.threshold
            return np.where(called, positive, 1 - positive).astype(np.int32)
    if given is not None:
        return given.astype(np.int32)
    if scores is None:
        raise InputError(Problem("predictions", "have neither a `predicted` column nor score:<class> columns"))
    return np.asarray(scores.argmax(axis=1), dtype=np.int32)


def given_operating_point(threshold: float) -> OperatingPoint:
    """The threshold that the user gave."""
    return OperatingPoint(threshold, f"threshold = {threshold:g}", "given")


def find_operating_point(
    task: Task, label: Codes, scores: Scores, at: Criterion, value: float, source: str = "val"
) -> OperatingPoint:
    """The threshold that meets a criterion on the validation split.

    Candidates are the observed scores of the positive class and the next number above the highest
    (which calls nothing positive). ``specificity``: the smallest whose specificity >= `value`;
    ``fpr``: the smallest whose false positive rate <= `value`; ``sensitivity``: the largest whose
    sensitivity >= `value`. Rows with equal scores stay together.

    - `label` (n,), `scores` (n, 2): the validation rows

    Raises `InputError` where the task is not binary, the criterion or `value` is not known, or the
    split lacks the rows that the criterion counts.
    """
    positive = task.positive_index
    problems = []
    if positive is None:
        problems.append(Problem("operating_point", "needs a binary task; this one is multiclass"))
    if at not in ("specificity", "sensitivity", "fpr"):
        problems.append(Problem("operating_point > at", f"must be specificity, sensitivity or fpr, got {at!r}"))
    if not 0 <= value <= 1:
        problems.append(Problem("operating_point > value", f"must be from 0 to 1, got {value}"))
    raise_all(problems)
    is_positive = label == positive
    wanted = is_positive if at == "sensitivity" else ~is_positive
    if not wanted.any():
        lacking = "positive" if at == "sensitivity" else "negative"
        raise InputError(Problem("operating_point", f"{at} cannot be found: the {source} split has no {lacking} rows"))
    score = scores[:, positive if positive is not None else 0]
    candidates = np.unique(score)
    candidates = np.append(candidates, np.nextafter(candidates[-1], np.inf))
    counted = np.sort(score[wanted])
    called = len(counted) - np.searchsorted(counted, candidates, side="left")
    threshold, achieved = _first(at, value, candidates, called, len(counted))
    sign = "<=" if at == "fpr" else ">="
    return OperatingPoint(threshold, f"{at} {sign} {value:g}", source, achieved)


def _first(
    at: Criterion, value: float, candidates: NDArray[np.float64], called: NDArray[np.intp], n: int
) -> tuple[float, float]:
    """The candidate that the tie rule picks, and the criterion's value there."""
    if at == "sensitivity":
        rate = called / n
        chosen = np.flatnonzero(rate >= value)[-1]
    elif at == "fpr":
        rate = called / n
        chosen = np.flatnonzero(rate <= value)[0]
    else:
        rate = (n - called) / n
        chosen = np.flatnonzero(rate >= value)[0]
    return float(candidates[chosen]), float(rate[chosen])
