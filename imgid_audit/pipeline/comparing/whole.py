"""Scope `full`: every network is trained end to end; methods that act on the last layer refit it afterwards."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.core.errors import InputError
from imgid_audit.core.manifest import SPLITS, Status
from imgid_audit.io.kept_networks import KeptNetwork, network_key
from imgid_audit.io.shards import ShardStore
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Setting, code_hashes
from imgid_audit.pipeline.training import Scores, rooted, versions
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part, Treatment

if TYPE_CHECKING:
    from imgid_audit.vision.settings import TrainSettings
    from imgid_audit.vision.weights import LoadedModel

FILES: Mapping[Selected, str] = {"declared": "weights.safetensors", "average": "weights_average.safetensors"}


@dataclass(frozen=True, slots=True, eq=False)
class _Said:
    """What a network says, and what its refits saw and chose by themselves."""

    arrays: Mapping[str, NDArray[Any]]
    rows_seen: int = 0
    tuned: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class WholeLaboratory:
    """Trains whole networks, each in a folder of its own; networks that differ in their last layer alone share one."""

    bench: Bench
    folder: Path
    rows: Mapping[str, NDArray[np.intp]]
    hashes: Mapping[str, str]
    failed: Mapping[int, str]
    backbone: str

    @property
    def default(self) -> Setting:
        train = self.bench.job.fitted.train
        return Setting(train.lr, train.weight_decay)

    def train(self, remedy: Remedy, setting: Setting, seed: int) -> KeptNetwork:
        from imgid_audit.vision.train import train

        began, bench = time.monotonic(), self.bench
        job, treatment = bench.job, remedy.treatment(bench.ask)
        folder = self._folder(remedy, setting, seed)
        model = job.fitted.model
        assert model is not None
        record = train(
            bench.manifest, job.inputs.task, job.inputs.root, model, self._settings(setting, seed), folder,
            treatment=replace(treatment, refits=(), decide=None), plan=folder.name, keep_average=True,
            progress=job.progress, stop=job.stop,
        )  # fmt: skip
        arrays: dict[str, NDArray[Any]] = {}
        val: dict[str, float | None] = {}
        said: dict[str, _Said] = {}
        seen: dict[str, _Said] = {}
        for selected, file in FILES.items():
            loaded = self._load(folder / file)
            if loaded.sha256 not in seen:  # most often both criteria pick one epoch
                seen[loaded.sha256] = self._said(loaded, treatment, folder, selected, seed)
            said[selected] = seen[loaded.sha256]
            arrays |= {f"{selected}.{name}": value for name, value in said[selected].arrays.items()}
            val[selected] = self._criterion(arrays[f"{selected}.scores"], selected)
        facts = {
            "val": val,
            "undefined": list(record.undefined),
            "images_seen": record.images_seen,
            "images_shared": 0,
            "rows_seen": said["declared"].rows_seen,
            "tuned": {selected: dict(one.tuned) for selected, one in said.items()},
            "seconds": round(time.monotonic() - began, 4),
            "failed": "",
            "folder": folder.name,
        }
        return KeptNetwork(arrays, facts)

    def _said(self, model: LoadedModel, treatment: Treatment, folder: Path, selected: Selected, seed: int) -> _Said:
        """What a network says of the rows that are not trained on; of a refitted one also its last layer."""
        if not treatment.refits:
            return _Said({"scores": self._predicted(model, folder / "predictions" / selected)})
        head, scores = self._refitted(model, treatment, folder, seed)
        return _Said({"weight": head.weight, "bias": head.bias, "scores": scores}, head.rows_seen, head.tuned)

    def scores(self, network: KeptNetwork, selected: Selected) -> Scores:
        return np.asarray(network.arrays[f"{selected}.scores"], dtype=np.float64)

    def save(self, network: KeptNetwork, path: Path) -> str:
        from imgid_audit.vision.heads import install
        from imgid_audit.vision.weights import save_weights

        loaded = self._load(self.folder / str(network.facts["folder"]) / FILES["declared"])
        if "declared.weight" in network.arrays:
            head = LinearHead(network.arrays["declared.weight"], network.arrays["declared.bias"])
            install(loaded.module, len(self.bench.ask.labels), head)
        settings = self.bench.job.fitted.model
        assert settings is not None
        labels = self.bench.job.inputs.task.labels
        return save_weights(loaded.module, path, labels, loaded.transform, settings.architecture)

    def _settings(self, setting: Setting, seed: int) -> TrainSettings:
        job = self.bench.job
        changes = {**setting.plain(), "seed": seed, "select": self.bench.select, "resample": None}
        return rooted(job, job.fitted.train.alone()).model_copy(update=changes)

    def _folder(self, remedy: Remedy, setting: Setting, seed: int) -> Path:
        """Of the training alone: what is done to a last layer or a decision afterwards does not name it."""
        acting = [
            (method.name, params.model_dump(mode="json"))
            for method, params in remedy.parts
            if set(method.acts_on(params)) - {"head", "decision"}
        ]
        told = {"code": code_hashes(remedy), "ask": asdict(self.bench.ask)} if acting else {}
        parts = {"hashes": dict(self.hashes), "methods": acting, **told}
        train = self._settings(setting, seed).model_dump(mode="json")
        return self.folder / network_key({**parts, "train": train})[:32]

    def _load(self, path: Path) -> LoadedModel:
        from imgid_audit.vision.weights import load_model

        settings = self.bench.job.fitted.model
        assert settings is not None
        return load_model(settings, path, len(self.bench.ask.labels))

    def _predicted(self, model: LoadedModel, folder: Path) -> Scores:
        """Probabilities of the rows that are not trained on."""
        from imgid_audit.vision.infer import predict, rows_to_predict

        job = self.bench.job
        status = self.bench.manifest.status.copy()
        status[self.bench.manifest.rows("train")] = Status.EXCLUDED
        manifest = replace(self.bench.manifest, status=status)
        key = network_key({"weights": model.sha256, **dict(self.hashes)})
        store = ShardStore(folder, key, rows_to_predict(manifest), job.config.predict.shard_rows)
        predictions = predict(
            manifest, job.inputs.root, model, job.config.predict, store, progress=job.progress, stop=job.stop
        )
        assert predictions.scores is not None
        return predictions.scores

    def _refitted(self, model: LoadedModel, treatment: Treatment, folder: Path, seed: int) -> tuple[LinearHead, Scores]:
        from imgid_audit.vision.embed import embed
        from imgid_audit.vision.heads import head_scores, refitted_by
        from imgid_audit.vision.infer import rows_to_predict

        bench, job = self.bench, self.bench.job
        embedded = embed(
            bench.manifest, rows_to_predict(bench.manifest), job.inputs.root, model, job.config.predict,
            folder / "embeddings", classes=len(bench.ask.labels), image_sha256=job.inputs.image_sha256,
            progress=job.progress, stop=job.stop,
        )  # fmt: skip
        split = bench.manifest.split.codes[embedded.rows]
        parts = []
        for name in ("train", "val", "adjust"):
            at = np.flatnonzero(split == SPLITS.index(name))
            rows = embedded.rows[at]
            codes, groups, subjects = bench.manifest.label.codes[rows], bench.groups_of(rows), bench.subjects_of(rows)
            parts.append(Part(embedded.values[at], codes, groups, subjects=subjects))
        task = HeadTask(*parts, len(bench.ask.labels), len(bench.group_names))
        head = refitted_by(treatment.refits, task, embedded.head, [seed] * len(treatment.refits))
        scores = np.full((len(bench.manifest), len(bench.ask.labels)), np.nan)
        scores[embedded.rows] = head_scores(head, embedded.values)
        return head, scores

    def _criterion(self, scores: Scores, selected: Selected) -> float | None:
        from imgid_audit.vision.heads import criterion

        rows = self.rows["val"]
        rows = rows[np.isfinite(scores[rows]).all(axis=1)]
        select = self.bench.select if selected == "declared" else "average"
        labels, groups = self.bench.manifest.label.codes[rows], self.bench.groups_of(rows)
        return criterion(scores[rows].argmax(axis=1), labels, groups, select)


def open_whole(bench: Bench) -> WholeLaboratory:
    """Look at every image once, so that all networks are judged on the same rows."""
    job, manifest = bench.job, bench.manifest
    failed = _undecodable(bench)
    usable = np.setdiff1d(np.arange(len(manifest)), np.array(sorted(failed), dtype=np.intp))
    rows = {name: np.intersect1d(manifest.rows(name), usable) for name in SPLITS}
    config = job.fitted
    assert config.model is not None
    hashes = {
        "model": network_key(config.model.model_dump(mode="json")),
        "versions": versions(),
        **{name: digest for name, digest in job.inputs.hashes.items() if name in ("manifest", "images", "init")},
    }
    for name in ("train", "val", "test"):
        if not len(rows[name]):
            raise InputError(f"no {name} image could be used")
    folder = job.folder.mitigations / "networks"
    return WholeLaboratory(bench, folder, rows, hashes, failed, f"{config.model.architecture}, end to end")


def _undecodable(bench: Bench) -> dict[int, str]:
    """Rows whose image gives no pixels, with the reason."""
    from imgid_audit.vision.infer import rows_to_predict
    from imgid_audit.vision.sources import ImageSource, blocks

    manifest, root = bench.manifest, bench.job.inputs.root
    assert manifest.images is not None
    failed: dict[int, str] = {}
    bench.job.progress.step("decode")
    with ImageSource(manifest.images, root, lambda image: image[:, :1, :1], threads=2) as source:
        for batch in source.batches(blocks(rows_to_predict(manifest).astype(np.intp), 256)):
            failed.update(batch.failed)
    return failed
