"""A small manifest to plant things in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pytest

from imgid_audit.checks import CHECKS, CheckContext
from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Finding
from imgid_audit.core.task import Task


def factor(name: str, texts: Sequence[str], levels: Sequence[str] | None = None) -> Factor:
    """A factor of these texts; levels default to the sorted ones found."""
    known = tuple(levels) if levels is not None else tuple(sorted(set(texts)))
    return Factor(name, known, np.array([known.index(text) for text in texts], dtype=np.int32))


def manifest(
    labels: Sequence[str],
    *,
    split: Sequence[str] | None = None,
    levels: Sequence[str] | None = None,
    subject: Sequence[str] | None = None,
    excluded: Sequence[int] = (),
    images: bool = True,
    **attributes: Sequence[str],
) -> Manifest:
    """A manifest of one row a label; without `split` all rows are test."""
    n = len(labels)
    status = np.zeros(n, dtype=np.int8)
    status[list(excluded)] = Status.EXCLUDED
    names = np.array([f"{i}.png" for i in range(n)], dtype=object)
    return Manifest(
        ids=names,
        label=factor("label", labels, levels),
        split=factor("split", split or ["test"] * n, SPLITS),
        attributes=tuple(factor(name, texts) for name, texts in attributes.items()),
        subject=None if subject is None else factor("subject", subject),
        images=names if images else None,
        status=status,
        reason=np.array([""] * n, dtype=object),
    )


def decisions(rows: Manifest, predicted: Sequence[str]) -> Decisions:
    """Decisions on every row of a manifest, whatever its split."""
    task = task_of(rows)
    codes = np.array([task.labels.index(text) for text in predicted], dtype=np.int32)
    return Decisions(task, rows.label.codes, codes, None, rows.subject, rows.attributes)


def task_of(rows: Manifest) -> Task:
    labels = rows.label.levels
    return Task("multiclass", labels if len(labels) > 1 else (*labels, "another"))


class Run(Protocol):
    def __call__(self, code: str, rows: Manifest, params: dict[str, Any] | None = None, **context: Any) -> Finding: ...


@pytest.fixture
def run() -> Run:
    """Runs one check by its code on a manifest."""

    def call(code: str, rows: Manifest, params: dict[str, Any] | None = None, **context: Any) -> Finding:
        check = CHECKS[code]
        return check.finding(check.run(CheckContext(task_of(rows), rows, **context), check.Params(**(params or {}))))

    return call


class Make(Protocol):
    manifest: Any
    decisions: Any
    factor: Any


@pytest.fixture
def make() -> Make:
    """The builders above: test files of this folder are no package and cannot import one another."""

    class Builders:
        pass

    builders: Any = Builders()
    builders.manifest, builders.decisions, builders.factor = manifest, decisions, factor
    return builders  # type: ignore[no-any-return]
