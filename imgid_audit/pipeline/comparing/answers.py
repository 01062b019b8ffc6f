"""What a network says of the test rows, decided as the config decides: with thresholds of its own from val."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from imgid_audit.core.comparison import Selected
from imgid_audit.core.manifest import Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.evaluation import decide
from imgid_audit.evaluation.recalibration import fit_prior, with_prior
from imgid_audit.io.kept_networks import KeptNetwork
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Laboratory, Scores
from imgid_audit.pipeline.deciding import decided
from imgid_audit.vision.treatment import Decide, Scored


def predictions_of(bench: Bench, laboratory: Laboratory, scores: Scores) -> Predictions:
    """A network's scores as predictions of the manifest; rows that failed are without."""
    manifest = bench.manifest
    status = np.where(np.isfinite(scores).all(axis=1), int(Status.PREDICTED), int(Status.FAILED)).astype(np.int8)
    status[manifest.status == Status.EXCLUDED] = Status.EXCLUDED
    reason = manifest.reason.copy()
    for row, why in laboratory.failed.items():
        reason[row] = why
    return Predictions(scores, None, status, reason)


def decisions_of(
    bench: Bench, laboratory: Laboratory, remedy: Remedy, network: KeptNetwork, selected: Selected, seed: int
) -> Decisions:
    """The test rows' decisions: by the method's own rule, else as the config asks, any threshold found on val anew."""
    predictions = predictions_of(bench, laboratory, laboratory.scores(network, selected))
    rule = remedy.treatment(bench.ask).decide
    if rule is None:
        quick = bench.job.config.intervals.model_copy(update={"draws": 0})  # a threshold's own interval is not shown
        config = bench.job.config.model_copy(update={"intervals": quick})
        return decided(config, bench.job.inputs, predictions)
    return _by_rule(bench, laboratory, rule, predictions, seed)


def _by_rule(bench: Bench, laboratory: Laboratory, rule: Decide, predictions: Predictions, seed: int) -> Decisions:
    fitted_on = laboratory.rows["adjust"] if len(laboratory.rows["adjust"]) else laboratory.rows["val"]
    assert predictions.scores is not None
    rows = bench.manifest.rows("test")
    rows = rows[predictions.status[rows] == Status.PREDICTED]
    parts = [
        Scored(predictions.scores[part], bench.manifest.label.codes[part], bench.groups_of(part), bench.group_names)
        for part in (fitted_on, rows)
    ]
    predicted = np.full(len(bench.manifest), -1, dtype=np.int32)
    predicted[rows] = rule(parts[0], parts[1], seed)
    return decide(bench.job.inputs.task, bench.manifest, replace(predictions, predicted=predicted))


def recalibrated_decisions(
    bench: Bench, laboratory: Laboratory, network: KeptNetwork, selected: Selected, decisions: Decisions
) -> Decisions:
    """The same decisions with scores brought back to the frequency of classes on val."""
    scores, val = laboratory.scores(network, selected), laboratory.rows["val"]
    fitted = fit_prior(bench.manifest.label.codes[val], scores[val])
    assert decisions.scores is not None
    return replace(decisions, scores=with_prior(decisions.scores, fitted))
