"""The columns of a table that hold a model's answers: `predicted` and `score:<class>`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Texts
from imgid_audit.core.manifest import Status
from imgid_audit.core.predictions import Scores
from imgid_audit.core.task import Task
from imgid_audit.io.manifest import recode
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.tables import Table

PREDICTED = "predicted"
SCORE = "score:"
NO_SCORE = "score is empty"
NO_ANSWER = "predicted is empty"

TOLERANCE = 1e-3
"""How far the scores of a row may be from adding up to 1: the rounding of three decimals."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Answers a row of the table: as `core.predictions.Predictions`, before alignment with a manifest."""

    scores: Scores | None
    predicted: Codes | None
    status: NDArray[np.int8]
    reason: Texts

    def take(self, rows: NDArray[np.intp], otherwise: str) -> Outputs:
        """The answers at `rows`; -1 gives a failed row with `otherwise` as its reason."""
        absent = rows < 0
        if not len(self.status):
            rows = np.zeros(0, dtype=np.intp)
        status, reason = self.status[rows], self.reason[rows]
        status[absent], reason[absent] = Status.FAILED, otherwise
        scores = None if self.scores is None else self.scores[rows]
        predicted = None if self.predicted is None else self.predicted[rows]
        return Outputs(scores, predicted, status, reason)


def read_outputs(table: Table, task: Task, remarks: Remarks) -> Outputs:
    """Scores and predictions of every row; what is wrong is added to `remarks`.

    Scores must be probabilities, and rows of several classes must add up to 1; nothing is scaled.
    An empty (or NaN) score, or an empty prediction, costs its own row: it is failed.
    """
    scores = _scores(table, task, remarks)
    predicted = _predicted(table, task, remarks)
    if not any(name == PREDICTED or name.startswith(SCORE) for name in table.names):
        message = f"has neither a column {PREDICTED!r} nor columns '{SCORE}<class>' for {listed(task.labels)}"
        remarks.problem(table.where(), message)
    status = np.full(table.rows, Status.PREDICTED, dtype=np.int8)
    reason = np.full(table.rows, "", dtype=object)
    if predicted is not None:
        empty = predicted < 0
        status[empty], reason[empty] = Status.FAILED, NO_ANSWER
    if scores is not None:
        with np.errstate(invalid="ignore"):  # infinite scores are a problem already
            unscored = np.isnan(scores.sum(axis=1))
        status[unscored], reason[unscored] = Status.FAILED, NO_SCORE
    if scores is not None and predicted is not None and not remarks.problems:
        _note_disagreement(scores, predicted, status == Status.PREDICTED, remarks)
    return Outputs(scores, predicted, status, reason)


def _predicted(table: Table, task: Task, remarks: Remarks) -> Codes | None:
    if PREDICTED not in table.names:
        return None
    problem = table.problem(PREDICTED, "predictions.table")
    if problem is not None:
        remarks.problems.append(problem)
        return None
    return recode(table, PREDICTED, table.encode(PREDICTED), task.labels, remarks)


def _scores(table: Table, task: Task, remarks: Remarks) -> Scores | None:
    """Probabilities in class order (n, classes); None where there is no score column, or a wrong one."""
    there = [name.removeprefix(SCORE) for name in table.names if name.startswith(SCORE)]
    if not there:
        return None
    unknown = [name for name in there if name not in task.labels]
    if unknown:
        columns = listed(SCORE + name for name in unknown)
        remarks.problem(table.where(), f"has {columns}, but the labels are {listed(task.labels)}")
    single = task.positive is not None and there == [task.positive]
    absent = [label for label in task.labels if label not in there]
    if absent and not single:
        remarks.problem(table.where(), f"lacks the columns {listed(SCORE + label for label in absent)}")
    if unknown or (absent and not single):
        return None
    scores = np.empty((table.rows, len(task.labels)))
    for code, label in enumerate(task.labels):
        if label in there:
            scores[:, code] = _probabilities(table, SCORE + label, remarks)
    if single:
        positive = task.labels.index(there[0])
        np.subtract(1.0, scores[:, positive], out=scores[:, 1 - positive])
    elif not remarks.problems:
        _refuse_wrong_sums(table, scores, remarks)
    return scores


def _probabilities(table: Table, column: str, remarks: Remarks) -> NDArray[np.float64]:
    problem = table.problem(column, "predictions.table")
    if problem is not None:
        remarks.problems.append(problem)
        return np.full(table.rows, np.nan)
    numbers = table.numbers(column)
    if numbers.unreadable.any():
        text = table.texts(column)[numbers.unreadable][0]
        message = f"is not a number: {text!r}; empty the cell where there is no score"
        remarks.problem(table.where(column, numbers.unreadable), message)
    outside = (numbers.values < 0) | (numbers.values > 1)
    if outside.any():
        found = numbers.values[outside][0]
        message = f"is {found:g}: scores are probabilities from 0 to 1; apply softmax or sigmoid first"
        remarks.problem(table.where(column, outside), message)
    return numbers.values


def _refuse_wrong_sums(table: Table, scores: Scores, remarks: Remarks) -> None:
    sums = scores.sum(axis=1)
    wrong = np.abs(sums - 1) > TOLERANCE
    if wrong.any():
        message = f"scores add up to {sums[wrong][0]:g}: a row's must add up to 1 (within {TOLERANCE:g}); apply softmax"
        remarks.problem(table.where(f"{SCORE}*", wrong), message)


def _note_disagreement(scores: Scores, predicted: Codes, rows: NDArray[np.bool_], remarks: Remarks) -> None:
    """`predicted` may rest on a threshold of the user's own; that it differs from the scores is worth a line."""
    other = int((scores[rows].argmax(axis=1) != predicted[rows]).sum())
    if other:
        remarks.note(f"{PREDICTED} differs from the class of the highest score in {other:,} rows; it is used as given")
