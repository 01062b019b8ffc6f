"""What studies of training ask for and cannot have: of the data, of architectures, of one another."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from imgid_audit.config import Config
from imgid_audit.core.errors import Problem
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.task import Task
from imgid_audit.io.messages import did_you_mean, listed
from imgid_audit.io.subsets import nested
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.study_settings import DataLadderSettings, StudySettings, TrainingSettings

LEAST = 2
"""Rows that a share of the training rows has at least: batch norm has no variance of one."""

KINDS = ("ladder", "data_ladder", "augment_effect")


def unmet_studies(config: Config, task: Task, manifest: Manifest) -> Iterator[Problem]:
    """Every problem of ``train.ladder``, ``train.data_ladder`` and ``train.augment_effect``; none without them."""
    train = config.train
    if not config.trains or not asked_studies(train):
        return
    if not len(manifest.rows("val")):
        kinds = " and ".join(f"train.{kind}" for kind in asked_studies(train))
        yield Problem("[data > split]", f"leaves no val rows, which {kinds} are judged on")
    if train.ladder is not None:
        channels = 3 if config.model is None else config.model.input.channels
        yield from unusable_architectures(train.ladder.architectures, channels, "[train > ladder > architectures")
    if train.data_ladder is not None:
        yield from _shares(config, train.data_ladder, task, manifest)
    if train.augment_effect is not None and train.augment == AugmentSettings() and not _searched(train):
        message = "has nothing to show: train.augment is all off; turn a part of it on, or remove augment_effect"
        yield Problem("[train > augment_effect]", message)


def asked_studies(train: TrainingSettings) -> dict[str, StudySettings]:
    """The studies that are asked for, by name."""
    return {kind: found for kind in KINDS if (found := getattr(train, kind)) is not None}


def _searched(train: TrainingSettings) -> bool:
    """Whether a search may turn augmentation on."""
    return train.search is not None and any(name.startswith("augment") for name in train.search.space)


def unusable_architectures(names: Sequence[str], channels: int, where: str) -> Iterator[Problem]:
    """Names that nothing knows, or that do not take so many channels, in the list `where`.

    timm and factories tell at building: importing them takes seconds, or runs code. torch is imported only where a
    name is to be looked up in torchvision.
    """
    plain = [name for name in names if name != "smallcnn" and not name.startswith("timm/") and ":" not in name]
    if not plain:
        return
    from imgid_audit.vision.models import torchvision_names

    known = ("smallcnn", *torchvision_names())
    for name in plain:
        at = f"{where} > {names.index(name)}]"
        if name in known and channels != 3:
            yield Problem(at, f"{name} takes 3 channels, and model.input.channels is {channels}: leave that out")
        elif name not in known:
            what = "give smallcnn, a torchvision classifier, timm/NAME or package.module:factory"
            yield Problem(at, f"{name!r} is not known: {did_you_mean(name, known)}{what}")


def _shares(config: Config, settings: DataLadderSettings, task: Task, manifest: Manifest) -> Iterator[Problem]:
    """Shares that are too small for every class to be learnt, as they will be drawn."""
    across = settings.across or config.train.groups
    at = "[train > data_ladder"
    if settings.by_group and not across:
        yield Problem(f"{at} > by_group]", "needs groups: name attributes in `across`, or in train.groups")
    if settings.by_group and 1.0 not in settings.fractions:
        yield Problem(f"{at} > by_group]", "compares with all training rows: add 1.0 to `fractions`")
    ordered = tuple(sorted(settings.fractions))
    first, labels = config.train.seed, len(task.labels)
    drawn = [nested(manifest, ordered, seed) for seed in range(first, first + settings.seeds)]
    for place, fraction in enumerate(ordered):
        held = np.array([np.bincount(manifest.label.codes[parts[place]], minlength=labels) for parts in drawn])
        lost = [label for label, n in zip(task.labels, held.min(axis=0), strict=True) if not n]
        where = f"{at} > fractions > {settings.fractions.index(fraction)}]"
        if lost:
            yield Problem(where, f"{fraction:g} of the training rows leaves no rows of {listed(lost, 5)}: ask for more")
        elif held.sum(axis=1).min() < LEAST:
            yield Problem(where, f"{fraction:g} of the training rows is fewer than {LEAST} rows: ask for more")
