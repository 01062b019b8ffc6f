"""Scope `head`: one frozen backbone, its embeddings computed once, a new last layer for every network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.manifest import SPLITS
from imgid_audit.io.kept_networks import KeptNetwork
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline import steps
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Setting
from imgid_audit.pipeline.comparing.pixels import with_pictures_as_points
from imgid_audit.pipeline.training import Scores, rooted, versions
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part

if TYPE_CHECKING:
    from imgid_audit.vision.embed import Embedded
    from imgid_audit.vision.weights import LoadedModel

View = tuple[AugmentSettings, int]


@dataclass(frozen=True, eq=False)
class HeadLaboratory:
    """Trains heads on embeddings. `rows` are those whose image decoded, by split."""

    bench: Bench
    model: LoadedModel
    embedded: Embedded
    rows: Mapping[str, NDArray[np.intp]]
    hashes: Mapping[str, str]
    backbone: str

    @property
    def default(self) -> Setting:
        head = self.bench.settings.head
        return Setting(head.lr, head.weight_decay)

    @property
    def failed(self) -> Mapping[int, str]:
        return self.embedded.failed

    def train(self, remedy: Remedy, setting: Setting, seed: int) -> KeptNetwork:
        from imgid_audit.vision.heads import train_head

        began = time.monotonic()
        treatment = remedy.treatment(self.bench.ask)
        treatment, made = with_pictures_as_points(treatment, self.bench, self.model, self.rows["train"])
        settings = self.bench.settings.head.model_copy(update=setting.plain())
        view = view_of(remedy, self.bench)
        run = train_head(
            self._task(view), treatment, settings, seed, select=self.bench.select, stop=self.bench.job.stop
        )
        arrays = {
            f"{selected}.{name}": getattr(head, name)
            for selected, head in run.heads.items()
            for name in ("weight", "bias")
        }
        facts = {
            "val": dict(run.val),
            "undefined": [self.bench.selected_names[code] for code in run.undefined],
            "images_seen": self._images(view) + sum(made),
            "images_shared": self._images(view),
            "rows_seen": int(run.rows_seen),
            "tuned": {selected: dict(values) for selected, values in run.tuned.items()},
            "seconds": round(time.monotonic() - began, 4),
            "failed": "",
        }
        return KeptNetwork(arrays, facts)

    def scores(self, network: KeptNetwork, selected: Selected) -> Scores:
        from imgid_audit.vision.heads import head_scores

        found = np.full((len(self.bench.manifest), len(self.bench.ask.labels)), np.nan)
        found[self.embedded.rows] = head_scores(head_of(network, selected), self.embedded.values)
        return found

    def save(self, network: KeptNetwork, path: Path) -> str:
        from imgid_audit.vision.heads import install
        from imgid_audit.vision.weights import save_weights

        settings = self.bench.job.fitted.model
        assert settings is not None
        install(self.model.module, len(self.bench.ask.labels), head_of(network, "declared"))
        labels = self.bench.job.inputs.task.labels
        return save_weights(self.model.module, path, labels, self.model.transform, settings.architecture)

    def _task(self, view: View | None) -> HeadTask:
        train, val, adjust = (self._part(name, view if name == "train" else None) for name in SPLITS_OF_A_HEAD)
        return HeadTask(train, val, adjust, len(self.bench.ask.labels), len(self.bench.group_names))

    def _part(self, split: str, view: View | None) -> Part:
        rows = self.rows[split]
        at = np.searchsorted(self.embedded.rows, rows)
        return Part(
            self.embedded.values[at],
            self.bench.manifest.label.codes[rows],
            self.bench.groups_of(rows),
            None if view is None else self.embedded.views[view],
            self.bench.subjects_of(rows),
        )

    def _images(self, view: View | None) -> int:
        """Images through the backbone, were this method the only one."""
        return len(self.embedded.rows) + (0 if view is None else view[1] * len(self.rows["train"]))


SPLITS_OF_A_HEAD = ("train", "val", "adjust")


def head_of(network: KeptNetwork, selected: Selected) -> LinearHead:
    """The head that was kept."""
    return LinearHead(network.arrays[f"{selected}.weight"], network.arrays[f"{selected}.bias"])


def view_of(remedy: Remedy, bench: Bench) -> View | None:
    """The augmented views that a method asks for."""
    treatment = remedy.treatment(bench.ask)
    if treatment.augment is None or not treatment.views or treatment.augment == AugmentSettings():
        return None
    return treatment.augment, treatment.views


def open_heads(bench: Bench) -> HeadLaboratory:
    """Train or load the backbone, then embed every image that is not excluded, and the views that methods ask for."""
    from imgid_audit.vision.embed import embed
    from imgid_audit.vision.infer import rows_to_predict

    job = bench.job
    model, backbone = _backbone(bench)
    job.progress.step("embed")
    views = list(dict.fromkeys(view for one in bench.remedies if (view := view_of(one, bench)) is not None))
    embedded = embed(
        job.inputs.manifest, rows_to_predict(job.inputs.manifest), job.inputs.root, model, job.config.predict,
        job.folder.mitigations / "embeddings", classes=len(bench.ask.labels), image_sha256=job.inputs.image_sha256,
        views=views, seed=job.config.train.seed, progress=job.progress, stop=job.stop,
    )  # fmt: skip
    asked = len(rows_to_predict(job.inputs.manifest))
    if len(embedded.failed) > job.config.predict.max_failed * asked:
        message = f"{len(embedded.failed)} of {asked} images failed, more than predict.max_failed allows"
        raise StoppedError(f"{message}: mend the images, or raise predict.max_failed")
    split = job.inputs.manifest.split.codes[embedded.rows]
    rows = {name: embedded.rows[split == code] for code, name in enumerate(SPLITS)}
    hashes = {
        "backbone": model.sha256,
        "transform": repr(sorted(model.transform.describe().items())),
        "views": str(job.config.train.seed),
        "versions": versions(),
        **{name: digest for name, digest in job.inputs.hashes.items() if name in ("manifest", "images")},
    }  # fmt: skip
    return HeadLaboratory(bench, model, embedded, rows, hashes, backbone)


def _backbone(bench: Bench) -> tuple[LoadedModel, str]:
    """The network whose last layer is replaced, and what it is."""
    from imgid_audit.pipeline.inputs import weights_path

    job, config = bench.job, bench.job.fitted
    assert config.model is not None
    architecture = config.model.architecture
    if bench.settings.backbone == "init":
        from imgid_audit.vision.starting import starting_model

        if config.train.init is None:
            raise InputError(Problem("[mitigations > backbone]", "init needs `train.init`: the weights to start from"))
        settings = rooted(job, config.train.alone())
        model = starting_model(config.model, settings, len(bench.ask.labels))
        return model, f"{architecture}, as `train.init` gives it"
    steps.train_step(job)
    how = "the given weights" if weights_path(config) is not None else "trained in this run"
    return steps.load_trained(job), f"{architecture}, {how}"
