"""Score metrics of good models at low prevalence: coverage, and rules exactly at their tolerance.

`python -m tests.validity.scores` prints the table. Scores are calibrated and normal by class (`separation`
standard deviations apart, with a subject's own share), so the truth is known: the area in closed form, the
losses and average precision from a sample of two million rows. A draw is a slice; the product's metrics
measure them all at once. Rules: a floor (or ceiling) at the truth on one group, a `max_gap` of two groups
whose true gap is the tolerance, and groups against all rows.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from scipy import special
from sklearn.metrics import average_precision_score

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.core.task import Task
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.bands import Band, sides
from imgid_audit.stats.intervals import one_sided
from tests.validity.world import share

LEVEL = 0.95
TASK = Task("binary", ("no", "yes"), "yes")
SHOWN = ("auroc", "average_precision", "brier", "log_loss")


@dataclass(frozen=True, slots=True)
class World:
    """`separation` of the classes' scores, `prevalence`, and the sample of one group."""

    separation: float
    prevalence: float
    subjects: int
    images: int = 1
    correlation: float = 0.0


GRID = tuple(
    World(*model, *sample)
    for model, sample in product(
        ((3.5, 0.1), (2.5, 0.1), (3.5, 0.5), (1.5, 0.3)),
        ((100,), (200,), (500,), (2000,), (100, 5, 0.0), (100, 5, 0.3), (400, 5, 0.3)),
    )
)


@dataclass(frozen=True, slots=True)
class Found:
    """Shares of draws; `error` is the Monte-Carlo error of the coverage."""

    metric: str
    world: World
    coverage: float
    error: float
    wrong_pass: float
    wrong_fail: float


def draw(world: World, draws: int, rng: np.random.Generator) -> Sample:
    """A breakdown whose slices are the draws."""
    subjects = draws * world.subjects
    codes = np.repeat(np.arange(subjects, dtype=np.int32), world.images)
    label, score = _scored(world, codes, subjects, rng)
    subject = None if world.images == 1 else Factor("subject", tuple(map(str, range(subjects))), codes)
    scores = np.stack([1 - score, score], axis=1)
    decisions = Decisions(TASK, label, (score > 0.5).astype(np.int32), scores, subject, ())
    slices = tuple(Slice(("draw",), (str(i),)) for i in range(draws))
    of_row = np.repeat(np.arange(draws, dtype=np.int32), world.subjects * world.images)
    return Sample(Rows(decisions), Breakdown("draw", ("draw",), slices, of_row), IntervalSpec(LEVEL, 0))


def _scored(world: World, codes: np.ndarray, subjects: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    label = (rng.random(len(codes)) < world.prevalence).astype(np.int32)
    own = np.sqrt(world.correlation) * rng.standard_normal(subjects)[codes]
    place = label * world.separation + own + np.sqrt(1 - world.correlation) * rng.standard_normal(len(codes))
    odds = world.separation * place - world.separation**2 / 2 + special.logit(world.prevalence)
    return label, special.expit(odds)


@lru_cache(maxsize=32)
def truth(separation: float, prevalence: float) -> dict[str, float]:
    """The population's values."""
    rows = 2_000_000
    world = World(separation, prevalence, rows)
    label, score = _scored(world, np.arange(rows), rows, np.random.default_rng(99))
    true = np.where(label == 1, score, 1 - score)
    return {
        "auroc": float(special.ndtr(separation / np.sqrt(2))),
        "average_precision": float(average_precision_score(label, score)),
        "brier": float(np.mean((score - label) ** 2)),
        "log_loss": float(np.mean(-np.log(np.clip(true, 1e-16, 1)))),
    }


def study(worlds: Iterable[World] = GRID, draws: int = 1000, seed: int = 10) -> list[Found]:
    """Coverage and error rates of one value, world by world."""
    found = []
    for place, world in enumerate(worlds):
        sample = draw(world, draws, np.random.default_rng([seed, place]))
        for name in SHOWN:
            band = METRICS[name].measure(sample)[0].band
            known = np.isfinite(band.value)
            true = truth(world.separation, world.prevalence)[name]
            low, high = (part[known] for part in band.limits(LEVEL))
            passed, failed = _judged(band, true, upper=METRICS[name].better == "lower")
            hits = (low <= true) & (true <= high)
            found.append(Found(name, world, *share(hits), float(passed[known].mean()), float(failed[known].mean())))
    return found


def _judged(band: Band, true: float, *, upper: bool) -> tuple[np.ndarray, np.ndarray]:
    """Whether a ceiling (`upper`) or a floor at the truth is met, and whether it is broken, wrongly each."""
    near, far = sides(band, one_sided(LEVEL)), sides(band, LEVEL)
    return (near[1] < true, far[0] > true) if upper else (near[0] > true, far[1] < true)


def table(found: list[Found]) -> str:
    """Markdown: means and worst cells of each metric."""
    lines = [
        "| metric | cells | coverage: mean | worst | Monte-Carlo error | wrongly met: mean | worst | "
        "wrongly broken: mean | worst | the cell of the most wrong passes |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for metric in SHOWN:
        some = [one for one in found if one.metric == metric]
        least, most = min(some, key=lambda one: one.coverage), max(some, key=lambda one: one.wrong_pass)
        covered, met, broken = (
            np.array([getattr(one, name) for one in some]) for name in ("coverage", "wrong_pass", "wrong_fail")
        )
        world = most.world
        where = f"separation {world.separation:g}, prevalence {world.prevalence:g}, {world.subjects:,} x {world.images}"
        lines.append(
            f"| {metric} | {len(some)} | {covered.mean():.1%} | {least.coverage:.1%} | {least.error:.1%} | "
            f"{met.mean():.1%} | {met.max():.1%} | {broken.mean():.1%} | {broken.max():.1%} | {where} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; an argument is the number of draws."""
    print(table(study(draws=int((*sys.argv[1:], 1000)[0]))))


if __name__ == "__main__":
    main()
