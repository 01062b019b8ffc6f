"""Random decisions to evaluate, with everything that is asked for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task


def build(
    n: int = 400,
    classes: int = 2,
    subjects: int | None = None,
    levels: tuple[int, ...] = (3, 2),
    seed: int = 0,
    digits: int | None = None,
    scores: bool = True,
) -> Decisions:
    """Calibrated scores, labels drawn from them, decisions by the highest; `digits` makes ties."""
    generator = np.random.default_rng(seed)
    probability = generator.dirichlet(np.ones(classes), n)
    if digits is not None:
        probability = np.floor(probability * 10**digits) / 10**digits
        probability[:, -1] = np.round(1 - probability[:, :-1].sum(axis=1), digits)
    label = (generator.random(n)[:, None] > np.cumsum(probability, axis=1)).sum(axis=1).clip(0, classes - 1)
    names = tuple(f"class {k}" for k in range(classes))
    task = Task("binary", names, names[1]) if classes == 2 else Task("multiclass", names)
    attributes = tuple(
        Factor(f"attribute {j}", tuple(f"level {i}" for i in range(count)), generator.integers(0, count, n, np.int32))
        for j, count in enumerate(levels)
    )
    subject = None
    if subjects is not None:
        subject = Factor(
            "subject", tuple(str(i) for i in range(subjects)), generator.integers(0, subjects, n, np.int32)
        )
    predicted = probability.argmax(axis=1).astype(np.int32)
    return Decisions(task, label.astype(np.int32), predicted, probability if scores else None, subject, attributes)


@pytest.fixture(scope="session")
def random_decisions() -> Callable[..., Decisions]:
    return build
