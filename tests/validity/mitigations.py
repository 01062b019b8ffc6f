"""Whether comparisons of mitigations call nothing something, and something something, simulated.

`python -m tests.validity.mitigations` prints the tables. Test images have an embedding; a network is a linear
head on it. A fresh training seed moves the head at random, so far that the primary quantity of the networks
has the wanted standard deviation over seeds, and adds noise of its own to every row's logit, so that
networks of equal quality answer some rows otherwise, as retrained networks do. Methods that do nothing
have heads drawn as the baseline's are ("same head"), or turned in a direction that tells nothing of the
label, each its own ("other head"): then they are equally good and differ on the same rows in every seed.
Comparisons are made by the product's own code.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import product
from typing import Literal

import numpy as np
from scipy import optimize, special

from imgid_audit.comparison import ComparisonSpec, MethodRuns, primary_changes
from imgid_audit.core.comparison import MethodChange, Primary, Quantity
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.stats.hypotheses import holm
from imgid_audit.stats.intervals import Floats
from tests.validity.mitigations_unequal import UNEQUAL, table

TASK = Task("binary", ("no", "yes"), "yes")
WIDTH = 16
"""Coordinates of an embedding; the first two tell the label."""
METHODS, SEEDS, LEVEL = 8, 5, 0.95
OWN = 0.25
"""Noise of a network's own in a row's logit: about one row in fifteen is answered otherwise by an equal network."""
ALIKE = (1.05, 0.95)
WORSE = (0.6, 1.3)
"""How strongly the label shows in the two coordinates: in most groups, and in one that is worse."""
START = 0.0
"""The angle of the baseline's head; turning it towards the second coordinate is the gain."""
POPULATION = 4000
"""Networks from which the scatter over seeds is found."""


@dataclass(frozen=True)
class World:
    """What is judged, the groups' shares and strengths, images of a subject, and the scatter over seeds.

    `other`: how far each method's head is turned where it tells nothing; `gain`: of the first method.
    """

    name: str
    quantity: Quantity
    shares: tuple[float, ...]
    strengths: tuple[tuple[float, float], ...]
    images: int = 1
    scatter: float = 0.01
    other: float = 0.0
    gain: float = 0.0

    def accuracy(self, heads: Floats) -> Floats:
        """The true accuracy of heads (..., WIDTH) in every group, (..., groups)."""
        spread = np.sqrt((heads**2).sum(axis=-1) + OWN**2)[..., None]
        return special.ndtr(heads[..., :2] @ np.array(self.strengths).T / spread)

    def primary(self, heads: Floats) -> Floats:
        """The true primary quantity of heads, (...)."""
        found = self.accuracy(heads)
        if self.quantity == "overall":
            return np.asarray(found @ np.array(self.shares))
        return np.asarray(found.min(axis=-1) if self.quantity == "worst_group" else np.ptp(found, axis=-1))

    @cached_property
    def noise(self) -> float:
        """How far a seed moves the head, such that the primary quantity has the wanted scatter."""
        if self.scatter == 0:
            return 0.0
        drawn = np.random.default_rng(0).normal(size=(POPULATION, WIDTH))

        def excess(at: float) -> float:
            return float(self.primary(self.head(START) + np.exp(at) * drawn).std() - self.scatter)

        return float(np.exp(optimize.brentq(excess, -9.0, 1.0)))

    @cached_property
    def turned(self) -> float:
        """The angle of a head that has the gain, in the mean over seeds."""
        if self.gain == 0:
            return START
        drawn = self.noise * np.random.default_rng(1).normal(size=(POPULATION, WIDTH))
        sign = -1 if self.quantity == "gap" else 1
        before = self.primary(self.head(START) + drawn).mean()

        def lacking(at: float) -> float:
            return float(sign * (self.primary(self.head(at) + drawn).mean() - before) - self.gain)

        return float(optimize.brentq(lacking, START, START + 0.6))

    def head(self, angle: float, own: int = WIDTH - 1) -> Floats:
        """A head at an angle in the plane of the label, turned to a coordinate of its own."""
        found = np.zeros(WIDTH)
        found[:2] = np.cos(angle), np.sin(angle)
        found[own] += self.other
        return found

    @property
    def spec(self) -> ComparisonSpec:
        across = () if self.quantity == "overall" else ("group",)
        primary = Primary("accuracy", None, across, self.quantity)
        return ComparisonSpec(primary, (), IntervalSpec(LEVEL), 10)


def draw(world: World, rows: int, rng: np.random.Generator) -> tuple[MethodRuns, list[MethodRuns]]:
    """The baseline's and eight methods' networks on one test set; the first method has the gain."""
    subjects = rows // world.images
    owner = np.repeat(np.arange(subjects), world.images)
    of_subject = rng.choice(len(world.shares), size=subjects, p=world.shares)
    group = of_subject[owner].astype(np.int32)
    x = rng.standard_normal((rows, WIDTH))
    if world.images > 1:
        x = np.sqrt(0.3) * rng.standard_normal((subjects, WIDTH))[owner] + np.sqrt(0.7) * x
    x[:, :2] += np.array(world.strengths)[group]
    angles = [START, world.turned, *[START] * (METHODS - 1)]
    heads = np.stack([world.head(angle, 2 + m) for m, angle in enumerate(angles)])
    networks = heads[:, None] + world.noise * rng.standard_normal((METHODS + 1, SEEDS, WIDTH))
    logits = networks.reshape(-1, WIDTH).astype(np.float32) @ x.T.astype(np.float32)
    logits += OWN * rng.standard_normal(logits.shape, dtype=np.float32)
    right = (logits > 0).reshape(METHODS + 1, SEEDS, rows)
    label = rng.integers(2, size=rows).astype(np.int32)
    levels = tuple(f"group {g}" for g in range(len(world.shares)))
    subject = Factor("subject", tuple(map(str, range(subjects))), owner.astype(np.int32)) if world.images > 1 else None
    first = Decisions(TASK, label, label, None, subject, (Factor("group", levels, group),))

    def runs(m: int) -> MethodRuns:
        said = tuple(replace(first, predicted=np.where(one, label, 1 - label).astype(np.int32)) for one in right[m])
        return MethodRuns("baseline" if m == 0 else f"method {m}", tuple(range(SEEDS)), said)

    return runs(0), [runs(m) for m in range(1, METHODS + 1)]


By = Literal["combined", "test rows alone", "seeds alone", "Welch-Satterthwaite"]
OTHERS: tuple[By, ...] = ("test rows alone", "seeds alone", "Welch-Satterthwaite")


def alternatives(found: list[MethodChange]) -> dict[By, Floats]:
    """Holm-adjusted p-values (methods,) of the same changes by other means, from their reported errors."""
    value = np.abs([one.value for one in found])
    seeds, rows = (np.array([getattr(one, name) for one in found]) for name in ("seed_error", "test_error"))
    joint = seeds**2 + rows**2
    degrees = joint**2 / np.maximum(seeds**4 / (SEEDS - 1), 1e-30)
    return {
        "test rows alone": holm(2 * special.ndtr(-value / rows)),
        "seeds alone": holm(np.where(seeds > 0, 2 * special.stdtr(SEEDS - 1, -value / np.maximum(seeds, 1e-30)), 1.0)),
        "Welch-Satterthwaite": holm(2 * special.stdtr(np.minimum(degrees, 1e6), -value / np.sqrt(joint))),
    }


@dataclass(frozen=True, slots=True)
class Null:
    """Comparisons of methods that do nothing: shares that say helps or harms of any of them.

    `same`, `other`: of comparisons with either kind of doing nothing; `others`: what all of them would have
    said by other means; `disagreement`: rows that a method's network answers otherwise than the baseline's
    """

    world: World
    rows: int
    comparisons: int
    same: float
    other: float
    others: dict[By, float]
    disagreement: float

    @property
    def wrong(self) -> float:
        return (self.same + self.other) / 2


def null(world: World, rows: int, comparisons: int, seed: int = 0) -> Null:
    """Comparisons of methods that do nothing, by turns of either kind."""
    worlds = world, replace(world, other=OTHER)
    wrong: tuple[list[bool], list[bool]] = ([], [])
    others, differ = [], 0.0
    for i in range(comparisons):
        baseline, methods = draw(worlds[i % 2], rows, np.random.default_rng([seed, i]))
        found = primary_changes(baseline, methods, world.spec)
        wrong[i % 2].append(any(one.verdict != "no evidence" for one in found))
        others.append({by: bool((p <= 1 - LEVEL).any()) for by, p in alternatives(found).items()})
        differ += float((baseline.decisions[0].predicted != methods[0].decisions[0].predicted).mean()) / comparisons
    same, other = (float(np.mean(part)) for part in wrong)
    return Null(world, rows, comparisons, same, other, _shares(others), differ)


@dataclass(frozen=True, slots=True)
class Power:
    """Shares of comparisons that say `helps` of the method with a gain, and helps or harms of another.

    `covered`: whose interval holds the gain
    """

    world: World
    rows: int
    helps: float
    others: dict[By, float]
    wrong: float
    covered: float


def power(world: World, rows: int, comparisons: int, seed: int = 1) -> Power:
    """Comparisons in which the first of the methods has a gain, and the others do nothing."""
    helps, others, wrong, covered = [], [], [], []
    truth = -world.gain if world.quantity == "gap" else world.gain
    for i in range(comparisons):
        baseline, methods = draw(world, rows, np.random.default_rng([seed, i]))
        found = primary_changes(baseline, methods, world.spec)
        helps.append(found[0].verdict == "helps")
        wrong.append(any(one.verdict != "no evidence" for one in found[1:]))
        others.append({by: bool(p[0] <= 1 - LEVEL) for by, p in alternatives(found).items()})
        interval = found[0].interval
        covered.append(interval is not None and interval.low <= truth <= interval.high)
    means = (float(np.mean(part)) for part in (helps, wrong, covered))
    share, mistaken, holds = means
    return Power(world, rows, share, _shares(others), mistaken, holds)


def _shares(found: list[dict[By, bool]]) -> dict[By, float]:
    return {by: float(np.mean([one[by] for one in found])) for by in OTHERS}


EQUAL = (0.25,) * 4
ONE_WORSE = (*(ALIKE,) * 3, WORSE)
STRUCTURES = (
    World("all rows", "overall", EQUAL, (ALIKE,) * 4),
    World("worst of 4 equal groups", "worst_group", EQUAL, (ALIKE,) * 4),
    World("worst of 4, one worse", "worst_group", EQUAL, ONE_WORSE),
    World("worst of 4, the worst a tenth", "worst_group", (0.4, 0.3, 0.2, 0.1), ONE_WORSE),
    World("gap of 4, one worse", "gap", EQUAL, ONE_WORSE),
    World("all rows, 5 images a subject", "overall", EQUAL, (ALIKE,) * 4, images=5),
    World("worst of 4, one worse, 5 images a subject", "worst_group", EQUAL, ONE_WORSE, images=5),
)
TWO = World("worst of 2, one worse", "worst_group", (0.5, 0.5), (ALIKE, WORSE))
SCATTER = (0.0, 0.005, 0.01, 0.02)
OTHER = 0.4
"""A turn that tells nothing of the label: one row in eight or so is answered otherwise in every seed."""


def nulls(comparisons: int) -> Iterator[Null]:
    """All structures and scatters at 2,000 test images, and some at 10,000."""
    for rows, worlds in ((2000, STRUCTURES), (10_000, (STRUCTURES[0], STRUCTURES[2], STRUCTURES[6]))):
        for world, scatter in product(worlds, SCATTER):
            yield null(replace(world, scatter=scatter), rows, comparisons)


def powers(comparisons: int) -> Iterator[Power]:
    """A gain of five points at 2,000 test images and a scatter of one point, by structure."""
    for world in (*STRUCTURES[:1], TWO, *STRUCTURES[1:]):
        yield power(replace(world, gain=0.05), 2000, comparisons)


def main(comparisons: int = 400) -> None:
    """Print the tables."""
    head = " | ".join(OTHERS)
    print(f"Eight methods that do nothing, {SEEDS} seeds, {comparisons} comparisons a line (half with the baseline's")
    print("own head, half with another that is as good): share that say helps or harms of any method.")
    print("Standard error of a share of 5 %: " + f"{100 * (0.0475 / comparisons) ** 0.5:.1f} %.\n")
    print("How far the other heads are turned was doubled after a first run of 18 lines,", end=" ")
    print("whose highest share was 5.0 % too.\n")
    print(f"| primary | test images | scatter of seeds, points | rows that flip | combined | {head} |")
    print("|---|---|---|---|---|---|---|---|")
    found = []
    for one in nulls(comparisons):
        found.append(one)
        cells = f"{one.world.name} | {one.rows:,} | {100 * one.world.scatter:g} | {_percent(one.disagreement)}"
        print(
            f"| {cells} | {_percent(one.wrong)} | " + " | ".join(_percent(one.others[by]) for by in OTHERS) + " |",
            flush=True,
        )
    worst = max(found, key=lambda one: one.wrong)
    print(f"\nMean of the combined: {_percent(float(np.mean([one.wrong for one in found])))}, highest ", end="")
    print(f"{_percent(worst.wrong)} ({worst.world.name}, {worst.rows:,}, {100 * worst.world.scatter:g} points).\n")
    print(f"One method of eight gains 5 points, 2,000 test images, scatter of one point, {comparisons} comparisons a")
    print("line: share that say `helps` of it; of another helps or harms; whose interval holds the gain.\n")
    print(f"| primary | combined | {head} | another | interval holds |\n|---|---|---|---|---|---|---|")
    for gained in powers(comparisons):
        cells = " | ".join(_percent(gained.others[by]) for by in OTHERS)
        ends = f"{_percent(gained.wrong)} | {_percent(gained.covered)}"
        print(f"| {gained.world.name} | {_percent(gained.helps)} | {cells} | {ends} |", flush=True)
    print(f"\n{UNEQUAL}\n")
    print("\n".join(table(comparisons // 2)))


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    main()
