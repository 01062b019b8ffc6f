"""Unweighted means of a rate over the classes (macro means)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.metrics.base import macro_reasons
from imgid_audit.metrics.macro_bootstrap import resampled
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.bands import Band, Choice, MeanBand, RateBand, StudentBand, Wider
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.methods import MEAN, method
from imgid_audit.stats.units import correction


class Rate(Protocol):
    """What a macro mean needs of a rate: see `rates.RateMetric`."""

    @property
    def events(self) -> tuple[int, ...]: ...
    @property
    def trials(self) -> tuple[int, ...]: ...
    @property
    def trials_of(self) -> str: ...
    @property
    def transform(self) -> Callable[[Floats], Floats] | None: ...
    @property
    def slope(self) -> Callable[[Floats], Floats] | None: ...
    def mean_of(self, events: Floats, trials: Floats) -> Floats: ...
    def band(self, sample: Sample) -> tuple[RateBand, NDArray[np.int64] | None]: ...


def macro_mean(name: str, metric: Rate, sample: Sample) -> Measured:
    """The mean of `metric` over all classes.

    Undefined where a class has no rows in the slice (its precision or F1 would be 0 or 1 by
    whatever was called it), or no rows that count.

    The interval is the wider of the linearised (delta method, by subject) one, which knows how the
    classes of a subject go together, and MOVER of the classes' closed-form limits, whose design
    effects are shrunk, for few subjects. A bootstrap over subjects covered as little as 78 % there; it is
    used on request.
    """
    parts, subjects = metric.band(sample)
    closed = MeanBand(parts)
    band: Band = Wider(_linearised(metric, sample, closed, parts), closed)
    if sample.intervals.forms.mean == "bootstrap":
        band = resampled(metric, sample, band)
    support = parts.trials.astype(np.int64)
    what = "no " + metric.trials_of.format("").replace(" ''", "") + ":"
    labelled = np.asarray(sample.counts[..., (TP, FN)].sum(axis=-1))
    absent = macro_reasons(labelled, sample.task.labels, "no rows of class:")
    empty = macro_reasons(support, sample.task.labels, what)
    reasons = tuple(one or two for one, two in zip(absent, empty, strict=True))
    held = None if subjects is None else np.asarray(subjects.min(axis=1))
    return Measured(
        name, None, sample.breakdown, band, reasons, sample.n, np.asarray(support.min(axis=1)), held, sample.sampled
    )


def macro_influence(metric: Rate, sample: Sample) -> Floats:
    """Each row's first-order share, (n,), in the mean of its slice; 0 where a class has no rows that count."""
    parts, _ = metric.band(sample)
    decisions = sample.rows.decisions
    per_event, per_trial = _derivatives(metric, parts)
    found = _row_influence(metric, decisions.label, decisions.predicted, sample.keys, per_event, per_trial)
    return np.nan_to_num(found)


def _derivatives(metric: Rate, parts: RateBand) -> tuple[Floats, Floats]:
    """The mean's derivative by an event and by a trial of each class, (slices, classes)."""
    classes = parts.trials.shape[-1]
    with np.errstate(divide="ignore", invalid="ignore"):
        p = parts.successes / parts.trials
        slope = np.ones_like(p) if metric.slope is None else metric.slope(p)
        return slope / parts.trials / classes, -slope * p / parts.trials / classes


def _linearised(metric: Rate, sample: Sample, closed: MeanBand, parts: RateBand) -> Band:
    """Standard error from each row's derivative, summed by subject: sum_k t'(p_k) (y_k - p_k m_k) / M_k."""
    classes = len(sample.task.labels)
    per_event, per_trial = _derivatives(metric, parts)
    k = sample.sampled.astype(np.float64)
    table = _influence_table(metric, per_event, per_trial) if sample.profiles is not None else None
    if sample.profiles is not None and table is not None and sample.units is None:
        variance = correction(k) * (sample.profiles * table**2).sum(axis=(1, 2))
    else:
        decisions = sample.rows.decisions
        if table is not None:
            influence = table.ravel()[sample.keys * classes**2 + sample.rows.profile]
        else:
            influence = _row_influence(metric, decisions.label, decisions.predicted, sample.keys, per_event, per_trial)
        variance = sample.variance_of_sum(np.nan_to_num(influence))
    error = np.sqrt(variance)
    name = method(MEAN, "linearised", clustered=sample.units is not None).name
    student = StudentBand(closed.value, error, k, sample.unit_name, name, logit=True)
    inside = (error > 1e-12) & (closed.value > 0) & (closed.value < 1)
    return Choice(inside, student, closed)


def _by_outcome(metric: Rate, per_event: Floats, per_trial: Floats) -> list[Floats]:
    """The derivative of being each outcome of each class, (slices, classes), in the order of the outcomes."""
    nothing = np.zeros_like(per_event)
    return [
        (per_event if outcome in metric.events else nothing) + (per_trial if outcome in metric.trials else nothing)
        for outcome in (TP, FP, FN, TN)
    ]


def _influence_table(metric: Rate, per_event: Floats, per_trial: Floats) -> Floats:
    """The derivative of a row of each label and prediction, (slices, classes, classes).

    A row is a true negative of every class but its label and its call, so it differs from the sum
    over true negatives in those two alone.
    """
    hit, called, missed, negative = _by_outcome(metric, per_event, per_trial)
    base = negative.sum(axis=1)[:, None, None]
    table = base + (missed - negative)[:, :, None] + (called - negative)[:, None, :]
    diagonal = np.arange(per_event.shape[1])
    table[:, diagonal, diagonal] = base[:, 0] + hit - negative
    return np.asarray(table)


def _row_influence(
    metric: Rate,
    label: NDArray[np.int32],
    predicted: NDArray[np.int32],
    keys: NDArray[np.intp],
    per_event: Floats,
    per_trial: Floats,
) -> Floats:
    """`_influence_table` of each row, (n,), where the table would be larger than the rows."""
    hit, called, missed, negative = _by_outcome(metric, per_event, per_trial)
    base = negative.sum(axis=1)
    wrong = (missed - negative)[keys, label] + (called - negative)[keys, predicted]
    return np.asarray(base[keys] + np.where(label == predicted, (hit - negative)[keys, label], wrong))
