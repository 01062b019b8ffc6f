"""What an audit reads before it does anything: tables, class order, hashes of contents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Texts
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.predictions import Predictions
from imgid_audit.core.task import Task
from imgid_audit.io.content import hash_file, hash_images, hash_texts
from imgid_audit.io.manifest import read_manifest
from imgid_audit.io.predictions import read_predictions
from imgid_audit.pipeline.unmet import unmet


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """The user's data, read and checked whole.

    - `brought`: the predictions of a `predictions:` audit; None where a model makes them
    - `hashes`: sha256 by role (``manifest``, ``predictions``, ``weights``, ``init``, ``images``) of what was read
    - `image_sha256` (n,): of every image; None where there are no images
    - `root`: the folder of the images
    """

    task: Task
    manifest: Manifest
    brought: Predictions | None
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    hashes: Mapping[str, str]
    image_sha256: Texts | None
    root: Path


def read_inputs(config: Config) -> Inputs:
    """Read everything that the config names. Raises `InputError` with all that is wrong."""
    inputs = _read_predictions(config) if config.predictions is not None else _read_images(config)
    raise_all(unmet(config, inputs.task, inputs.manifest, inputs.brought))
    return inputs


def _read_predictions(config: Config) -> Inputs:
    settings = config.predictions
    assert settings is not None
    _require_file(config.path_of(settings.table), "[predictions > table]")
    task = config.task
    read = read_predictions(
        settings, config.data, config.folder, kind=task.type, positive=task.positive, labels=task.labels
    )
    hashes = dict(zip(("predictions", "manifest"), map(hash_file, read.paths), strict=False))
    return Inputs(read.task, read.manifest, read.predictions, read.notes, read.columns, hashes, None, config.folder)


def _read_images(config: Config) -> Inputs:
    read = read_manifest(config.data, config.folder, _class_order(config), need_images=True)
    task = _task(config, read.manifest)
    per_image, images = hash_images(read.manifest, read.root)
    table = hash_texts(read.manifest.ids) if read.path.is_dir() else hash_file(read.path)
    hashes = {"manifest": table, "images": images}
    weights = weights_path(config)
    if weights is not None:
        hashes["weights"] = hash_file(weights)
    start = config.train.init
    if config.trains and start not in (None, "DEFAULT"):
        path = config.path_of(str(start))
        _require_file(path, "[train > init]", " (DEFAULT takes torchvision's or timm's own weights)")
        hashes["init"] = hash_file(path)
    return Inputs(task, read.manifest, None, read.notes, read.columns, hashes, per_image, read.root)


def weights_path(config: Config) -> Path | None:
    """The weights that the config names, which must be there; None where a model is trained."""
    if config.model is None or config.model.weights is None:
        return None
    path = config.path_of(config.model.weights)
    _require_file(path, "[model > weights]")
    return path


def _class_order(config: Config) -> tuple[str, ...] | None:
    """Labels in the order of the outputs: the config's, else those that the weights file carries.

    None where a model is trained: its order is then the sorted text of the labels found.
    """
    weights = weights_path(config)
    if weights is None:
        return config.task.labels
    from imgid_audit.vision.metadata import read_metadata

    stored = read_metadata(weights).labels
    given = config.task.labels
    if given is not None and stored is not None and given != stored:
        raise InputError(
            Problem("[task > labels]", f"are {list(given)}, but the weights file says its outputs are {list(stored)}")
        )
    if given is None and stored is None:
        raise InputError(
            Problem(
                "[task > labels]",
                f"is required: {weights.name} does not say in which order its outputs are, "
                "and a count of classes that matches is not enough; list the labels in the order of the outputs",
            )
        )
    return given or stored


def _task(config: Config, manifest: Manifest) -> Task:
    labels, kind, positive = manifest.label.levels, config.task.type, config.task.positive
    if kind == "binary" and len(labels) != 2:
        raise InputError(
            Problem("[task > type]", f"is binary, but there are {len(labels)} labels: {', '.join(labels[:10])}")
        )
    if kind == "binary" and positive not in labels:
        raise InputError(Problem("[task > positive]", f"must be one of the labels {list(labels)}, got {positive!r}"))
    if len(labels) < 2:
        raise InputError(Problem("[data > label]", f"has one label only, {labels[0]!r}: nothing can be classified"))
    return Task(kind, labels, positive if kind == "binary" else None)


def _require_file(path: Path, where: str, hint: str = "") -> None:
    if path.is_dir():
        raise InputError(Problem(where, f"is a folder, and a file is needed: {path}"))
    if not path.is_file():
        raise InputError(Problem(where, f"no such file: {path}{hint}"))
