"""What every metric has, and the parts that metrics share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.result import Envelope, Undefined
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured

Better = Literal["higher", "lower"] | None
Needs = Literal["counts", "scores"]
Bools = NDArray[np.bool_]

ROUNDING = 1e-12
"""Two computations of one range may differ by so much."""


class Metric(Protocol):
    """A registered metric.

    - `better`: its own direction, None where neither is better
    - `per_class`: it speaks of one class (the positive one, or each one against the rest)
    - `macro`: multiclass tasks also have its unweighted mean over the classes, class None
    - `needs`: ``counts`` (labels and decisions) or ``scores``
    - `hypothesis`: metrics that are equal over slices exactly when others are share this name, so
      that complements are not counted twice when p-values are adjusted
    - `judged_as`: the metric whose values gaps and rules compare, most often itself
    - `source`: definition and where it comes from
    """

    @property
    def name(self) -> str: ...
    @property
    def summary(self) -> str: ...
    @property
    def better(self) -> Better: ...
    @property
    def per_class(self) -> bool: ...
    @property
    def macro(self) -> bool: ...
    @property
    def needs(self) -> Needs: ...
    @property
    def hypothesis(self) -> str: ...
    @property
    def judged_as(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def bounds(self) -> tuple[float, float]:
        """Smallest and largest value that it can take (for any number of classes)."""
        ...

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        """One `Measured` a class, and the macro mean (class None) last."""
        ...


@runtime_checkable
class Influential(Protocol):
    """A metric that says how each row moves it, so that two runs on the same rows can be paired."""

    def influence(self, sample: Sample, class_name: str | None, /) -> Floats:
        """Each row's first-order share, (n,), in the value of its own slice; any common scale will do.

        `class_name` as in `measure`; arbitrary, but finite, in slices where the metric is undefined.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Noise:
    """What max - min would be were all slices equal: `ranges` (draws,), at least one draw, and how they were made."""

    ranges: Floats
    method: str

    def envelope(self, level: float) -> Envelope:
        """Mean and `level` quantile of the draws."""
        return Envelope(float(self.ranges.mean()), float(np.quantile(self.ranges, level)), level, self.method)

    def p_value(self, observed: float) -> float:
        """Monte-Carlo p-value that all are equal, in (0, 1]: (k + 1) / (draws + 1), k draws as large as `observed`.

        Source: Davison & Hinkley 1997, section 4.2.
        """
        return float((1 + (self.ranges >= observed - ROUNDING).sum()) / (len(self.ranges) + 1))


@runtime_checkable
class Enveloped(Protocol):
    """A metric whose gap has noise of its own, which no standard error gives: its envelope and its p-value."""

    def noise(self, sample: Sample, used: Bools, draws: int, seed: int, /) -> Noise | None:
        """What max - min over the `used` slices (slices,) would be were they equal; None for fewer than two."""
        ...


@runtime_checkable
class Accompanied(Protocol):
    """A metric that is not read alone: a report shows the metrics `beside` it too."""

    @property
    def beside(self) -> tuple[str, ...]: ...


@runtime_checkable
class OverSameRows(Protocol):
    """A rate that may have a denominator that no prediction changes: then two runs differ by flips."""

    def outcomes(self, sample: Sample, class_name: str | None, /) -> tuple[Bools, Bools] | None:
        """Rows that are events and rows that are trials, each (n,); None where predictions choose the trials."""
        ...


def with_companions(metric: Metric) -> tuple[str, ...]:
    """The names of a metric and of those that stand beside it."""
    return (metric.name, *(metric.beside if isinstance(metric, Accompanied) else ()))


NO_SCORES = Undefined("not_applicable", "no scores")


def absent(reasons: Sequence[str | None]) -> tuple[Undefined | None, ...]:
    """`Undefined("empty", reason)` where there is a reason."""
    return tuple(None if reason is None else Undefined("empty", reason) for reason in reasons)


def where_zero(counts: NDArray[np.int64], what: str) -> tuple[Undefined | None, ...]:
    """Empty where `counts` (slices,) is 0; `what` names the rows that are not there."""
    return absent([None if count > 0 else f"no {what}" for count in counts])


def macro_reasons(support: NDArray[np.int64], labels: Sequence[str], what: str) -> tuple[Undefined | None, ...]:
    """Empty where a class has no support in the slice, naming the classes; `support` (slices, classes)."""
    reasons: list[str | None] = []
    for row in support:
        lacking = [label for label, count in zip(labels, row, strict=True) if count == 0]
        shown = ", ".join(repr(label) for label in lacking[:5]) + (" and others" if len(lacking) > 5 else "")
        reasons.append(f"{what} {shown}" if lacking else None)
    return absent(reasons)


def unscored(metric: Metric, sample: Sample) -> tuple[Measured, ...]:
    """What a score metric answers where there are no scores: not applicable, on every slice."""
    from imgid_audit.stats.bands import StudentBand

    nothing = np.full(sample.size, np.nan)
    zero = np.zeros(sample.size, dtype=np.int64)
    band = StudentBand(nothing, nothing, nothing, sample.unit_name, "")
    subjects = None if sample.units is None else zero
    return tuple(
        Measured(
            metric.name,
            name,
            sample.breakdown,
            band,
            (NO_SCORES,) * sample.size,
            sample.n,
            zero,
            subjects,
            sample.sampled,
        )
        for name in class_names(metric, sample)
    )


def class_names(metric: Metric, sample: Sample) -> tuple[str | None, ...]:
    """The classes that a metric speaks of in this task; None for the macro mean or no class."""
    task = sample.task
    if not metric.per_class:
        return (None,)
    names: tuple[str | None, ...] = tuple(task.labels[index] for index in task.scored_classes)
    return (*names, None) if metric.macro and task.kind == "multiclass" else names
