"""Networks that are trained to learn something about training: each once, its scores kept, its weights not.

A network is named by the hash of all it is trained from, so that studies (and a search) that ask for the same
training share it, and a killed one goes on where it was. What it was asked once stays: nobody gets more of it than
the splits that he names, and no answer about other splits depends on them.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.io.kept_networks import KeptNetwork, NetworkShelf, network_key
from imgid_audit.io.shards import ShardStore
from imgid_audit.pipeline.deciding import decided
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.training import Scores, resampler, rooted, versions

if TYPE_CHECKING:
    from imgid_audit.vision.records import TrainingRecord
    from imgid_audit.vision.settings import ModelSettings, TrainSettings
    from imgid_audit.vision.train import Watch

NON_FINITE = "outputs that are NaN or infinite"


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """A trained network by what it says.

    - `record`: of its training; `scores` (n, classes): probabilities of manifest rows, NaN where not asked or failed
    - `failed`: rows that were asked and whose image gives no pixels, with the reason
    """

    record: TrainingRecord
    scores: Scores
    failed: Mapping[int, str]


@dataclass(frozen=True, slots=True, eq=False)
class _Answers:
    """A network and all `splits` that it was asked; `odd`: rows of them whose output is not finite."""

    network: Network
    splits: tuple[str, ...]
    odd: NDArray[np.intp]

    def about(self, manifest: Manifest, splits: Sequence[str]) -> Network:
        """What it says of `splits` alone; `DivergedError` where that is not finite: no other network lacks the row."""
        from imgid_audit.vision.errors import DivergedError

        rows = _rows_of(manifest, splits)
        odd = len(np.intersect1d(rows, self.odd))
        if odd:
            told = f"the trained network gives {NON_FINITE} for {odd} of {len(rows)} images"
            raise DivergedError(told, len(self.network.record.epochs))
        scores = np.full_like(self.network.scores, np.nan)
        scores[rows] = self.network.scores[rows]
        inside = set(rows.tolist())
        failed = {row: why for row, why in self.network.failed.items() if row in inside}
        return Network(self.network.record, scores, failed)


def trained(
    job: Job,
    model: ModelSettings,
    train: TrainSettings,
    manifest: Manifest,
    *,
    splits: Sequence[str] = ("val",),
    watch: Watch | None = None,
) -> Network:
    """The network of these settings and rows: kept from before, or trained now and asked the rows of `splits`.

    `manifest` is the job's, perhaps with some of its training rows excluded; `watch` is as `vision.train.train`
    takes it. ``init`` is relative to the config; ``resample`` is built here. Raises `InputError` where it cannot
    be trained, `DivergedError` where it diverged or gives some row of `splits` no finite answer, and `StoppedError`
    where the user asks to stop or memory runs out. Reasons are kept too: what diverged is not tried again, all else
    is, unless `job.stop` says yes.
    """
    from imgid_audit.vision.errors import DivergedError

    train = rooted(job, train)
    key = _key(job, model, train, manifest)
    folder, shelf = _places(job, key)
    kept = shelf.get(key)
    asked = _kept(kept, folder, manifest)
    if asked is None or not set(splits) <= set(asked.splits):
        if job.stop():
            if kept is not None and kept.facts["failed"]:
                raise InputError(str(kept.facts["failed"]))
            raise StoppedError("stopped before a further network is trained: the same command continues there")
        try:
            asked = _made(job, model, train, manifest, _all_of(splits, asked), folder, watch)
        except (InputError, StoppedError) as error:
            if not job.stop():
                diverged = isinstance(error, DivergedError)
                epochs = error.epochs if isinstance(error, DivergedError) else 0
                if asked is None:
                    shelf.put(key, KeptNetwork({}, {"failed": why_not(error), "final": diverged, "epochs": epochs}))
                if diverged:
                    _forget_weights(folder)
            raise
        shelf.put(key, _to_keep(asked))
    if not job.stop():  # whoever only looks may do so beside a process that trains here
        _forget_weights(folder)
    return asked.about(manifest, splits)


def forget(job: Job, model: ModelSettings, train: TrainSettings, manifest: Manifest) -> None:
    """Remove what a training left that nobody will go on with."""
    folder, _ = _places(job, _key(job, model, rooted(job, train), manifest))
    shutil.rmtree(folder, ignore_errors=True)


def decisions_of(job: Job, network: Network, split: str) -> Decisions:
    """The network's decisions of a split's rows, as the config decides; its threshold or temperature is found on val.

    Raises `InputError` where there is none.
    """
    return scored_decisions(job, network.scores, split, network.failed)


def scored_decisions(
    job: Job, scores: Scores, split: str, failed: Mapping[int, str] = MappingProxyType({})
) -> Decisions:
    """As `decisions_of`, of the `scores` (n, classes) of a network that may still be in training."""
    manifest = job.inputs.manifest
    status = np.where(np.isfinite(scores).all(axis=1), int(Status.PREDICTED), int(Status.FAILED))
    status[manifest.status == Status.EXCLUDED] = Status.EXCLUDED
    reason = manifest.reason.copy()
    for row, why in failed.items():
        reason[row] = why
    quick = job.config.intervals.model_copy(update={"draws": 0})  # a threshold's own interval is not shown
    config = job.config.model_copy(update={"intervals": quick})
    return decided(config, job.inputs, Predictions(scores, None, status.astype(np.int8), reason), split)


def why_not(error: InputError | StoppedError) -> str:
    """Why there is no network, in one line."""
    told = [problem.message for problem in error.problems] if isinstance(error, InputError) else [str(error)]
    return " ".join("; ".join(told).split())


def without_rows(manifest: Manifest, rows: NDArray[np.intp]) -> Manifest:
    """The same manifest with these rows excluded: they are neither trained on nor predicted."""
    status = manifest.status.copy()
    status[rows] = Status.EXCLUDED
    return replace(manifest, status=status)


def _made(
    job: Job,
    model: ModelSettings,
    train: TrainSettings,
    manifest: Manifest,
    splits: Sequence[str],
    folder: Path,
    watch: Watch | None,
) -> _Answers:
    from imgid_audit.vision import infer
    from imgid_audit.vision.train import train as fit

    record = fit(
        manifest, job.inputs.task, job.inputs.root, model, train, folder,
        resample=resampler(train), plan=folder.name, watch=watch, progress=job.progress, stop=job.stop,
    )  # fmt: skip
    predictions = _predicted(job, model, manifest, splits, folder, record)
    asked = _rows_of(manifest, splits)
    lost = asked[predictions.status[asked] == Status.FAILED]
    odd = lost[predictions.reason[lost] == infer.NON_FINITE]
    assert predictions.scores is not None
    failed = {int(row): str(predictions.reason[row]) for row in np.setdiff1d(lost, odd)}
    return _Answers(Network(record, predictions.scores, failed), tuple(splits), odd)


def _predicted(
    job: Job,
    model: ModelSettings,
    manifest: Manifest,
    splits: Sequence[str],
    folder: Path,
    record: TrainingRecord,
) -> Predictions:
    """Scores of the asked rows."""
    from imgid_audit.vision import infer
    from imgid_audit.vision.weights import load_model

    asked = _rows_of(manifest, splits)
    others = np.setdiff1d(np.arange(len(manifest), dtype=np.intp), asked)
    part = without_rows(manifest, others)
    loaded = load_model(model, folder / record.weights, len(job.inputs.task.labels))
    place = folder / "-".join(("scores", loaded.sha256[:16], *splits))
    store = ShardStore(place, folder.name, asked, job.config.predict.shard_rows)
    return infer.predict(part, job.inputs.root, loaded, job.config.predict, store, progress=job.progress, stop=job.stop)


def _all_of(splits: Sequence[str], before: _Answers | None) -> tuple[str, ...]:
    """What a network that is made now is asked: `splits` and all it was asked before; train wherever more than val is.

    Studies read train and val, and a search's confirmation val and test: of the same training, once.
    """
    wanted = {*splits, *(() if before is None else before.splits)}
    return tuple(one for one in SPLITS if one in wanted or (one == "train" and wanted != {"val"}))


def _rows_of(manifest: Manifest, splits: Sequence[str]) -> NDArray[np.intp]:
    return np.unique(np.concatenate([manifest.rows(split) for split in splits]))


def _key(job: Job, model: ModelSettings, train: TrainSettings, manifest: Manifest) -> str:
    """Names a network by all that it is trained from, and by how it is asked."""
    from imgid_audit.io.content import hash_file

    settings = train.model_dump(mode="json")
    if train.init not in (None, "DEFAULT"):
        path = Path(str(train.init))
        settings["init"] = hash_file(path) if path.is_file() else str(path)  # contents: the file may have changed
    rows = hashlib.sha256()
    for split in SPLITS[:2]:
        rows.update(manifest.rows(split).astype("<i8").tobytes() + b"|")
    hashes = job.inputs.hashes
    return network_key(
        {
            "model": model.model_dump(mode="json"),
            "train": settings,
            "predict": job.config.predict.model_dump(mode="json", exclude={"max_failed"}),
            "rows": rows.hexdigest(),
            "labels": list(job.inputs.task.labels),
            "hashes": {name: hashes[name] for name in ("manifest", "images") if name in hashes},
            "versions": versions(),
        }
    )


def _places(job: Job, key: str) -> tuple[Path, NetworkShelf]:
    """The folder of a training, and the shelf of all their scores."""
    studies = job.folder.path / "studies"
    return studies / "networks" / key[:32], NetworkShelf(studies / "kept")


def _to_keep(asked: _Answers) -> KeptNetwork:
    network = asked.network
    rows = np.flatnonzero(np.isfinite(network.scores).all(axis=1))
    told = {str(row): why for row, why in sorted(network.failed.items())}
    facts = {"failed": "", "splits": list(asked.splits), "sha256": network.record.sha256, "undecodable": told}
    return KeptNetwork({"rows": rows, "scores": network.scores[rows], "odd": asked.odd}, facts)


def _kept(kept: KeptNetwork | None, folder: Path, manifest: Manifest) -> _Answers | None:
    """The network as it was kept; raises `DivergedError` where its training did."""
    from imgid_audit.vision.errors import DivergedError
    from imgid_audit.vision.records import read_record

    if kept is None:
        return None
    facts: Mapping[str, Any] = kept.facts
    if facts["failed"]:
        if facts["final"]:
            raise DivergedError(str(facts["failed"]), int(facts.get("epochs", 0)))
        return None
    record = read_record(folder)
    if record is None or record.sha256 != facts["sha256"]:
        return None
    given = np.asarray(kept.arrays["scores"], dtype=np.float64)
    scores = np.full((len(manifest), given.shape[1]), np.nan)
    scores[kept.arrays["rows"]] = given
    failed = {int(row): str(why) for row, why in facts["undecodable"].items()}
    return _Answers(Network(record, scores, failed), tuple(facts["splits"]), kept.arrays["odd"].astype(np.intp))


def _forget_weights(folder: Path) -> None:
    """Scores are all that is read of such a network; its weights may be large."""
    for path in folder.glob("*.safetensors"):
        path.unlink(missing_ok=True)
    for path in folder.glob("scores-*"):
        shutil.rmtree(path, ignore_errors=True)
