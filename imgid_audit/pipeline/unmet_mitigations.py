"""What a comparison of mitigations asks for and only the data can refuse, and what single methods lack."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np

from imgid_audit.config import Config
from imgid_audit.config.messages import Complaint
from imgid_audit.config.mitigation_checks import Trail, build_complaints, entry_complaints, is_own
from imgid_audit.core.errors import Problem
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.task import Task
from imgid_audit.io.messages import listed
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings, MitigationsSettings
from imgid_audit.pipeline.levels import unknown_among

Select = Literal["average", "worst_class", "worst_group"]
SPLIT = "[data > split]"


def unmet_mitigations(config: Config, task: Task, manifest: Manifest) -> Iterator[Problem]:
    """Every problem of the `mitigations:` block; none without one.

    A method that lacks group labels altogether is no problem: it does not run, see `lacking`.
    """
    settings = config.mitigations
    if settings is None:
        return
    yield from _primary(config, settings, task, manifest)
    empty = [name for name in ("train", "val") if not len(manifest.rows(name))]
    told = {"train": "to train on", "val": "to pick settings by"}
    yield from (Problem(SPLIT, f"leaves no {name} rows, which mitigations need {told[name]}") for name in empty)
    if empty:
        return
    counts = count_rows(manifest, config.train.groups)
    yield from _classes(settings, criterion(settings, config), task, manifest)
    if criterion(settings, config) == "worst_group":
        yield from _groups(settings, counts)
    ask = ask_of(config, settings, task)
    for index, entry in enumerate(settings.methods):
        at = ("mitigations", "methods", index)
        found = tuple(_untold(config, entry, at, ask))
        yield from (Problem(f"[{' > '.join(map(str, trail))}]", message) for trail, message in found)
        if found:
            continue
        remedy = Remedy.of(entry, find)
        if lacking(remedy, groups=bool(config.train.groups)) is None:
            yield from (Problem(f"[mitigations > methods > {index}]", message) for message in remedy.unmet(ask, counts))


def _untold(config: Config, entry: MethodSettings, at: Trail, ask: Ask) -> Iterator[Complaint]:
    """What reading the config could not tell of an entry: methods of the user's own, and labels of the table alone."""
    if is_own(entry):
        yield from entry_complaints(entry, at, ask, threshold=config.operating_point is not None)
    elif config.task.labels is None:
        yield from build_complaints(Remedy.of(entry, find), ask, at)


def lacking(remedy: Remedy, *, groups: bool) -> str | None:
    """Why a method cannot run on data that are otherwise sound; None: it can. `groups`: `train.groups` names some."""
    wanted = [need for need in remedy.required if need.startswith("group labels")]
    if groups or not wanted:
        return None
    return f"needs {', '.join(wanted)}, and `train.groups` names no attribute that defines a group"


def criterion(settings: MitigationsSettings, config: Config) -> Select:
    """What picks trials and epochs on val: as declared, else the worst group where there are groups."""
    return settings.select or ("worst_group" if config.train.groups else "worst_class")


def ask_of(config: Config, settings: MitigationsSettings, task: Task) -> Ask:
    """What methods are built for."""
    return Ask(task.labels, task.kind == "binary", settings.scope, config.costs, task.positive)


def count_rows(manifest: Manifest, names: Sequence[str]) -> Counts:
    """Rows by class and by group of the attributes `names`; groups that only test rows have are left out."""
    from imgid_audit.vision.criterion import group_codes

    train, val, labels = manifest.rows("train"), manifest.rows("val"), manifest.label
    found = group_codes(manifest, names)
    codes, groups = (np.zeros(len(manifest), dtype=np.int64), ("",)) if found is None else found
    joint = np.bincount(labels.codes[train] * len(groups) + codes[train], minlength=len(labels.levels) * len(groups))
    cells = joint.reshape(len(labels.levels), len(groups))
    in_train, in_val = cells.sum(axis=0), np.bincount(codes[val], minlength=len(groups))
    seen = np.flatnonzero((in_train + in_val > 0) & (found is not None))
    return Counts(
        classes=dict(zip(labels.levels, cells.sum(axis=1).tolist(), strict=True)),
        groups={groups[group]: int(in_train[group]) for group in seen},
        val_groups={groups[group]: int(in_val[group]) for group in seen},
        cells={
            (label, groups[group]): int(cells[code, group])
            for code, label in enumerate(labels.levels)
            for group in seen
        },
        adjust=len(manifest.rows("adjust")),
    )


def _primary(config: Config, settings: MitigationsSettings, task: Task, manifest: Manifest) -> Iterator[Problem]:
    primary = settings.primary
    if task.positive is not None and primary.class_name not in {None, task.positive}:
        message = f"must be the positive class {task.positive!r} in a binary task, got {primary.class_name!r}"
        yield Problem("[mitigations > primary > class]", f"{message}: name that one, or leave `class` out")
    elif primary.class_name not in {None, "macro", *task.labels}:
        message = f"must be a label ({', '.join(task.labels[:10])}) or macro, got {primary.class_name!r}"
        yield Problem("[mitigations > primary > class]", message)
    for message in unknown_among(primary.ignore, primary.across, manifest.attributes, config.data.attributes):
        yield Problem("[mitigations > primary > ignore]", message)
    if primary.ignore and primary.across:
        yield from _left_to_judge(settings, manifest)


def _left_to_judge(settings: MitigationsSettings, manifest: Manifest) -> Iterator[Problem]:
    """Too few groups among the test rows once levels are left out: a gap is between two, the worst is one of two."""
    primary = settings.primary
    factors = [manifest.attribute(name) for name in primary.across]
    seen = np.unique(np.stack([factor.codes[manifest.rows("test")] for factor in factors]), axis=1).T
    groups = [tuple(factor.levels[code] for factor, code in zip(factors, codes, strict=True)) for codes in seen]
    kept = [" x ".join(group) for group in groups if not set(group) & set(primary.ignore)]
    if len(kept) < 2:
        where = f"of {' x '.join(primary.across)} in the test rows"
        left = f"leaves one group {where}, {kept[0]!r}" if kept else f"leaves no group {where}"
        why = "a gap is between two" if primary.of == "gap" else "the worst is one of two or more"
        yield Problem("[mitigations > primary > ignore]", f"{left}, and {why}: leave out fewer levels")


def _classes(settings: MitigationsSettings, by: Select, task: Task, manifest: Manifest) -> Iterator[Problem]:
    """Classes that cannot be learnt, and those that the criterion cannot speak of."""
    for split, wanted in (("train", True), ("val", by == "worst_class")):
        codes = manifest.label.codes[manifest.rows(split)]
        held = np.bincount(codes, minlength=len(task.labels))
        lacking = [label for label, n in zip(task.labels, held, strict=True) if not n]
        if wanted and lacking:
            message = f"leaves no {split} rows of class {listed(lacking, 5)}"
            if split == "train":
                yield Problem(SPLIT, f"{message}: it cannot be learnt")
            else:
                why = f"the mitigations are picked by the worst class{_default(settings)}"
                yield Problem(SPLIT, f"{message}, and {why}: split otherwise, or say `select: average`")


def _groups(settings: MitigationsSettings, counts: Counts) -> Iterator[Problem]:
    """Groups that the worst-group criterion cannot speak of, or that nothing is learnt of."""
    train, val = counts.groups, counts.val_groups
    for split, held, there, other in (("val", val, "train", train), ("train", train, "val", val)):
        empty = [name for name, n in held.items() if not n and other[name]]
        if empty:
            rows = sum(other[name] for name in empty)
            found = f"leaves no {split} rows of group {listed(empty, 5)} ({rows} in {there})"
            why = f"the mitigations are picked by the worst group{_default(settings)}"
            todo = "split otherwise, give rare levels `min_count`, or say `select: worst_class`"
            yield Problem(SPLIT, f"{found}, and {why}: {todo}")


def _default(settings: MitigationsSettings) -> str:
    return "" if settings.select else " (the default)"
