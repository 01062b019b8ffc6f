"""Small worlds of decisions: a baseline's and methods' networks on one test set."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import softmax

from imgid_audit.comparison import Compared, ComparisonSpec, MethodRuns
from imgid_audit.core.comparison import MethodChange, MethodEstimate, Primary, Quantity
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task

BINARY = Task("binary", ("no", "yes"), "yes")
MANY = Task("multiclass", ("a", "b", "c"))
SEEDS = (0, 1, 2, 3)


class World:
    """Test rows with groups; `runs` makes a method's networks."""

    def __init__(self, task: Task = MANY, rows: int = 600, *, images: int = 1, groups: int = 3, seed: int = 0) -> None:
        self.task, self.rng = task, np.random.default_rng(seed)
        classes = len(task.labels)
        owner = np.arange(rows) // images
        self.group = (owner % groups).astype(np.int32)
        self.label = self.rng.integers(classes, size=rows).astype(np.int32)
        self.base = self.rng.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[self.label]
        names = tuple(f"g{g}" for g in range(groups))
        subjects = tuple(map(str, range(owner[-1] + 1)))
        self.subject = Factor("subject", subjects, owner.astype(np.int32)) if images > 1 else None
        self.attributes = (Factor("group", names, self.group),)

    def runs(
        self, name: str, gain: float | np.ndarray = 0.0, noise: float = 0.3, seeds: tuple[int, ...] = SEEDS
    ) -> MethodRuns:
        """`gain` to the true class's logit, one for all rows or for each (n,)."""
        return MethodRuns(name, seeds, tuple(self.decisions(gain, noise) for _ in seeds))

    def decisions(self, gain: float | np.ndarray, noise: float) -> Decisions:
        truth = np.eye(len(self.task.labels))[self.label]
        z = self.base + noise * self.rng.normal(size=self.base.shape) + truth * np.reshape(gain, (-1, 1))
        scores = softmax(z, axis=1)
        predicted = scores.argmax(axis=1).astype(np.int32)
        return Decisions(self.task, self.label, predicted, scores, self.subject, self.attributes)


def spec(
    metric: str = "accuracy",
    quantity: Quantity = "worst_group",
    metrics: tuple[str, ...] = ("accuracy",),
    class_name: str | None = None,
    ignore: tuple[str, ...] = (),
    min_support: int = 10,
) -> ComparisonSpec:
    across = () if quantity == "overall" else ("group",)
    return ComparisonSpec(Primary(metric, class_name, across, quantity, ignore), metrics, IntervalSpec(), min_support)


def changes(
    found: Compared, quantity: Quantity, metric: str | None = None, level: str | None = None
) -> list[MethodChange]:
    """The changes of a quantity, as decided, one a method."""
    return [
        one
        for one in found.changes
        if one.quantity == quantity
        and metric in (None, one.metric)
        and not one.recalibrated
        and (level is None or level in one.slice.levels)
    ]


def estimates(
    found: Compared, method: str, quantity: Quantity, metric: str | None = None
) -> dict[int | None, MethodEstimate]:
    """By seed; None is the mean."""
    return {
        one.seed: one
        for one in found.estimates
        if one.method == method and one.quantity == quantity and metric in (None, one.metric) and not one.recalibrated
    }


def reordered(runs: MethodRuns, rows: np.ndarray | None = None, seeds: np.ndarray | None = None) -> MethodRuns:
    """The same runs with rows, or seeds, in another order."""

    def moved(one: Decisions) -> Decisions:
        if rows is None:
            return one
        assert one.scores is not None
        return replace(
            one,
            label=one.label[rows],
            predicted=one.predicted[rows],
            scores=one.scores[rows],
            subject=None if one.subject is None else one.subject.take(rows),
            attributes=tuple(factor.take(rows) for factor in one.attributes),
        )

    order = np.arange(len(runs.seeds)) if seeds is None else seeds
    return replace(
        runs,
        seeds=tuple(runs.seeds[i] for i in order),
        decisions=tuple(moved(runs.decisions[i]) for i in order),
    )
