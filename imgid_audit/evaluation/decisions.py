"""From manifest and predictions to decisions: by a threshold, by costs, as given, or by the highest score."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Codes
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Costs, Decisions, OperatingPoint, Predictions, Scores
from imgid_audit.core.task import Task

BLOCK = 4_000_000
"""Expected costs that are held at once."""


def decide(
    task: Task,
    manifest: Manifest,
    predictions: Predictions,
    operating_point: OperatingPoint | None = None,
    split: str = "test",
    costs: Costs | None = None,
) -> Decisions:
    """The predicted rows of `split`, each with its label and its predicted class.

    With an `operating_point` the positive class is predicted where its score >= the threshold; with
    `costs` the class of least expected cost; else the user's own predictions are taken; else the
    class of the highest score (the first of equal ones). Raises `InputError` where a threshold or
    costs are asked for without scores, a threshold outside a binary task or beside costs, and where
    there are neither predictions nor scores.
    """
    rows = manifest.rows(split)
    rows = rows[(predictions.status[rows] == Status.PREDICTED) & (manifest.label.codes[rows] >= 0)]
    scores = None if predictions.scores is None else predictions.scores[rows]
    given = None if predictions.predicted is None else predictions.predicted[rows]
    subject = manifest.subject
    return Decisions(
        task=task,
        label=manifest.label.codes[rows],
        predicted=predicted_codes(task, scores, given, operating_point, costs),
        scores=scores,
        subject=None if subject is None else subject.take(rows),
        attributes=tuple(factor.take(rows) for factor in manifest.attributes),
        operating_point=operating_point,
        costs=costs,
        count=manifest.counted(rows),
    )


def predicted_codes(
    task: Task,
    scores: Scores | None,
    given: Codes | None,
    operating_point: OperatingPoint | None = None,
    costs: Costs | None = None,
) -> Codes:
    """Class codes (n,) by threshold, by costs, as given, or by the highest score; see `decide`."""
    raise_all(_problems(task, scores, operating_point, costs))
    positive = task.positive_index
    if operating_point is not None and positive is not None and scores is not None:
        called = scores[:, positive] >= operating_point.threshold
        return np.where(called, positive, 1 - positive).astype(np.int32)
    if costs is not None and scores is not None:
        return least_cost(scores, costs)
    if given is not None:
        return given.astype(np.int32)
    if scores is None:
        raise InputError(Problem("predictions", "have neither a `predicted` column nor score:<class> columns"))
    return np.asarray(scores.argmax(axis=1), dtype=np.int32)


def least_cost(scores: Scores, costs: Costs) -> Codes:
    """The class of least expected cost of each row, (n,), the first of equal ones.

    Source: the Bayes decision of Duda & Hart (1973), section 2.2.
    """
    table = np.array(costs.scaled(), dtype=np.float64)
    chosen = np.empty(len(scores), dtype=np.int32)
    step = max(1, BLOCK // len(table))
    for start in range(0, len(scores), step):
        chosen[start : start + step] = np.argmin(scores[start : start + step] @ table, axis=1)
    return chosen


def _problems(
    task: Task, scores: Scores | None, operating_point: OperatingPoint | None, costs: Costs | None
) -> list[Problem]:
    problems = []
    if operating_point is not None and task.positive_index is None:
        problems.append(Problem("[operating_point]", "needs a binary task; this one is multiclass"))
    for name, asked in (("operating_point", operating_point), ("costs", costs)):
        if asked is not None and scores is None:
            message = "needs scores, and there are only predicted labels: remove one of the two"
            problems.append(Problem(f"[{name}]", message))
    if operating_point is not None and costs is not None:
        problems.append(Problem("[costs]", "cannot stand beside `operating_point`: either decides alone"))
    return problems
