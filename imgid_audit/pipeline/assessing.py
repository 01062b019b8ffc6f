"""From predictions to the result: estimates, gaps, verdicts, findings, the account of rows. Touches no disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np

from imgid_audit.checks import CheckContext, run_checks
from imgid_audit.core.factor import tally
from imgid_audit.core.fit import Fit
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.result import AuditResult, DataAccount
from imgid_audit.evaluation import evaluate
from imgid_audit.evaluation.drops import Earlier, beside
from imgid_audit.evaluation.suppression import protect
from imgid_audit.evaluation.waivers import with_waivers
from imgid_audit.io.provenance import provenance
from imgid_audit.pipeline.baseline import named
from imgid_audit.pipeline.calibrating import before_and_after, recalibration_notes
from imgid_audit.pipeline.deciding import decided
from imgid_audit.pipeline.inputs import Inputs

if TYPE_CHECKING:
    from imgid_audit.config import Config
    from imgid_audit.vision.records import TrainingRecord


def with_outcomes(inputs: Inputs, predictions: Predictions) -> Manifest:
    """The manifest with what became of every row."""
    return replace(inputs.manifest, status=predictions.status, reason=predictions.reason)


def assess(
    config: Config,
    inputs: Inputs,
    predictions: Predictions,
    training: TrainingRecord | None,
    place: Mapping[str, object],
    before: Earlier | None = None,
    fit: Fit | None = None,
    trained_as: Mapping[str, Any] | None = None,
) -> tuple[AuditResult, Decisions]:
    """Estimates, gaps, verdicts and findings of the test rows; Touches no disk.

    `before` is the policy's baseline; `trained_as` are the settings of the audited network, where a search chose them.
    """
    rows = with_outcomes(inputs, predictions)
    each = decided(config, inputs, predictions)
    decisions = each.distinct()
    spec = config.evaluation_spec()
    baseline = None if before is None else beside(before, decisions, named(inputs, predictions, each))
    evaluation = evaluate(decisions, spec, baseline)
    day = datetime.fromisoformat(str(place["epoch"])).date()
    calibration = before_and_after(config, inputs, predictions, decisions)
    verdicts = with_waivers(evaluation.verdicts, spec.policy.rules, day)
    evaluation = replace(evaluation, verdicts=verdicts, calibration=calibration)
    context = CheckContext(
        task=inputs.task,
        manifest=rows,
        decisions=decisions,
        evaluation=evaluation,
        image_sha256=inputs.image_sha256,
        intervals=config.interval_spec(),
        min_support=config.policy.min_support,
        fit=fit,
        settings=config.plain() if trained_as is None else trained_as,
        given=config.plain(),
    )
    result = AuditResult(
        name=config.name,
        data=account(rows, decisions),
        evaluation=evaluation,
        findings=run_checks(context, config.check_settings()),
        notes=(*config.notes, *inputs.notes, *_training_notes(training), *recalibration_notes(calibration)),
        settings=config.plain(),
        provenance=_provenance(config, inputs, training),
        run=dict(place),
        privacy=None if config.privacy is None else protect(decisions, spec, config.privacy.min_cell),
    )
    return result, decisions


def account(manifest: Manifest, decisions: Decisions) -> DataAccount:
    """Where every row went. Counts of splits are over rows that are not excluded, levels over evaluated ones."""
    status, splits = manifest.status, manifest.split
    kept = status != Status.EXCLUDED
    told = manifest.reason != ""
    reasons, reason = np.unique(manifest.reason[told].astype(str), return_inverse=True)
    subject, count, labels = manifest.subject, decisions.count, decisions.task.labels
    return DataAccount(
        rows=manifest.size(),
        predicted=manifest.size(status == Status.PREDICTED),
        failed=manifest.size(status == Status.FAILED),
        excluded=manifest.size(status == Status.EXCLUDED),
        subjects=None if subject is None else len(np.unique(subject.codes[subject.codes >= 0])),
        splits=dict(zip(splits.levels, splits.take(kept).counts(manifest.counted(kept)).tolist(), strict=True)),
        attributes={f.name: dict(zip(f.levels, f.counts(count).tolist(), strict=True)) for f in decisions.attributes},
        labels=dict(zip(labels, tally(decisions.label, len(labels), count).tolist(), strict=True)),
        reasons=dict(zip(reasons.tolist(), tally(reason, len(reasons), manifest.counted(told)).tolist(), strict=True)),
    )


def _training_notes(training: TrainingRecord | None) -> tuple[str, ...]:
    """What a reader must know of the training: images it left out, groups it could not select by."""
    if training is None:
        return ()
    notes = []
    if training.undecodable:
        notes.append(f"{len(training.undecodable)} training or validation images did not decode and were left out.")
    if training.undefined:
        names = ", ".join(training.undefined)
        notes.append(f"The checkpoint was selected without {names}: no validation rows.")
    return tuple(notes)


def _provenance(config: Config, inputs: Inputs, training: TrainingRecord | None) -> dict[str, Any]:
    """Versions and hashes; for a trained model also how it was trained, in images seen."""
    facts = provenance()
    hashes = dict(inputs.hashes)
    plain = json.dumps(config.plain(), sort_keys=True, ensure_ascii=False)
    hashes["config"] = hashlib.sha256(plain.encode()).hexdigest()
    facts["hashes"] = {**facts.get("hashes", {}), **hashes}
    if training is not None:
        facts["hashes"]["weights"] = training.sha256
        best = training.epochs[training.best_epoch - 1]
        facts["training"] = {
            "criterion": training.criterion,
            "criterion_value": best.criterion,
            "worst": best.worst,
            "best_epoch": training.best_epoch,
            "epochs": len(training.epochs),
            "images_seen": training.images_seen,
            "parameters": training.parameters,
            "ended": training.ended,
        }
    return facts
