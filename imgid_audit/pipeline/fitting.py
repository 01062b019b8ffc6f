"""How the audited network was trained and whether it fits, put together as ``fit.json``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from imgid_audit.core.fit import Fit, GeneralisationGap
from imgid_audit.core.predictions import Predictions
from imgid_audit.core.result import AuditResult
from imgid_audit.evaluation.generalisation import generalisation
from imgid_audit.export.fit_json import encode_fit
from imgid_audit.export.fit_reader import read_fit
from imgid_audit.io import atomic
from imgid_audit.io.kept_networks import network_key
from imgid_audit.pipeline.deciding import decided
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.searching import confirm_step, kept_search, searches
from imgid_audit.pipeline.studies import kept_studies, study_steps

if TYPE_CHECKING:
    from imgid_audit.vision.records import TrainingRecord


def explain(job: Job) -> None:
    """Train the further networks that tell what training did: of a search's choice, and of studies."""
    if job.config.trains:
        confirm_step(job)
        study_steps(job)


def fit_of(job: Job, predictions: Predictions, training: TrainingRecord | None) -> Fit | None:
    """What is known of the training; None where nothing was trained. Searches and studies as the folder keeps them."""
    if training is None:
        return None
    from imgid_audit.vision.slices import curves_of

    return Fit(
        curves=curves_of(training),
        gaps=_gaps(job, predictions),
        search=kept_search(job) if searches(job.config) else None,
        studies=kept_studies(job),
    )


def keep_fit(job: Job, fit: Fit | None, audit: str) -> None:
    """Write ``fit.json`` beside the audit whose name `audit` is; remove one of another training."""
    if fit is None:
        job.folder.fit.unlink(missing_ok=True)
        return
    atomic.write_bytes(job.folder.fit, encode_fit(Fit(fit.curves, fit.gaps, fit.search, fit.studies, {"audit": audit})))


def kept_fit(job: Job, result: AuditResult) -> Fit | None:
    """The fit in the run folder, where it belongs to `result`."""
    if not job.folder.fit.is_file():
        return None
    found = read_fit(job.folder.fit)
    return found if found.hashes.get("audit") == name_of(result) else None


def name_of(result: AuditResult) -> str:
    """Names an audit by its weights, its decisions, and the settings that both it and the fit were made with."""
    hashes = result.provenance.get("hashes", {})
    settings = json.loads(json.dumps(result.settings, default=str))  # as they are when they are read again
    return network_key({"weights": hashes.get("weights"), "cells": hashes.get("cells"), "settings": settings})


def _gaps(job: Job, predictions: Predictions) -> tuple[GeneralisationGap, ...]:
    """Accuracy on train less that on val, decided as on test; undefined, and that on train alone, without val rows."""
    quick = job.config.intervals.model_copy(update={"draws": 0})  # a threshold's own interval is not shown
    config = job.config.model_copy(update={"intervals": quick})
    train, val = (decided(config, job.inputs, predictions, split) for split in ("train", "val"))
    return generalisation(train, val, job.config.interval_spec())
