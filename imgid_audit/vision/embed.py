"""Images to embeddings: what enters a network's last layer, computed once an image and view, kept on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.factor import Texts
from imgid_audit.core.manifest import SPLITS, Manifest
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.io.vectors import VectorStore
from imgid_audit.vision import device as devices
from imgid_audit.vision.augment import augment, needs_original
from imgid_audit.vision.batching import Forward, first_batch_size, within_memory
from imgid_audit.vision.infer import BATCH_SIZE, NON_FINITE, require_class_order
from imgid_audit.vision.last_layer import Tap, as_head, linear_layer
from imgid_audit.vision.models import WHERE
from imgid_audit.vision.settings import AugmentSettings, PredictSettings
from imgid_audit.vision.sources import CACHE_BYTES, Finish, ImageSource, Rows, blocks
from imgid_audit.vision.treatment import Floats32, LinearHead
from imgid_audit.vision.weights import LoadedModel

View = tuple[AugmentSettings, int]
"""Random changes, and how many times every training image is seen with them."""

_VIEW = 17  # what seeds are derived for
_CLOSE = {torch.float32: 1e-3}
_CLOSE_HALF = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """Embeddings of the rows whose image (and every view of it) could be used.

    - `rows` (n,): manifest indices, ascending; `values` (n, d)
    - `failed`: the reason of every other row that was asked for
    - `views`: for each view asked (v, m, d), of the m rows of `rows` in the train split, in their order
    - `images_seen`: passes of an image through the backbone that this stands for, cached or not
    - `head`: the network's own last layer
    """

    rows: Rows
    values: Floats32
    failed: Mapping[int, str]
    views: Mapping[View, Floats32]
    images_seen: int
    head: LinearHead


def embed(
    manifest: Manifest,
    rows: NDArray[np.integer],
    root: Path,
    model: LoadedModel,
    settings: PredictSettings,
    folder: Path,
    *,
    classes: int,
    image_sha256: Texts,
    views: Sequence[View] = (),
    seed: int = 0,
    progress: Progress = SILENT,
    stop: Callable[[], bool] = lambda: False,
) -> Embedded:
    """Embeddings of `rows`, and of random `views` of those that are training rows.

    They are kept below `folder` by the hash of the image (`image_sha256`, one a manifest row), for this
    network, transform, precision, versions and view: an image that is known is not computed again,
    whatever became of the manifest, and a killed pass goes on after its last whole part. Random changes
    depend on `seed`, the view's number and the image, so rows of equal images have equal views.

    Raises `InputError` where the network's outputs are not its last linear layer's, and `StoppedError` once
    `stop()` is true, or where one image alone does not fit in memory.
    """
    require_class_order(manifest, model)
    if manifest.images is None:
        raise InputError(Problem("[data > image]", "the manifest has no images to embed"))
    rows = np.sort(np.asarray(rows, dtype=np.intp))
    trained = rows[manifest.split.codes[rows] == SPLITS.index("train")]
    views = tuple(dict.fromkeys(views))
    planned = len(rows) + sum(count for _, count in views) * len(trained)
    backbone = _Backbone(model, settings, classes, manifest.images, root, image_sha256, folder, progress, stop, planned)
    with backbone:
        values, reasons = backbone.plain(rows)
        seen = {view: backbone.views(view, trained, seed) for view in views}
    failed = dict(zip(rows[reasons != ""].tolist(), reasons[reasons != ""], strict=True))
    for _, why in seen.values():
        at, row = np.nonzero(why != "")
        failed |= {int(trained[r]): why[a, r] for a, r in zip(at, row, strict=True) if int(trained[r]) not in failed}
    bad = np.array(sorted(failed), dtype=np.intp)
    good, good_trained = ~np.isin(rows, bad), ~np.isin(trained, bad)
    return Embedded(
        rows=rows[good],
        values=values[good],
        failed=dict(sorted(failed.items())),
        views={view: np.ascontiguousarray(found[:, good_trained]) for view, (found, _) in seen.items()},
        images_seen=int(good.sum()) + sum(count for _, count in views) * int(good_trained.sum()),
        head=backbone.head,
    )


class _Backbone:
    """A network that gives its embeddings; remembers how far the whole work is. A context manager."""

    def __init__(
        self, model: LoadedModel, settings: PredictSettings, classes: int, images: Texts, root: Path, names: Texts,
        folder: Path, progress: Progress, stop: Callable[[], bool], planned: int,
    ) -> None:  # fmt: skip
        layer = linear_layer(model.module, classes)
        self.device = devices.resolve_device(settings.device)
        self.forward = Forward(model, settings, self.device)
        self.settings, self.images, self.root, self.names = settings, images, root, names
        self.folder, self.progress, self.stop = folder, progress, stop
        self.head = as_head(layer)
        self.planned, self.done = planned, 0
        self._checked = False
        self._tap = Tap(layer)
        self._plan = {
            "weights": model.sha256,
            "network": hashlib.sha256(repr(model.module).encode()).hexdigest(),
            "transform": model.transform.describe(),
            "precision": str(self.forward.dtype),
            "device": self.device.type,
            "batch_size": settings.batch_size,
            "versions": {name: version(name) for name in ("torch", "torchvision", "pillow", "numpy")},
        }

    def __enter__(self) -> _Backbone:
        return self

    def __exit__(self, *_: object) -> None:
        self._tap.__exit__()

    def plain(self, rows: Rows) -> tuple[Floats32, Texts]:
        """`(values (n, d), reasons (n,))` of the images as they are."""
        with self._source(self.forward.transform.prepare, 0) as source:
            return self._pass(source, rows, self._plan, None)

    def views(self, view: View, rows: Rows, seed: int) -> tuple[Floats32, Texts]:
        """`(values (v, n, d), reasons (v, n))` of random changes of the images."""
        changes, count = view
        prepare = (lambda image: image) if needs_original(changes) else self.forward.transform.prepare
        values = np.empty((count, len(rows), self.head.weight.shape[1]), dtype=np.float32)
        reasons: Texts = np.full((count, len(rows)), "", dtype=object)
        with self._source(prepare, CACHE_BYTES) as source:
            for number in range(count):
                plan = {**self._plan, "view": changes.model_dump(mode="json"), "number": number, "seed": seed}
                finish = self._random(changes, seed, number)
                values[number], reasons[number] = self._pass(source, rows, plan, finish)
        return values, reasons

    def _random(self, changes: AugmentSettings, seed: int, number: int) -> Finish:
        def finish(image: torch.Tensor, row: int) -> torch.Tensor:
            name = self.names[row]
            of_image = row if name is None else int(name[:16], 16)
            rng = np.random.default_rng((seed, _VIEW, number, of_image))
            return augment(image, changes, self.forward.transform, rng)

        return finish

    def _source(self, prepare: Callable[[torch.Tensor], torch.Tensor], cache_bytes: int) -> ImageSource:
        workers = self.settings.workers
        threads = devices.auto_threads(self.device) if workers == "auto" else workers
        return ImageSource(self.images, self.root, prepare, threads=threads, cache_bytes=cache_bytes)

    def _pass(
        self, source: ImageSource, rows: Rows, plan: Mapping[str, object], finish: Finish | None
    ) -> tuple[Floats32, Texts]:
        store = VectorStore(self.folder, plan, self.head.weight.shape[1])
        names = self.names[rows]
        named = np.array([name is not None for name in names], dtype=bool)
        images, first = np.unique(names[named].astype(str), return_index=True)
        new = np.sort(rows[named][first[[name not in store for name in images.tolist()]]])
        unnamed = rows[~named]  # could not be read when images were hashed: tried again in every pass
        self.done += len(rows) - len(new) - len(unnamed)
        size = int(store.meta.get(BATCH_SIZE) or first_batch_size(self.settings, self.device, self._side))
        for part in blocks(new, self.settings.shard_rows):
            (values, reasons), fits = self._part(source, part, finish, size)
            if fits != size or BATCH_SIZE not in store.meta:
                size = fits
                store.set_meta(BATCH_SIZE, size)
            store.write([self.names[row] for row in part], values, reasons)
        values = np.full((len(rows), self.head.weight.shape[1]), np.nan, dtype=np.float32)
        reasons = np.full(len(rows), "", dtype=object)
        values[named], reasons[named] = store.read(names[named].tolist())
        if len(unnamed):
            (values[~named], reasons[~named]), _ = self._part(source, unnamed, finish, size)
        return values, reasons

    @property
    def _side(self) -> int:
        return self.forward.transform.size

    def _part(
        self, source: ImageSource, rows: Rows, finish: Finish | None, size: int
    ) -> tuple[tuple[Floats32, Texts], int]:
        if self.stop():
            raise StoppedError(f"stopped after {self.done} of {self.planned} embeddings: the same command resumes")
        return within_memory(partial(self._compute, source, rows, finish), size, self.device)

    def _compute(
        self, source: ImageSource, rows: Rows, finish: Finish | None, batch_size: int
    ) -> tuple[Floats32, Texts]:
        values = np.full((len(rows), self.head.weight.shape[1]), np.nan, dtype=np.float32)
        reasons: Texts = np.full(len(rows), "", dtype=object)
        start = self.done
        for number, batch in enumerate(source.batches(blocks(rows, batch_size), finish)):
            for row, why in batch.failed:
                reasons[np.searchsorted(rows, row)] = why
            if batch.pixels is not None:
                values[np.searchsorted(rows, batch.rows)] = self._embedded(batch.pixels)
            self.progress.update(start + min((number + 1) * batch_size, len(rows)), self.planned)
        self.done = start + len(rows)
        bad = ~np.isfinite(values).all(axis=1)
        reasons[bad & (reasons == "")] = NON_FINITE
        values[bad] = np.nan
        return values, reasons

    def _embedded(self, pixels: torch.Tensor) -> Floats32:
        logits = self.forward(pixels)
        found = self._tap.inputs
        if found is None or found.shape != (len(pixels), self.head.weight.shape[1]):
            shape = "nothing" if found is None else f"shape {tuple(found.shape)}"
            raise self._refusal(f"gets {shape} for {len(pixels)} images")
        values: Floats32 = found.float().cpu().numpy()
        if not self._checked:
            self._require_linear(values, logits.double().cpu().numpy())
            self._checked = True
        return values

    def _require_linear(self, values: Floats32, logits: NDArray[np.float64]) -> None:
        """The network's outputs must be those of its last layer and nothing more."""
        good = np.isfinite(values).all(axis=1)
        if logits.shape != (len(values), len(self.head.bias)):
            raise self._refusal(f"gives outputs of shape {logits.shape}")
        ours, theirs = self.head.logits(values[good]), logits[good]
        tolerance = _CLOSE.get(self.forward.dtype, _CLOSE_HALF) * max(1.0, float(np.abs(ours).max(initial=0)))
        if not np.allclose(ours, theirs, rtol=0, atol=tolerance):
            raise self._refusal("is not what the network ends with: its outputs are changed afterwards")

    def _refusal(self, found: str) -> InputError:
        name = type(self.forward.module).__name__
        return InputError(Problem(WHERE, f"the last linear layer of {name} {found}: use mitigations.scope full"))
