"""Coverage of nominal 95 % intervals of AUROC, average precision, balanced accuracy, macro recall and macro F1.

`python -m tests.validity.composites` prints the table. Labels vary within subjects. Scores: the label's
shift, a subject's own share and noise, so that the area is Phi(shift / sqrt 2). Decisions: a subject is
right with its own beta-distributed probability, times the class's; the confusion matrix gives the
truth. A draw is a slice, and the product's metrics measure them all at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.core.task import Task
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from tests.validity.world import share

LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class Composite:
    """`level` is the area under the curve, or the mean rate of right answers."""

    metric: str
    subjects: int
    images: int
    correlation: float
    level: float
    classes: int = 2


GRID = tuple(
    Composite(metric, subjects, images, correlation, level, classes)
    for (metric, classes), subjects, (images, correlation), level in product(
        (("auroc", 2), ("balanced_accuracy", 2), ("recall", 4), ("f1", 4)),
        (100, 400),
        ((1, 0.0), (5, 0.0), (5, 0.3), (20, 0.5)),
        (0.7, 0.9, 0.97),
    )
)


@dataclass(frozen=True, slots=True)
class Covered:
    """Share of draws whose interval holds the truth, with its Monte-Carlo error."""

    cell: Composite
    coverage: float
    error: float


def study(cells: Iterable[Composite] = GRID, draws: int = 1000, seed: int = 8) -> list[Covered]:
    """Coverage of every cell."""
    found = []
    for place, cell in enumerate(cells):
        decisions, truth = _world(cell, draws, np.random.default_rng([seed, place]))
        codes = np.repeat(np.arange(draws, dtype=np.int32), cell.subjects * cell.images)
        slices = tuple(Slice(("draw",), (str(i),)) for i in range(draws))
        sample = Sample(Rows(decisions), Breakdown("draw", ("draw",), slices, codes), IntervalSpec(LEVEL, 0))
        measured = METRICS[cell.metric].measure(sample)[-1]  # the macro mean, or the only one
        low, high = measured.band.limits(LEVEL)
        found.append(Covered(cell, *share((low <= truth) & (truth <= high))))
    return found


def _world(cell: Composite, draws: int, rng: np.random.Generator) -> tuple[Decisions, float]:
    """The draws' decisions, one after another, and the true value."""
    subjects, rows = draws * cell.subjects, draws * cell.subjects * cell.images
    codes = np.repeat(np.arange(subjects, dtype=np.int32), cell.images)
    subject = None
    if cell.images > 1:
        subject = Factor("subject", tuple(map(str, range(subjects))), codes)
    label = rng.integers(0, cell.classes, rows).astype(np.int32)
    names = tuple(f"c{i}" for i in range(cell.classes))
    task = Task("binary", names, "c1") if cell.classes == 2 else Task("multiclass", names)
    if cell.metric == "auroc":
        shift = np.sqrt(2) * special.ndtri(cell.level)
        own = rng.standard_normal(subjects)[codes]
        score = label * shift + np.sqrt(cell.correlation) * own
        score = special.expit(score + np.sqrt(1 - cell.correlation) * rng.standard_normal(rows))
        scores = np.stack([1 - score, score], axis=1)
        return Decisions(task, label, (score >= 0.5).astype(np.int32), scores, subject, ()), cell.level
    rates = np.clip(cell.level + 0.04 * np.linspace(-1, 1, cell.classes) * (1 - cell.level) * 10, 0.3, 0.995)
    chance = _own_rates(cell, rates, subjects, rng)[codes, label]
    wrong = (label + rng.integers(1, cell.classes, rows)) % cell.classes
    predicted = np.where(rng.random(rows) < chance, label, wrong).astype(np.int32)
    return Decisions(task, label, predicted, None, subject, ()), _truth(cell.metric, rates)


def _own_rates(cell: Composite, rates: Floats, subjects: int, rng: np.random.Generator) -> Floats:
    """Each subject's probability of being right on each class, (subjects, classes)."""
    if cell.correlation == 0:
        return np.broadcast_to(rates, (subjects, len(rates)))
    strength, quality, grid = 1 / cell.correlation - 1, rng.random(subjects), np.linspace(0, 1, 2001)
    tables = (special.betaincinv(rate * strength, (1 - rate) * strength, grid) for rate in rates)
    return np.stack([np.interp(quality, grid, table) for table in tables], axis=1)


def _truth(metric: str, rates: Floats) -> float:
    """From the expected confusion of equally frequent classes whose errors go to the others alike."""
    if metric in ("balanced_accuracy", "recall"):
        return float(rates.mean())
    called = rates + ((1 - rates).sum() - (1 - rates)) / (len(rates) - 1)
    return float((2 * rates / (1 + called)).mean())


def table(found: list[Covered]) -> str:
    """Markdown: mean and worst cell of each metric and sample size."""
    lines = [
        "| metric | subjects | cells | mean | worst | Monte-Carlo error | the worst cell |",
        "| --- | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for metric, subjects in dict.fromkeys((one.cell.metric, one.cell.subjects) for one in found):
        some = [one for one in found if (one.cell.metric, one.cell.subjects) == (metric, subjects)]
        worst, mean = min(some, key=lambda one: one.coverage), np.mean([one.coverage for one in some])
        where = f"{worst.cell.images} images, correlation {worst.cell.correlation:g}, level {worst.cell.level:g}"
        name = f"macro {metric}" if worst.cell.classes > 2 else metric
        lines.append(
            f"| {name} | {subjects} | {len(some)} | {mean:.1%} | {worst.coverage:.1%} | {worst.error:.1%} | {where} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; an argument is the number of draws."""
    print(table(study(draws=int((*sys.argv[1:], 1000)[0]))))


if __name__ == "__main__":
    main()
