"""Recalibrated scores, where the config asks for them: fitted on val, frozen, and shown before and after."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.manifest import Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.result import Recalibration
from imgid_audit.evaluation import decide
from imgid_audit.evaluation.recalibration import at_end, calibration_estimates, fit_temperature, with_temperature
from imgid_audit.pipeline.inputs import Inputs


def recalibration(config: Config, inputs: Inputs, predictions: Predictions) -> Recalibration | None:
    """The temperature fitted on val, before anything is estimated with it; None where none is asked for."""
    if config.calibration is None:
        return None
    at = "[calibration]"
    if predictions.scores is None:
        raise InputError(Problem(at, "needs scores, and the predictions have labels alone"))
    rows = inputs.manifest.rows("val")
    rows = rows[(predictions.status[rows] == Status.PREDICTED) & (inputs.manifest.label.codes[rows] >= 0)]
    if not len(rows):
        raise InputError(Problem(at, "cannot be fitted: the val split has no predicted rows"))
    temperature = fit_temperature(inputs.manifest.label.codes[rows], predictions.scores[rows])
    return Recalibration(config.calibration.method, temperature, "val", len(rows))


def recalibrated(config: Config, inputs: Inputs, predictions: Predictions) -> Predictions:
    """The predictions with the scores that decide and are judged: recalibrated where that is asked for."""
    found = recalibration(config, inputs, predictions)
    if found is None or predictions.scores is None:
        return predictions
    return replace(predictions, scores=with_temperature(predictions.scores, found.temperature))


def before_and_after(
    config: Config, inputs: Inputs, predictions: Predictions, decisions: Decisions
) -> Recalibration | None:
    """The recalibration with the calibration metrics of the test rows without it and with it.

    `predictions` are those before, `decisions` those after.
    """
    found = recalibration(config, inputs, predictions)
    if found is None:
        return None
    intervals = config.interval_spec()
    before = decide(inputs.task, inputs.manifest, predictions)
    return replace(
        found,
        before=calibration_estimates(before, intervals),
        after=calibration_estimates(decisions, intervals),
    )


def recalibration_notes(found: Recalibration | None) -> tuple[str, ...]:
    """What a reader must know of it: a temperature at the end of its range is no optimum."""
    if found is None or not at_end(found.temperature):
        return ()
    return (
        f"The temperature stands at {np.round(found.temperature, 6):g}, an end of its range: "
        "the log loss of the validation rows has no smallest value inside it.",
    )
