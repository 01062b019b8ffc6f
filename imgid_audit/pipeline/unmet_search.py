"""What a search of training settings asks for and only the data can refuse."""

from __future__ import annotations

from collections.abc import Iterator

from imgid_audit.config import Config
from imgid_audit.core.errors import Problem
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.task import Task
from imgid_audit.pipeline.levels import unknown_among
from imgid_audit.pipeline.objective import ideal_decisions, objective_of
from imgid_audit.pipeline.unmet_studies import unusable_architectures


def unmet_search(config: Config, task: Task, manifest: Manifest) -> Iterator[Problem]:
    """Every problem of `train.search`; none without one."""
    search = config.train.search
    if search is None:
        return
    at = "[train > search > objective]"
    channels = 3 if config.model is None else config.model.input.channels
    named = search.space.get("architecture", ())
    yield from unusable_architectures(named, channels, "[train > search > space > architecture")
    if not len(manifest.rows("val")):
        yield Problem("[data > split]", "leaves no val rows, which train.search needs to value its trials by")
        return
    asked = search.objective
    if asked is not None:
        found = list(_objective(config, task, manifest))
        yield from found
        if found:
            return
    why = objective_of(config, task).why_not(ideal_decisions(task, manifest, "val"))
    if why:
        yield Problem(at, why)


def _objective(config: Config, task: Task, manifest: Manifest) -> Iterator[Problem]:
    asked = config.train.search.objective if config.train.search is not None else None
    assert asked is not None
    if task.positive is not None and asked.class_name not in {None, task.positive}:
        message = f"must be the positive class {task.positive!r} in a binary task, got {asked.class_name!r}"
        yield Problem("[train > search > objective > class]", message)
    elif asked.class_name not in {None, "macro", *task.labels}:
        message = f"must be a label ({', '.join(task.labels[:10])}) or macro, got {asked.class_name!r}"
        yield Problem("[train > search > objective > class]", message)
    for message in unknown_among(asked.ignore, asked.across, manifest.attributes, config.data.attributes):
        yield Problem("[train > search > objective > ignore]", message)
