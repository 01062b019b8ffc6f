"""What a network says of rows, decided as the config decides: with thresholds of its own from val."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.core.manifest import Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.evaluation import decide
from imgid_audit.evaluation.recalibration import fit_prior, with_prior
from imgid_audit.io.kept_networks import KeptNetwork
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.calibrating import recalibrated
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Laboratory, Scores
from imgid_audit.pipeline.deciding import decided
from imgid_audit.vision.treatment import Decide, Scored

Rows = NDArray[np.intp]


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
    bench: Bench,
    laboratory: Laboratory,
    remedy: Remedy,
    network: KeptNetwork,
    selected: Selected,
    seed: int,
    split: str = "test",
) -> Decisions:
    """The decisions of a split's rows: by the method's own rule, else as the config asks (its threshold from val).

    A rule is fitted on the rows set aside, else on val; on val where the method's network was fitted on the rows
    set aside already. Val itself is decided by rules that have not seen the row.
    """
    predictions = predictions_of(bench, laboratory, laboratory.scores(network, selected))
    quick = bench.job.config.intervals.model_copy(update={"draws": 0})  # a threshold's own interval is not shown
    config = bench.job.config.model_copy(update={"intervals": quick})
    rule = remedy.treatment(bench.ask).decide
    if rule is None:
        return decided(config, bench.job.inputs, predictions, split)
    predictions = recalibrated(config, bench.job.inputs, predictions)
    assert predictions.scores is not None
    rows = bench.manifest.rows(split)
    rows = rows[predictions.status[rows] == Status.PREDICTED]
    aside = len(laboratory.rows["adjust"]) > 0 and not remedy.uses_adjust
    said = _Ruled(bench, rule, predictions.scores, seed)
    if split == "val" and not aside:
        answers = said.crossed(rows)
    else:
        answers = said.of(laboratory.rows["adjust" if aside else "val"], rows)
    predicted = np.full(len(bench.manifest), -1, dtype=np.int32)
    predicted[rows] = answers
    return decide(bench.job.inputs.task, bench.manifest, replace(predictions, predicted=predicted), split=split)


class _Ruled:
    """A method's own rule, fitted on some rows and asked of others."""

    def __init__(self, bench: Bench, rule: Decide, scores: Scores, seed: int) -> None:
        self.bench, self.rule, self.scores, self.seed = bench, rule, scores, seed

    def of(self, fitted_on: Rows, rows: Rows) -> Codes:
        return self.rule(self._scored(fitted_on), self._scored(rows), self.seed)

    def crossed(self, rows: Rows) -> Codes:
        """Each half decided by a rule fitted on the other; by one fitted on all where a half lacks what it needs."""
        first = _half(self.bench, rows, self.seed)
        answers = np.empty(len(rows), dtype=np.int32)
        try:
            for part in (first, ~first):
                answers[part] = self.of(rows[~part], rows[part])
        except InputError:
            return self.of(rows, rows)
        return answers

    def _scored(self, rows: Rows) -> Scored:
        bench = self.bench
        return Scored(self.scores[rows], bench.manifest.label.codes[rows], bench.groups_of(rows), bench.group_names)


def _half(bench: Bench, rows: Rows, seed: int) -> NDArray[np.bool_]:
    """Half of the rows at random, (n,), by subject where there are subjects."""
    subject = bench.manifest.subject
    units = np.arange(len(rows)) if subject is None else np.unique(subject.codes[rows], return_inverse=True)[1]
    order = np.random.default_rng(seed).permutation(int(units.max(initial=-1)) + 1)
    return np.asarray(order[units] % 2 == 0)


def recalibrated_decisions(
    bench: Bench, laboratory: Laboratory, network: KeptNetwork, selected: Selected, decisions: Decisions
) -> Decisions:
    """The test rows' decisions with the network's own scores brought back to the frequency of classes on val.

    A temperature that the config asks for is not applied besides: the fit has one of its own.
    """
    scores, val = laboratory.scores(network, selected), laboratory.rows["val"]
    fitted = fit_prior(bench.manifest.label.codes[val], scores[val])
    rows = bench.manifest.rows("test")
    rows = rows[np.isfinite(scores[rows]).all(axis=1)]
    return replace(decisions, scores=with_prior(scores[rows], fitted))
