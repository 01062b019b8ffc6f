"""Images to scores, shard by shard, so that a killed run resumes and ends with the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Predictions
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.vision import device as devices
from imgid_audit.vision.batching import Forward, first_batch_size, within_memory
from imgid_audit.vision.settings import PredictSettings
from imgid_audit.vision.sources import Batch, ImageSource, blocks
from imgid_audit.vision.weights import LoadedModel

SCORE = "score:"
BATCH_SIZE = "batch_size"
NON_FINITE = "non-finite output"
_SHOWN = 3


class Store(Protocol):
    """What `predict` needs of `io.shards.ShardStore`."""

    @property
    def meta(self) -> dict[str, Any]: ...

    def set_meta(self, name: str, value: Any) -> None: ...

    def missing(self) -> list[int]: ...

    def rows(self, index: int) -> NDArray[np.int64]: ...

    def write(self, index: int, columns: Mapping[str, NDArray[Any]]) -> None: ...

    def read(self) -> dict[str, NDArray[Any]]: ...


def rows_to_predict(manifest: Manifest) -> NDArray[np.int64]:
    """The plan's rows: every row of every split that is not excluded, in manifest order."""
    return np.flatnonzero(manifest.status != Status.EXCLUDED).astype(np.int64)


def predict(
    manifest: Manifest,
    root: Path,
    model: LoadedModel,
    settings: PredictSettings,
    store: Store,
    *,
    progress: Progress = SILENT,
    stop: Callable[[], bool] = lambda: False,
) -> Predictions:
    """Scores for every row of the plan that `store` was opened with (`rows_to_predict`).

    Each shard is kept by `store` as soon as it is done; shards that are there already are not
    computed again. Out of memory halves the batch, and the size in use is kept with the shards,
    so that a resumed run computes as an unbroken one would. A row whose image does not decode, or
    whose output is not finite, is FAILED with its reason.

    Raises `InputError` where the outputs do not match the classes, and `StoppedError` once `stop()`
    is true (asked between shards), or where one image alone does not fit in memory. Whether too
    many rows failed is for `require_few_failed` to say.
    """
    require_class_order(manifest, model)
    device = devices.resolve_device(settings.device)
    worker = _Worker(manifest, model, settings, device, progress, total=len(rows_to_predict(manifest)))
    missing = store.missing()
    worker.done = worker.total - sum(len(store.rows(index)) for index in missing)
    threads = devices.auto_threads(device) if settings.workers == "auto" else settings.workers
    batch_size = store.meta.get(BATCH_SIZE) or first_batch_size(settings, device, model.transform.size)
    images = manifest.images
    if images is None:
        raise InputError(Problem("[data > image]", "the manifest has no images to predict"))
    with ImageSource(images, root, model.transform.prepare, threads=threads) as source:
        for count, index in enumerate(missing):
            if stop():
                raise StoppedError(
                    f"stopped after {worker.done} of {worker.total} images ({len(missing) - count} shards to go): "
                    "the same command resumes"
                )
            rows = store.rows(index)
            work = partial(worker.shard, source, rows)
            columns, batch_size = within_memory(work, batch_size, device)
            if store.meta.get(BATCH_SIZE) != batch_size:
                store.set_meta(BATCH_SIZE, batch_size)
            store.write(index, columns)
    return assemble(manifest, store.read())


def require_few_failed(manifest: Manifest, predictions: Predictions, max_failed: float) -> None:
    """Raise `StoppedError` where more than the fraction `max_failed` of the images failed, with the first reasons."""
    failed = np.flatnonzero(predictions.status == Status.FAILED)
    asked = len(rows_to_predict(manifest))
    if not asked or len(failed) <= max_failed * asked:
        return
    first = "; ".join(f"{manifest.ids[row]}: {predictions.reason[row]}" for row in failed[:_SHOWN])
    raise StoppedError(
        f"{len(failed)} of {asked} images failed, more than predict.max_failed allows ({max_failed:g}): {first}"
        f"{f'; and {len(failed) - _SHOWN} more' if len(failed) > _SHOWN else ''}. "
        "Predictions are kept: raise predict.max_failed to go on with them, or mend the images and run again"
    )


@dataclass(slots=True, eq=False)
class _Worker:
    """Computes shards; remembers how far it is and how accurate so far."""

    manifest: Manifest
    model: LoadedModel
    settings: PredictSettings
    device: torch.device
    progress: Progress
    total: int
    done: int = 0
    forward: Forward = field(init=False)
    meters: Any = field(init=False, default=None)

    def __post_init__(self) -> None:
        self.forward = Forward(self.model, self.settings, self.device)
        if self.progress is not SILENT:
            from imgid_audit.vision.meters import Meters

            self.meters = Meters(self.classes)

    @property
    def classes(self) -> int:
        return len(self.manifest.label.levels)

    def shard(self, source: ImageSource, rows: NDArray[np.int64], batch_size: int) -> dict[str, NDArray[Any]]:
        """Columns of one shard, computed in batches of `batch_size`."""
        scores = np.full((len(rows), self.classes), np.nan)
        reason: NDArray[np.object_] = np.full(len(rows), "", dtype=object)
        start = self.done
        try:
            for number, batch in enumerate(source.batches(blocks(rows, batch_size))):
                self._batch(batch, rows, scores, reason)
                self.done = start + min((number + 1) * batch_size, len(rows))
                self.progress.update(self.done, self.total, self._remark())
        except BaseException:
            self.done = start
            raise
        reason[~np.isfinite(scores).all(axis=1) & (reason == "")] = NON_FINITE
        failed = reason != ""
        scores[failed] = np.nan
        labels = self.manifest.label.levels
        return {
            "id": self.manifest.ids[rows],
            "label": self.manifest.label.take(rows).texts(),
            "status": np.where(failed, Status.FAILED, Status.PREDICTED).astype(np.int8),
            "reason": reason,
            **{f"{SCORE}{label}": np.ascontiguousarray(scores[:, code]) for code, label in enumerate(labels)},
        }

    def _batch(self, batch: Batch, rows: NDArray[np.int64], scores: NDArray[Any], reason: NDArray[Any]) -> None:
        for row, why in batch.failed:
            reason[np.searchsorted(rows, row)] = why
        if batch.pixels is None:
            return
        probabilities = self._scores(batch.pixels)
        scores[np.searchsorted(rows, batch.rows)] = probabilities.numpy()
        if self.meters is not None:
            label = torch.from_numpy(self.manifest.label.codes[batch.rows].astype(np.int64))
            self.meters.update(probabilities.argmax(dim=1), label)

    def _scores(self, pixels: torch.Tensor) -> torch.Tensor:
        """Softmax of the logits, float64 (m, classes) on the CPU."""
        logits = self.forward(pixels)
        if logits.ndim != 2 or logits.shape != (len(pixels), self.classes):
            found = logits.shape[1] if logits.ndim == 2 else f"shape {tuple(logits.shape)}"
            message = f"the model gives {found} outputs an image, the task has {self.classes} classes"
            raise InputError(Problem("[model]", message))
        # In double precision confident scores stay apart: float32 rounds to 1 from a logit gap of 17.
        return torch.softmax(logits.cpu().double(), dim=1)

    def _remark(self) -> str:
        accuracy = None if self.meters is None else self.meters.accuracy
        return "" if accuracy is None else f"accuracy so far {accuracy:.3f}"


def require_class_order(manifest: Manifest, model: LoadedModel) -> None:
    """The file's own class order, where it carries one, must be the task's: a matching count is not enough."""
    levels = manifest.label.levels
    if model.labels is not None and model.labels != levels:
        message = f"the weights' outputs are {list(model.labels)}, the task's labels are {list(levels)}: use that order"
        raise InputError(Problem("[task > labels]", message))


def assemble(manifest: Manifest, columns: Mapping[str, NDArray[Any]]) -> Predictions:
    scores = np.full((len(manifest), len(manifest.label.levels)), np.nan)
    status = manifest.status.copy()
    reason = manifest.reason.copy()
    if columns:
        rows = columns["row"]
        scores[rows] = np.column_stack([columns[f"{SCORE}{label}"] for label in manifest.label.levels])
        status[rows] = columns["status"]
        reason[rows] = columns["reason"]
    return Predictions(scores, None, status, reason)
