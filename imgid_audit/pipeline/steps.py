"""The steps of a job: train, predict, evaluate, report. Each leaves its files in the run folder."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.result import AuditResult
from imgid_audit.io import atomic
from imgid_audit.io.kept_networks import network_key
from imgid_audit.io.provenance import provenance
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.io.shards import ShardStore
from imgid_audit.pipeline.assessing import assess, with_outcomes
from imgid_audit.pipeline.baseline import earlier, open_baseline, with_baseline
from imgid_audit.pipeline.calibrating import recalibrated
from imgid_audit.pipeline.deciding import decided, require_few_unpredicted
from imgid_audit.pipeline.fitting import fit_of, keep_fit, name_of
from imgid_audit.pipeline.inputs import weights_path
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.pictures import worst_images
from imgid_audit.pipeline.studies import untold_studies
from imgid_audit.pipeline.training import resampler, rooted
from imgid_audit.report.facts import WorstImages

if TYPE_CHECKING:
    from imgid_audit.vision.records import TrainingRecord
    from imgid_audit.vision.weights import LoadedModel

SETTLED = "settled.json"
"""Beside the audited network: which settings it was trained with, where a search chose them."""


def train_step(job: Job) -> TrainingRecord | None:
    """Train where the config asks for it; a training that is finished in the folder is not repeated."""
    if not job.config.trains:
        return None
    from imgid_audit.vision.distributed import joined
    from imgid_audit.vision.train import train

    with joined(job.config.train.device) as world:
        done, settled = world.of_first(lambda: (_done_or_begun(job), job.settled))
        if done is not None:
            return done
        job = replace(job, settled=settled)
        inputs, model = job.inputs, job.fitted.model
        assert model is not None
        job.progress.step("train")
        settings = rooted(job, job.fitted.train.alone())
        return train(
            inputs.manifest, inputs.task, inputs.root, model, settings, job.folder.model,
            resample=resampler(settings), progress=job.progress, stop=job.stop,
        )  # fmt: skip


def _done_or_begun(job: Job) -> TrainingRecord | None:
    """The finished training; None where it is to be made, of the settings that are noted then."""
    done = finished_training(job)
    if done is None and job.settled is not None:
        if _of_other_settings(job):  # before the note: a kill in between must not pass that network off as this one
            _forget_network(job.folder)
        atomic.write_json(job.folder.model / SETTLED, _settings_name(job))
    return done


def _forget_network(folder: RunFolder) -> None:
    """Remove the record of the folder's network, and what it predicted: another takes its place."""
    from imgid_audit.vision.records import FILE

    (folder.model / FILE).unlink(missing_ok=True)
    shutil.rmtree(folder.predictions, ignore_errors=True)


def _settings_name(job: Job) -> str:
    model = job.fitted.model
    assert model is not None
    settings = {"model": model.model_dump(mode="json"), "train": job.fitted.train.alone().model_dump(mode="json")}
    return network_key(settings)


def _of_other_settings(job: Job) -> bool:
    """Whether the folder's network was trained with other settings than the search chose (it was made anew since)."""
    if job.settled is None:
        return False
    try:
        return json.loads((job.folder.model / SETTLED).read_text(encoding="utf-8")) != _settings_name(job)
    except (OSError, ValueError):
        return True


def finished_training(job: Job) -> TrainingRecord | None:
    """The record of the training that the folder holds whole: its weights are those it names."""
    from imgid_audit.io.content import hash_file
    from imgid_audit.vision.records import read_record

    if _of_other_settings(job):
        return None
    record = read_record(job.folder.model)
    if record is None:
        return None
    weights = job.folder.model / record.weights
    return record if weights.is_file() and hash_file(weights) == record.sha256 else None


def predict_step(job: Job) -> Predictions:
    """Scores of every row: brought by the user, or made by the model, shard by shard."""
    inputs = job.inputs
    if inputs.brought is not None:
        return brought_predictions(job)
    from imgid_audit.vision.infer import predict, require_few_failed

    model = load_trained(job)
    job.progress.step("predict")
    store = _store(job, model)
    settings = job.config.predict
    predictions = predict(
        inputs.manifest, inputs.root, model, settings, store, progress=job.progress, stop=job.stop
    )  # fmt: skip
    keep_rows(job, predictions)
    require_few_failed(inputs.manifest, predictions, settings.max_failed)
    return predictions


def brought_predictions(job: Job) -> Predictions:
    """The predictions that the config brings. `StoppedError`, the rows kept, where too many have none."""
    brought, settings = job.inputs.brought, job.config.predictions
    assert brought is not None
    assert settings is not None
    try:
        require_few_unpredicted(settings, job.inputs.manifest, brought)
    except StoppedError:
        keep_rows(job, brought)  # each with its reason, for whoever completes the table
        raise
    return brought


def stored_predictions(job: Job) -> Predictions:
    """The predictions that the run folder holds; `InputError` where some are missing."""
    inputs = job.inputs
    if inputs.brought is not None:
        return brought_predictions(job)
    from imgid_audit.vision.infer import assemble, require_few_failed

    if job.config.trains and finished_training(job) is None:
        raise InputError(
            Problem(str(job.folder.path), "holds no trained model yet: `imgid-audit run` or `train` first")
        )
    store = _store(job, load_trained(job))
    if store.missing():
        raise InputError(
            Problem(
                str(job.folder.path),
                f"lacks {len(store.missing())} of {len(store)} shards of predictions: predict first",
            )
        )
    predictions = assemble(inputs.manifest, store.read())
    require_few_failed(inputs.manifest, predictions, job.config.predict.max_failed)
    return predictions


def load_trained(job: Job) -> LoadedModel:
    from imgid_audit.vision.weights import load_model

    settings = job.fitted.model
    assert settings is not None
    path = weights_path(job.config) or job.folder.model / "weights.safetensors"
    if not path.is_file():
        raise InputError(Problem(str(job.folder.path), "holds no trained model yet: `imgid-audit train` first"))
    return load_model(settings, path, len(job.inputs.task.labels), trust_model_code=job.trust_model_code)


def _store(job: Job, model: LoadedModel) -> ShardStore:
    """The shards of this plan: keyed by the contents of weights, manifest and images, transform and versions."""
    from imgid_audit.vision.infer import rows_to_predict

    config = job.fitted
    assert config.model is not None
    versions = provenance()["versions"]
    plan: dict[str, Any] = {
        "architecture": config.model.architecture,
        "precision": config.predict.precision,
        "batch_size": config.predict.batch_size,
        "weights": model.sha256,
        "inputs": dict(job.inputs.hashes),
        "transform": model.transform.describe(),
        "versions": {name: versions.get(name) for name in ("torch", "torchvision", "pillow", "numpy")},
    }
    key = hashlib.sha256(json.dumps(plan, sort_keys=True).encode()).hexdigest()
    rows = rows_to_predict(job.inputs.manifest)
    return ShardStore(job.folder.predictions, key, rows, config.predict.shard_rows)


def keep_rows(job: Job, predictions: Predictions) -> None:
    """Keep every row with its status and reason as manifest.parquet, and its given label where there are no scores."""
    predicted = predictions.predicted if predictions.scores is None else None
    rows = with_outcomes(job.inputs, predictions)
    job.folder.write_manifest(rows, image_sha256=job.inputs.image_sha256, predicted=predicted)


def evaluate_step(job: Job, predictions: Predictions, training: TrainingRecord | None) -> AuditResult:
    """Assess the predictions, and keep the rows with their status and the cells."""
    job.progress.step("evaluate")
    keep_rows(job, predictions)
    opened = open_baseline(job.config, job.inputs.task)
    before = None if opened is None else earlier(opened)
    fit = fit_of(job, predictions, training)
    trained_as = job.fitted.plain()
    result, decisions = assess(job.config, job.inputs, predictions, training, job.place(), before, fit, trained_as)
    result = with_baseline(result, opened)
    hashes = {**result.provenance["hashes"], "cells": job.folder.write_decisions(decisions)}
    notes = (*result.notes, *_untold_notes(job))
    result = replace(result, provenance={**result.provenance, "hashes": hashes}, fit=fit, notes=notes)
    keep_fit(job, fit, name_of(result))
    return result


def _untold_notes(job: Job) -> tuple[str, ...]:
    """That studies are asked for and not made: only `run` and `train` train their networks."""
    untold = untold_studies(job)
    if not untold:
        return ()
    names = ", ".join(f"train.{kind}" for kind in untold)
    return (f"Asked for and not made yet: {names}. `imgid-audit run` trains the networks that it takes.",)


def kept_decisions(folder: RunFolder, result: AuditResult) -> Decisions:
    """The decisions that `result` was computed from, as the run folder keeps them."""
    return folder.read_decisions(str(result.provenance.get("hashes", {}).get("cells", "")))


def pictures(job: Job, predictions: Predictions) -> WorstImages | None:
    """The worst errors as pictures, where the config opts in."""
    count = job.config.report.worst_images
    if not count:
        return None
    decisions = decided(job.config, job.inputs, predictions)
    shown = recalibrated(job.config, job.inputs, predictions)
    return worst_images(job.inputs.manifest, shown, decisions, job.inputs.root, count)
