"""An attacker: all counts that somebody knows, as equations over the table that nobody shows.

The unknown is the table of counts by all attributes, label and decision. A cell is known to the attacker
exactly if every table of whole numbers that agrees with all equations has the same number in it.
"""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp

from imgid_audit.core.factor import Factor
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task

Vector = NDArray[np.float64]
Place = dict[str, int]


class World:
    """Names and sizes of the unknown table: `attributes` by name with their levels, and the labels."""

    def __init__(self, attributes: dict[str, tuple[str, ...]], labels: tuple[str, ...]) -> None:
        self.attributes, self.labels = attributes, labels
        self.sides = tuple(map(len, attributes.values()))
        self.shape = (*self.sides, len(labels), len(labels))

    def sum_of(self, place: Place, outcome: NDArray[np.bool_]) -> Vector:
        """The sum over a slice (level index by attribute) of the outcomes (label, decision) that are true."""
        inside = np.zeros(self.sides)
        inside[tuple(place.get(name, slice(None)) for name in self.attributes)] = 1
        return (inside[..., None, None] * outcome).ravel()

    def one_vs_rest(self) -> Iterator[NDArray[np.bool_]]:
        """TP, FP, FN and TN of every class that has cells of its own."""
        for index in range(1 if len(self.labels) == 2 else len(self.labels)):
            yield from outcomes(index, len(self.labels))

    def cells(self, names: Sequence[str]) -> Iterator[Vector]:
        """Every one-vs-rest cell of every slice of a breakdown."""
        for levels in itertools.product(*(range(len(self.attributes[name])) for name in names)):
            for outcome in self.one_vs_rest():
                yield self.sum_of(dict(zip(names, levels, strict=True)), outcome)

    def all_cells(self) -> Vector:
        """The cells of all breakdowns that there could be."""
        sets = [names for size in range(len(self.sides) + 1) for names in itertools.combinations(self.attributes, size)]
        return np.array([cell for names in sets for cell in self.cells(names)])


def outcomes(index: int, classes: int) -> tuple[NDArray[np.bool_], ...]:
    """TP, FP, FN, TN of a class as masks over (label, decision)."""
    label, said = np.indices((classes, classes)) == index
    return label & said, ~label & said, label & ~said, ~label & ~said


def found_out(
    table: NDArray[np.int64],
    world: World,
    equations: Sequence[Vector],
    least: int,
    possible: NDArray[np.bool_] | None = None,
) -> list[int]:
    """The true counts of small cells that the equations determine. `possible`: combinations known to exist."""
    truth = table.ravel().astype(np.float64)
    known = np.unique(np.array(equations), axis=0)
    targets = world.all_cells()
    held = targets @ truth
    small = (held > 0) & (held < least)
    targets, held = targets[small], held[small]
    most = np.full(truth.shape, truth.sum())
    if possible is not None:
        most = np.where(np.broadcast_to(possible[..., None, None], table.shape).ravel(), most, 0)
    agree = [LinearConstraint(known, known @ truth, known @ truth)]

    def other_table(direction: Vector) -> Vector:
        found = milp(direction, constraints=agree, integrality=np.ones(truth.size), bounds=Bounds(0, most))
        assert found.status == 0, found.message
        return np.round(found.x)

    determined = np.ones(len(held), dtype=bool)
    random = np.random.default_rng(0)
    for direction in random.normal(size=(3, truth.size)):
        determined &= np.round(targets @ other_table(direction)) == held
    for index in np.flatnonzero(determined):
        for direction in (targets[index], -targets[index]):
            if determined[index]:
                same = np.round(targets @ other_table(direction)) == held
                determined[index:] &= same[index:]
    return [int(count) for count in held[determined]]


def decisions_of(table: NDArray[np.int64], world: World) -> Decisions:
    """The table as decisions, one entry a combination that occurs."""
    *codes, label, predicted = (axis.astype(np.int32) for axis in np.nonzero(table))
    binary = len(world.labels) == 2
    task = Task("binary", world.labels, world.labels[1]) if binary else Task("multiclass", world.labels)
    factors = tuple(
        Factor(name, levels, code) for (name, levels), code in zip(world.attributes.items(), codes, strict=True)
    )
    return Decisions(task, label, predicted, None, None, factors, count=table[np.nonzero(table)].astype(np.int64))


def random_table(seed: int, sides: tuple[int, ...], classes: int) -> tuple[NDArray[np.int64], World]:
    """A table with holes, as real ones have them."""
    random = np.random.default_rng(seed)
    shape = (*sides, classes, classes)
    share = random.dirichlet(np.full(int(np.prod(shape)), random.choice([0.1, 0.5, 2.0]))).reshape(shape)
    share *= random.random(shape) >= random.choice([0.0, 0.2, 0.5])
    share *= random.random((*sides, 1, 1)) >= random.choice([0.0, 0.3])
    share = share if share.sum() else np.ones(shape)
    rows = int(random.choice([30, 100, 300, 1000]))
    table = random.multinomial(rows, (share / share.sum()).ravel()).reshape(shape) * int(random.integers(1, 5))
    attributes = {"abc"[i]: tuple(f"{'abc'[i]}{level}" for level in range(size)) for i, size in enumerate(sides)}
    return table, World(attributes, tuple("xyz"[:classes]))


def published_equations(folder: Path, world: World) -> tuple[list[Vector], list[float]]:
    """What the CSV tables and the page of a run say, as sums and their values."""
    said = [*_estimates(folder, world), *_account(folder, world), *_matrix(folder, world)]
    return [equation for equation, _ in said], [value for _, value in said]


EVENTS = {
    # metric: outcomes that are counted, of those that it divides by
    "recall": ((0,), (0, 2)),
    "precision": ((0,), (0, 1)),
    "specificity": ((3,), (1, 3)),
    "false_positive_rate": ((1,), (1, 3)),
    "false_negative_rate": ((2,), (0, 2)),
    "selection_rate": ((0, 1), (0, 1, 2, 3)),
}


def _estimates(folder: Path, world: World) -> Iterator[tuple[Vector, float]]:
    everything = np.ones((len(world.labels),) * 2, dtype=bool)
    for row in _rows(folder / "tables" / "estimates.csv"):
        key = json.loads(row["slice"]) if row["slice"] else {}
        place = {name: world.attributes[name].index(level) for name, level in key.items()}
        if row["n"]:
            yield world.sum_of(place, everything), float(row["n"])
        if row["metric"] == "accuracy" and row["value"]:
            yield world.sum_of(place, np.eye(len(world.labels), dtype=bool)), float(row["value"]) * float(row["n"])
        if row["metric"] not in EVENTS or not row["class"] or not row["support"]:
            continue
        masks = outcomes(world.labels.index(row["class"]), len(world.labels))
        events, trials = (np.logical_or.reduce([masks[i] for i in part]) for part in EVENTS[row["metric"]])
        yield world.sum_of(place, trials), float(row["support"])
        if row["value"]:
            yield world.sum_of(place, events), float(row["value"]) * float(row["support"])


def _account(folder: Path, world: World) -> Iterator[tuple[Vector, float]]:
    everything = np.ones((len(world.labels),) * 2, dtype=bool)
    for row in _rows(folder / "tables" / "account.csv"):
        if row["what"] == "attribute":
            yield (
                world.sum_of({row["name"]: world.attributes[row["name"]].index(row["level"])}, everything),
                float(row["rows"]),
            )
        if row["what"] == "label":
            label = np.zeros_like(everything)
            label[world.labels.index(row["name"])] = True
            yield world.sum_of({}, label), float(row["rows"])


def _matrix(folder: Path, world: World) -> Iterator[tuple[Vector, float]]:
    """The confusion matrix, where the page has one."""
    page = (folder / "report.html").read_text()
    part = re.search(r"Rows are true labels, columns what the model said</caption>.*?</table>", page, re.DOTALL)
    counts = [int(count) for count in re.findall(r'class="heat[^"]*" data-v="(\d+)"', part[0])] if part else []
    for index, count in enumerate(counts):
        entry = np.zeros((len(world.labels),) * 2, dtype=bool)
        entry.flat[index] = True
        yield world.sum_of({}, entry), float(count)


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
