"""Training of a classifier: best checkpoint by a declared criterion, one seed, resumable between epochs."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.task import Task
from imgid_audit.io.atomic import remove_leftovers
from imgid_audit.io.content import hash_file
from imgid_audit.vision import checkpoint, records
from imgid_audit.vision import device as devices
from imgid_audit.vision.augment import needs_original
from imgid_audit.vision.averaging import is_averaged, plain_epochs
from imgid_audit.vision.checkpoint import History
from imgid_audit.vision.criterion import criterion_of, group_codes, require_trainable
from imgid_audit.vision.distributed import World, current, same_everywhere
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.job import Job
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.meters import Meters
from imgid_audit.vision.records import EpochRecord, TrainingRecord
from imgid_audit.vision.reproducible import INIT, derive, reproducible
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.sources import CACHE_BYTES, ImageSource, Rows
from imgid_audit.vision.starting import initial_model, transform_of
from imgid_audit.vision.treatment import PLAIN, Resample, Scores, Treatment
from imgid_audit.vision.weights import hash_state, save_weights

Watch = Callable[[EpochRecord, Rows, Scores], None]
Seen = list[tuple[Rows, Scores]]


def train(
    manifest: Manifest,
    task: Task,
    root: Path,
    model_settings: ModelSettings,
    settings: TrainSettings,
    folder: Path,
    *,
    resample: Resample | None = None,
    treatment: Treatment = PLAIN,
    plan: str = "",
    keep_average: bool = False,
    progress: Progress = SILENT,
    stop: Callable[[], bool] = lambda: False,
    watch: Watch | None = None,
) -> TrainingRecord:
    """Train on the train split, keep the best epoch by the val split, in `folder`.

    Writes ``weights.safetensors`` (with class order and input transform) whenever an epoch is the
    best so far, and ``training.json`` at the end. Best is the highest criterion, of equal ones the
    lowest validation loss, of those the first; without val rows the last epoch is kept. The same
    seed, data, machine and versions give the same bytes on the CPU, also where the training was
    interrupted and continued. Images that do not decode are left out and listed in the record.

    `treatment` is what a mitigation changes: its rows, loss, augmentation and mixtures (what is done to
    the last layer afterwards is the caller's). `plan` names the treatment and all else that the other
    arguments do not tell: a training of the same plan that is finished in `folder` is not repeated.
    `keep_average` also keeps the best epoch by plain accuracy, as ``weights_average.safetensors``.

    `watch` is called after every new epoch (none that a checkpoint restored) with its record, the validation rows
    that were seen (m,) and their class probabilities (m, classes), float64. What it raises ends the training
    and passes.

    Raises `InputError` where there is nothing to train on or to select by, `StoppedError` once
    `stop()` is true (the same call continues after the last whole epoch), and `DivergedError`.
    """
    require_trainable(settings, manifest)
    _require_whole(treatment)
    world = current()
    _require_alone(world, treatment, watch)
    device = devices.resolve_device(world.device(settings.device))
    groups = group_codes(manifest, settings.groups)
    codes, names = groups if groups is not None else (None, ())
    transform = transform_of(model_settings, settings)
    job = Job(
        manifest,
        task,
        root,
        model_settings,
        settings,
        folder,
        transform,
        device,
        codes,
        names,
        resample,
        progress,
        stop,
        treatment,
        keep_average,
        world,
    )
    name = world.of_first(lambda: _name(job, plan))
    done = world.of_first(lambda: _finished(folder, name)) if plan else None
    if done is not None:
        return done
    folder.mkdir(parents=True, exist_ok=True)
    if world.first:
        remove_leftovers(folder)
    with reproducible(derive(settings.seed, INIT), device):
        loop = Loop(job, initial_model(model_settings, settings, len(task.labels)))
        return _run(job, loop, name, plan, watch)


def _name(job: Job, plan: str) -> str:
    """Names this very training."""
    described: dict[str, Any] = job.transform.describe()
    if plan or job.keep_average:
        described = {**described, "plan": plan, "keep_average": job.keep_average}
    return checkpoint.fingerprint(job.manifest, job.model_settings, job.settings, job.device, described)


def _finished(folder: Path, name: str) -> TrainingRecord | None:
    """The record of the training `name` that `folder` holds whole."""
    record = records.read_record(folder)
    if record is None or record.fingerprint != name:
        return None
    files = [(record.weights, record.sha256), (record.average_weights, record.average_sha256)]
    whole = all((folder / file).is_file() and hash_file(folder / file) == digest for file, digest in files if file)
    return record if whole else None


def _require_whole(treatment: Treatment) -> None:
    """Raise `InputError` for what acts on embeddings: here there are none."""
    if treatment.points is not None:
        raise InputError(Problem("[mitigations]", "new points among embeddings exist in scope head alone"))


def _require_alone(world: World, treatment: Treatment, watch: Watch | None) -> None:
    """Raise `InputError` for what one process alone can train."""
    if world.alone or (treatment is PLAIN and watch is None):
        return
    what = "a network of a mitigation, a search or a study"
    raise InputError(Problem("WORLD_SIZE", f"is {world.size}, but {what} is trained by one process: no torchrun"))


def _run(job: Job, loop: Loop, name: str, plan: str, watch: Watch | None) -> TrainingRecord:
    """All epochs, from the checkpoint where there is one of this very training."""
    settings = job.settings
    world = job.world
    history = checkpoint.restore(job.folder, name, loop.parts)
    if world.first and history is not None:
        checkpoint.weights_back(job.folder, history)
    if not world.alone:
        same_everywhere(world, [settings, job.model_settings], "settings")
        same_everywhere(world, [None if history is None else len(history.epochs)], "checkpoints")
        same_everywhere(world, [hash_state(loop.model)], "starting weights")
    if history is None:
        history = History()
        weights = [job.folder / file for file in (records.WEIGHTS, records.WEIGHTS_AVERAGE)]
        for path in (job.folder / records.FILE, *weights, *map(checkpoint.previous, weights)):
            path.unlink(missing_ok=True)  # of an earlier training: it would pass for this one's
    parts = "" if settings.accumulate == "auto" else ", or train.accumulate larger (auto finds it)"
    what = f"with train.batch_size {settings.batch_size}"
    memory = devices.memory_for(what, f"make it, or model.input.size, smaller{parts}")
    with memory, _sources(job) as source, _sources(job, val=True) as val_source:
        ended = _ended(history, settings)
        while not ended:
            seen: Seen | None = None if watch is None else []
            _epoch(job, loop, history, source, val_source, seen)
            if watch is not None:  # before the checkpoint: an epoch may be told twice, never not at all
                watch(history.epochs[-1], *_joined(seen or [], len(job.task.labels)))
            world.of_first(lambda: checkpoint.save(job.folder, name, history, loop.parts))
            ended = _ended(history, settings)
    record = _record(job, loop, history, ended, name if plan else "")
    world.of_first(lambda: records.write_record(record, job.folder))
    if world.first:
        checkpoint.discard(job.folder)
    return record


def _joined(seen: Seen, classes: int) -> tuple[Rows, Scores]:
    rows, scores = zip(*seen, strict=True) if seen else ((), ())
    return np.concatenate([np.zeros(0, np.intp), *rows]), np.concatenate([np.zeros((0, classes)), *scores])


def _epoch(
    job: Job, loop: Loop, history: History, source: ImageSource, val_source: ImageSource, keep: Seen | None
) -> None:
    number = len(history.epochs) + 1
    try:
        seen = loop.train_epoch(number, source, history)
        with loop.finished():
            _judge(job, loop, history, seen, val_source, keep)
    except DivergedError as error:
        kept = f"the weights of epoch {history.best_epoch} are kept" if history.best_epoch else "no epoch was completed"
        if job.world.first:
            checkpoint.discard(job.folder)
        told = f"{error}; {kept}. Make train.lr smaller (it is {job.settings.lr:g})"
        raise DivergedError(told, len(history.epochs)) from None


def _judge(job: Job, loop: Loop, history: History, seen: Meters, val_source: ImageSource, keep: Seen | None) -> None:
    """Validate the network as it predicts, note the epoch, and keep the weights where they are the best so far."""
    number = len(history.epochs) + 1
    if not loop.finite():
        raise DivergedError(f"weights became NaN or infinite in epoch {number}")
    val = loop.validate(val_source, history, keep)
    if val.loss is not None and not math.isfinite(val.loss):
        raise DivergedError(f"validation loss became {val.loss} in epoch {number}")
    if seen.loss is None or seen.accuracy is None:
        reasons = sorted(set(history.undecodable.values()))
        raise InputError(Problem("[data > image]", f"no training image could be used: {'; '.join(reasons[:3])}"))
    value, worst, history.undefined = criterion_of(job.settings, val, job.task.labels, job.group_names)
    epoch = EpochRecord(
        number,
        seen.loss,
        seen.accuracy,
        val.loss,
        val.accuracy,
        value,
        worst,
        loop.lr,
        history.images_seen,
        seen.slice_accuracy,
        val.slice_accuracy,
    )
    history.epochs.append(epoch)
    if history.is_best(epoch):
        history.keep(epoch, _saved(job, loop, records.WEIGHTS))
    if job.keep_average and history.is_best_average(epoch):
        history.keep_average(epoch, _saved(job, loop, records.WEIGHTS_AVERAGE))


def _saved(job: Job, loop: Loop, file: str) -> str:
    """Keep the network's weights as `file`; its sha256."""
    architecture = job.model_settings.architecture
    path, labels = job.folder / file, job.task.labels

    def saved() -> str:
        checkpoint.set_aside(path)
        return save_weights(loop.network, path, labels, job.transform, architecture)

    return job.world.of_first(saved)


def _ended(history: History, settings: TrainSettings) -> str:
    """Why there is no further epoch; '' where there is one."""
    done = len(history.epochs)
    if done >= settings.epochs:
        return "all epochs"
    if settings.patience is not None and done - max(history.best_epoch, _unsettled(settings)) >= settings.patience:
        return "patience"
    return ""


def _unsettled(settings: TrainSettings) -> int:
    """Epochs after which what was asked for has only begun: patience starts behind them, or they would be all."""
    frozen = 0 if settings.fine_tune is None else settings.fine_tune.frozen_epochs
    swa = settings.average is not None and settings.average.method == "swa"
    return max(frozen, plain_epochs(settings) if swa else 0)


def _record(job: Job, loop: Loop, history: History, ended: str, fingerprint: str) -> TrainingRecord:
    select = {
        "average": "accuracy",
        "worst_class": "accuracy of the worst class",
        "worst_group": "accuracy of the worst group",
    }
    criterion = (
        f"{select[job.settings.select]} on val" if len(loop.val_rows) else "none: no val rows, the last epoch is kept"
    )
    return TrainingRecord(
        epochs=tuple(history.epochs),
        best_epoch=history.best_epoch,
        criterion=criterion,
        ended=ended,
        images_seen=history.images_seen,
        parameters=sum(parameter.numel() for parameter in loop.model.parameters()),
        train_rows=len(loop.train_rows),
        val_rows=len(loop.val_rows),
        undecodable=tuple((str(job.manifest.ids[row]), why) for row, why in sorted(history.undecodable.items())),
        undefined=history.undefined,
        device=job.device.type,
        precision=str(loop.dtype).removeprefix("torch."),
        weights=records.WEIGHTS,
        sha256=history.sha256,
        average_epoch=history.average_epoch,
        average_weights=records.WEIGHTS_AVERAGE if job.keep_average else "",
        average_sha256=history.average_sha256,
        fingerprint=fingerprint,
        best_frozen=loop.phases.frozen(history.best_epoch),
        best_averaged=is_averaged(job.settings, history.best_epoch),
        slices=loop.slices.names,
        slice_rows=tuple(
            zip(*(loop.slices.counts(rows).tolist() for rows in (loop.train_rows, loop.val_rows)), strict=True)
        ),
    )


def _sources(job: Job, *, val: bool = False) -> ImageSource:
    workers = job.settings.workers
    threads = devices.auto_threads(job.device) if workers == "auto" else workers
    original = needs_original(job.augment) and not val
    prepare = (lambda image: image) if original else job.transform.prepare
    assert job.manifest.images is not None  # require_trainable saw to it
    room = CACHE_BYTES // 4 if val else CACHE_BYTES
    return ImageSource(job.manifest.images, job.root, prepare, threads=threads, cache_bytes=room)
