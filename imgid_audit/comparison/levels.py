"""One network's metric on several levels: groups, all rows, or classes, with each row's share in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgid_audit.comparison.halves import Halves, in_halves
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL, Breakdown, Slice
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import Bools, Influential, Metric, OverSameRows, where_zero
from imgid_audit.metrics.rates import RECALL
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Shares:
    """How rows make the value of a level.

    - `of` (n,): each row's first-order share; `counted` (n,): rows that count
    - `answers` (n,) or (n, classes): what was said of each row; a row moves where two networks differ in it
    """

    of: Floats
    counted: Bools
    answers: NDArray[np.generic]


@dataclass(frozen=True, eq=False)
class Levels:
    """A metric on levels (levels,), with limits for the sampling of test rows.

    - `slices`, `class_names`: what each level is; `flip` (levels,): what one row that flips changes
    - `scarce`: the class that `support` counts the rows of, the rarest one of a mean; None where it counts all rows
    - `shares(a)`: of level a; `halved(halves)` (halvings, 2, levels): values in the halves of the rows
    """

    metric: str
    slices: tuple[Slice, ...]
    class_names: tuple[str | None, ...]
    value: Floats
    low: Floats
    high: Floats
    methods: tuple[str, ...]
    undefined: tuple[Undefined | None, ...]
    n: Counts
    support: Counts
    subjects: Counts | None
    flip: Floats
    scarce: tuple[str | None, ...]
    shares: Callable[[int], Shares]
    halved: Callable[[Halves], Floats]

    def __len__(self) -> int:
        return len(self.slices)


class Network:
    """What one network said of the test rows; measures are made once, when they are asked for."""

    def __init__(self, decisions: Decisions, intervals: IntervalSpec) -> None:
        self.decisions = decisions
        self.intervals = intervals
        self._rows = Rows(decisions)
        self._samples: dict[str, Sample] = {}
        self._levels: dict[tuple[str, str | None, str], Levels] = {}
        self._measured: dict[tuple[str, str], tuple[Measured, ...]] = {}

    def sample(self, part: Breakdown) -> Sample:
        """The rows by the slices of a breakdown, one object a name."""
        if part.name not in self._samples:
            self._samples[part.name] = Sample(self._rows, part, self.intervals)
        return self._samples[part.name]

    def levels(self, metric: str, class_name: str | None, part: Breakdown) -> Levels:
        """A metric's class on every slice of a breakdown; `InputError` for a class that it has not."""
        key = (metric, class_name, part.name)
        if key not in self._levels:
            self._levels[key] = self._on_slices(METRICS[metric], class_name, part)
        return self._levels[key]

    def _on_slices(self, metric: Metric, class_name: str | None, part: Breakdown) -> Levels:
        sample = self.sample(part)
        key = (metric.name, part.name)
        if key not in self._measured:
            self._measured[key] = metric.measure(sample)
        found = {one.class_name: one for one in self._measured[key]}
        if class_name not in found:
            known = ", ".join("the mean" if name is None else repr(name) for name in found)
            where = f"mitigations > primary > class: {metric.name}"
            raise InputError(Problem(where, f"speaks of {known}, not of {class_name!r}"))
        one = found[class_name]
        low, high = one.band.limits(self.intervals.level)
        rows = _Rows(metric, class_name, sample)
        return Levels(
            metric.name, part.slices, (class_name,) * len(part.slices), one.value, low, high,
            one.band.methods(self.intervals.level), one.undefined, one.n, one.support, one.subjects,
            _flip(metric, class_name, sample, one.support), _scarce(found, class_name, part), rows.level,
            lambda halves: self._halved(metric, class_name, part, halves),
        )  # fmt: skip

    def _halved(self, metric: Metric, class_name: str | None, part: Breakdown, halves: Halves) -> Floats:
        """A metric's class on the halves of every slice, (halvings, 2, slices)."""
        whole = self.levels(metric.name, class_name, part).value
        outcomes = metric.outcomes(self.sample(part), class_name) if isinstance(metric, OverSameRows) else None
        if outcomes is not None:
            return halves.rates(*outcomes, part, whole)
        found = []
        for divided in halves.divided(part):
            measured = metric.measure(Sample(self._rows, divided, self.intervals))
            one = next(one for one in measured if one.class_name == class_name)
            found.append(in_halves(one.value, one.defined, whole))
        return np.stack(found)

    @cached_property
    def recalls(self) -> Levels:
        """The recall of every class over all rows, in binary tasks too."""
        decisions, labels = self.decisions, self.decisions.task.labels
        part = Breakdown("", (), (TOTAL,), np.zeros(len(decisions), dtype=np.int32))
        sample = self.sample(part)
        band, subjects = RECALL.band(sample)
        support = band.trials[0].astype(np.int64)
        low, high = band.limits(self.intervals.level)
        reasons = tuple(where_zero(support[k : k + 1], f"rows of class {label!r}")[0] for k, label in enumerate(labels))
        unnamed = ("",) * len(labels)  # a class has no interval of its own here
        return Levels(
            RECALL.name, (TOTAL,) * len(labels), labels, band.value[0], low[0], high[0],
            unnamed, reasons, np.full(len(labels), len(decisions)), support,
            None if subjects is None else subjects[0], _inverse(support), (None,) * len(labels),
            lambda k: _Rows(RECALL, labels[k], sample).level(0),
            lambda halves: self._halved_recalls(part, halves),
        )  # fmt: skip

    def _halved_recalls(self, part: Breakdown, halves: Halves) -> Floats:
        """The recall of every class on the halves of all rows, (halvings, 2, classes)."""
        found = []
        for divided in halves.divided(part):
            band = RECALL.band(Sample(self._rows, divided, self.intervals))[0]
            found.append(in_halves(band.value.ravel(), band.trials.ravel() > 0, self.recalls.value))
        return np.stack(found)


class _Rows:
    """Each row's share in the metric of its slice, computed when a level is asked for."""

    def __init__(self, metric: Metric, class_name: str | None, sample: Sample) -> None:
        self.metric, self.class_name, self.sample = metric, class_name, sample

    def level(self, a: int) -> Shares:
        of, counted, answers = self._all
        here = self.sample.keys == a
        return Shares(np.where(here, of, 0.0), counted & here, answers)

    @cached_property
    def _all(self) -> tuple[Floats, Bools, NDArray[np.generic]]:
        metric, sample, decisions = self.metric, self.sample, self.sample.rows.decisions
        outcomes = metric.outcomes(sample, self.class_name) if isinstance(metric, OverSameRows) else None
        if outcomes is not None:
            event, trial = outcomes
            trials = np.bincount(sample.keys[trial], minlength=sample.size)
            with np.errstate(divide="ignore", invalid="ignore"):
                rate = np.bincount(sample.keys[event & trial], minlength=sample.size) / trials
                share = (event - rate[sample.keys]) * trial / trials[sample.keys]
            return np.nan_to_num(share), trial, event
        if not isinstance(metric, Influential):
            raise TypeError(f"{metric.name} does not say how each row moves it, so two networks cannot be paired")
        share = np.nan_to_num(metric.influence(sample, self.class_name))
        answers = decisions.predicted if metric.needs == "counts" or decisions.scores is None else decisions.scores
        return share, np.ones(len(decisions), dtype=bool), answers


def _flip(metric: Metric, class_name: str | None, sample: Sample, support: Counts) -> Floats:
    """What one row that flips changes: one over the rows that count, of the rarest class in a mean over classes."""
    mean = (metric.per_class and class_name is None) or metric.name == "balanced_accuracy"
    return _inverse(support) / (len(sample.task.labels) if mean else 1)


def _scarce(found: Mapping[str | None, Measured], class_name: str | None, part: Breakdown) -> tuple[str | None, ...]:
    """The named class on every slice; of a mean over classes the one with the least support there."""
    classes = [name for name in found if name is not None]
    if class_name is not None or not classes:
        return (class_name,) * len(part.slices)
    least = np.argmin([found[name].support for name in classes], axis=0)
    return tuple(classes[k] for k in least)


def _inverse(support: Counts) -> Floats:
    return 1.0 / np.maximum(support, 1)
