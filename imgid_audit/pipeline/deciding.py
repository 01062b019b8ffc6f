"""What decides a row's class: the operating point or the costs that the config asks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.predictions import Costs, Decisions, OperatingPoint, Predictions
from imgid_audit.core.task import Task
from imgid_audit.evaluation import decide, find_operating_point, given_operating_point
from imgid_audit.io.messages import rows_text
from imgid_audit.io.settings import PredictionsSettings
from imgid_audit.pipeline.calibrating import recalibrated
from imgid_audit.pipeline.inputs import Inputs


def decided(config: Config, inputs: Inputs, predictions: Predictions, split: str = "test") -> Decisions:
    """The decisions of a split's rows, in manifest order, as the config asks for them.

    The threshold, where one is found, is found on val and comes with its uncertainty.
    """
    predictions = recalibrated(config, inputs, predictions)
    point = operating_point(config, inputs.task, inputs.manifest, predictions)
    return decide(inputs.task, inputs.manifest, predictions, point, split, costs_of(config, inputs.task))


def operating_point(config: Config, task: Task, manifest: Manifest, predictions: Predictions) -> OperatingPoint | None:
    """The threshold that the config gives, or that its criterion picks on val; None: no threshold."""
    asked = config.operating_point
    if asked is None:
        return None
    if asked.threshold is not None:
        return given_operating_point(asked.threshold)
    if predictions.scores is None:
        raise InputError(Problem("[operating_point]", "needs scores, and the predictions have labels alone"))
    rows = manifest.rows("val")
    rows = rows[predictions.status[rows] == Status.PREDICTED]
    target = asked.target()
    return find_operating_point(
        task,
        manifest.label.codes[rows],
        predictions.scores[rows],
        target.criterion,
        target.value,
        subject=None if manifest.subject is None else manifest.subject.take(rows),
        intervals=config.interval_spec(),
    )


def costs_of(config: Config, task: Task) -> Costs | None:
    """The config's costs in class order; what is not written is the diagonal, which costs nothing."""
    table = config.costs
    if table is None:
        return None
    return Costs(tuple(tuple(table[true].get(said, 0.0) for said in task.labels) for true in task.labels))


@dataclass(frozen=True, slots=True)
class Unpredicted:
    """Rows that an audit would speak of and that have no usable prediction.

    `failed` of `audited` rows are without; `reasons` and `rows` say why and which, in words.
    """

    failed: int
    audited: int
    reasons: str
    rows: str


def unpredicted(manifest: Manifest, predictions: Predictions) -> Unpredicted:
    """The account of brought predictions. Rows of the train split do not count: no audit rests on them."""
    audited = (manifest.status != Status.EXCLUDED) & (manifest.split.codes != SPLITS.index("train"))
    failed = np.flatnonzero(audited & (predictions.status == Status.FAILED))
    reasons = " and ".join(dict.fromkeys(str(reason) for reason in predictions.reason[failed]))
    # rows are told by number: an id may be a patient's
    where = rows_text(failed) if manifest.count is None and len(failed) else ""
    return Unpredicted(manifest.size(failed), manifest.size(audited), reasons, where)


def require_few_unpredicted(settings: PredictionsSettings, manifest: Manifest, predictions: Predictions) -> None:
    """Raise `StoppedError` where more than ``predictions.max_failed`` of the brought rows that are audited failed."""
    lost = unpredicted(manifest, predictions)
    if not lost.audited or lost.failed <= settings.max_failed * lost.audited:
        return
    where = f"{lost.rows}, " if lost.rows else ""
    raise StoppedError(
        f"{lost.failed} of {lost.audited} audited rows have no prediction, more than predictions.max_failed allows "
        f"({settings.max_failed:g}): {where}{lost.reasons}. "
        f"Complete {settings.table}, or raise predictions.max_failed to go on without these rows"
    )
