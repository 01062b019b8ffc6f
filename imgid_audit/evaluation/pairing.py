"""Two evaluations of the same rows, put side by side by the rows' ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Factor, Texts
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task

Index = NDArray[np.intp]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class NamedRows:
    """Evaluated rows, each for itself, with their unique `ids` (n,) and the sha256 of their `images` (n,)."""

    ids: Texts
    decisions: Decisions
    images: Texts | None = None


@dataclass(frozen=True, slots=True)
class Differences:
    """How the evaluated data of two runs differ: counts of rows.

    `labels`, `subjects`, `images` and `attributes` (by name) count rows that both have with another
    value; attributes that only one of the runs has are no difference of the data.
    """

    only_first: int = 0
    only_second: int = 0
    labels: int = 0
    subjects: int = 0
    images: int = 0
    attributes: Mapping[str, int] = field(default_factory=dict)

    @property
    def none(self) -> bool:
        """Whether both runs evaluated the same rows with the same truths."""
        return not (self.only_first or self.only_second or self.changed or self.attributes)

    @property
    def changed(self) -> int:
        return self.labels + self.subjects + self.images

    def lines(self, first: str, second: str) -> tuple[str, ...]:
        """What differs, a line each; `first` and `second` name the runs."""
        found = [
            (self.only_first, f"{_rows(self.only_first)} only in {first}"),
            (self.only_second, f"{_rows(self.only_second)} only in {second}"),
            (self.labels, f"{_rows(self.labels)} with another label"),
            (self.subjects, f"{_rows(self.subjects)} with another subject"),
            (self.images, f"{_rows(self.images)} whose image has other contents"),
        ]
        found += [(n, f"{_rows(n)} with another level of {name}") for name, n in self.attributes.items()]
        return tuple(text for count, text in found if count)


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """The rows that both runs have and agree on, in the first one's order, with one task and one set of factors.

    `left_out`: rows of the first and of the second run that are not here; `notes`: what a reader must
    know of the factors.
    """

    first: Decisions
    second: Decisions
    differences: Differences
    left_out: tuple[int, int]
    notes: tuple[str, ...]


def same_task(first: Task, second: Task, where: str) -> None:
    """Raise `InputError` where the two runs do not classify the same things; the labels' order may differ."""
    if first.kind != second.kind or first.positive != second.positive:
        told = [f"{task.kind}" + (f", positive {task.positive!r}" if task.positive else "") for task in (first, second)]
        raise InputError(Problem(where, f"has another task: {told[1]}, and not {told[0]}: they cannot be compared"))
    if set(first.labels) != set(second.labels):
        missing = [label for label in first.labels if label not in second.labels]
        added = [label for label in second.labels if label not in first.labels]
        sides = (("lacks", missing), ("has", added))
        told = [f"{what} {', '.join(map(repr, found[:5]))}" for what, found in sides if found]
        raise InputError(Problem(where, f"has other labels ({'; '.join(told)}): they cannot be compared"))


def in_task(decisions: Decisions, task: Task) -> Decisions:
    """The same decisions with the labels in the order of `task`, which has the same ones."""
    if decisions.task.labels == task.labels:
        return replace(decisions, task=task)
    code = np.array([task.labels.index(label) for label in decisions.task.labels], dtype=np.int32)
    scores = decisions.scores
    if scores is not None:
        scores = scores[:, np.argsort(code)]
    return replace(
        decisions, task=task, label=code[decisions.label], predicted=code[decisions.predicted], scores=scores
    )


def pair(first: NamedRows, second: NamedRows) -> Pairing:
    """Align two runs by the ids of their rows. The runs must have the same task: see `same_task`.

    Rows whose label, subject or image differ are left out and counted; attributes that differ on
    rows that stay are left out whole. Where only one run has subjects or an attribute, its values
    serve both: they belong to the rows. Raises `ValueError` for decisions that stand for several rows.
    """
    if first.decisions.count is not None or second.decisions.count is not None:
        raise ValueError("rows that stand for several have no id of their own")
    a, b = _common(first.ids, second.ids)
    one = _taken(first.decisions, a)
    two = _taken(in_task(second.decisions, first.decisions.task), b)
    labels = one.label != two.label
    subjects = _unlike(one.subject, two.subject)
    images = _other_images(first.images, second.images, a, b)
    kept = np.flatnonzero(~(labels | subjects | images))
    one, two = _taken(one, kept), _taken(two, kept)
    attributes, unlike, notes = _attributes(one, two)
    subject = one.subject if one.subject is not None else two.subject
    if (one.subject is None) != (two.subject is None):
        notes.append("only one of the runs has subjects: they are taken for both")
    differences = Differences(
        len(first.ids) - len(a),
        len(second.ids) - len(b),
        int(labels.sum()),
        int((subjects & ~labels).sum()),
        int((images & ~labels & ~subjects).sum()),
        unlike,
    )
    return Pairing(
        replace(one, subject=subject, attributes=attributes),
        replace(two, subject=subject, attributes=attributes),
        differences,
        (len(first.ids) - len(kept), len(second.ids) - len(kept)),
        tuple(notes),
    )


def _rows(count: int) -> str:
    return f"{count:,} {'row' if count == 1 else 'rows'}"


def _common(first: Texts, second: Texts) -> tuple[Index, Index]:
    """Places of the ids that both have, in the first one's order."""
    if len(first) == len(second) and bool((first == second).all()):
        every = np.arange(len(first))
        return every, every
    _, a, b = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    order = np.argsort(a, kind="stable")
    return a[order], b[order]


def _taken(decisions: Decisions, rows: NDArray[Any]) -> Decisions:
    """The decisions of some rows, by their indices."""
    return replace(
        decisions,
        label=decisions.label[rows],
        predicted=decisions.predicted[rows],
        scores=None if decisions.scores is None else decisions.scores[rows],
        subject=None if decisions.subject is None else decisions.subject.take(rows),
        attributes=tuple(factor.take(rows) for factor in decisions.attributes),
    )


def _unlike(first: Factor | None, second: Factor | None) -> Bools | np.bool_:
    """Where two factors of the same rows have other texts; nowhere where one is not there."""
    if first is None or second is None:
        return np.False_
    levels = {level: code for code, level in enumerate(first.levels)}
    code = np.array([*(levels.get(level, -2) for level in second.levels), -1], dtype=np.int64)
    return np.asarray(first.codes != code[second.codes])


def _other_images(first: Texts | None, second: Texts | None, a: Index, b: Index) -> Bools | np.bool_:
    if first is None or second is None:
        return np.False_
    return np.asarray(first[a] != second[b], dtype=bool)


def _attributes(one: Decisions, two: Decisions) -> tuple[tuple[Factor, ...], dict[str, int], list[str]]:
    """The factors that serve both, rows that differ in the others, and what to say of them."""
    kept: list[Factor] = []
    unlike: dict[str, int] = {}
    others = {factor.name: factor for factor in two.attributes}
    for factor in one.attributes:
        count = int(np.sum(_unlike(factor, others.get(factor.name))))
        if count:
            unlike[factor.name] = count
        else:
            kept.append(factor)
    names = {factor.name for factor in one.attributes}
    added = [factor for factor in two.attributes if factor.name not in names]
    alone = sorted((names - set(others)) | {factor.name for factor in added})
    notes = [f"only one of the runs has {', '.join(alone)}: its levels are taken for both"] if alone else []
    return (*kept, *added), unlike, notes
