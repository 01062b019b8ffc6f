"""Unweighted means of a rate over the classes (macro means)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.metrics.base import macro_reasons
from imgid_audit.metrics.sample import Addends, Sample
from imgid_audit.stats.bands import Band, BootstrapBand, Choice, MeanBand, RateBand, StudentBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured

if TYPE_CHECKING:
    from imgid_audit.metrics.rates import RateMetric


def confusion_cells(classes: int) -> sparse.csr_array:
    """What a row of each profile label * classes + predicted adds: TP, FP, FN of each class, and n.

    Shape (classes^2, 3 classes + 1).
    """
    label, predicted = np.divmod(np.arange(classes**2), classes)
    hit = label == predicted
    right, wrong = np.flatnonzero(hit), np.flatnonzero(~hit)
    rows = np.concatenate((right, wrong, wrong, np.arange(classes**2)))
    columns = np.concatenate(
        (label[right], classes + predicted[wrong], 2 * classes + label[wrong], np.full(classes**2, 3 * classes))
    )
    return sparse.csr_array((np.ones(len(rows)), (rows, columns)), shape=(classes**2, 3 * classes + 1))


def outcomes(cells: Floats, classes: int) -> Floats:
    """One-vs-rest cells (draws, classes, 4) of additive cells (draws, 3 classes + 1)."""
    out = np.empty((len(cells), classes, 4))
    out[..., TP], out[..., FP] = cells[:, :classes], cells[:, classes : 2 * classes]
    out[..., FN] = cells[:, 2 * classes : 3 * classes]
    out[..., TN] = cells[:, -1:] - out[..., TP] - out[..., FP] - out[..., FN]
    return out


def mean_of_rates(metric: RateMetric, counts: Floats) -> Floats:
    """The macro mean (...,) of cells (..., classes, 4); NaN where a class has no support."""
    with np.errstate(divide="ignore", invalid="ignore"):
        rates = counts[..., list(metric.events)].sum(axis=-1) / counts[..., list(metric.trials)].sum(axis=-1)
        if metric.transform is not None:
            rates = metric.transform(rates)
        return np.asarray(rates.mean(axis=-1))


def macro_mean(name: str, metric: RateMetric, sample: Sample) -> Measured:
    """The mean of `metric` over all classes, with a bootstrap over subjects or row profiles.

    Without draws the interval is the linearised (delta method) one. Where replicates do not
    differ, or too few are defined, it is MOVER of the classes' closed-form limits.
    """
    parts, subjects = metric.band(sample)
    closed = MeanBand(parts)
    band: Band
    if sample.intervals.draws > 0:
        replicates = _replicates(metric, sample)
        freedom = None if sample.units is None else np.maximum(sample.sampled - 1.0, 1.0)
        resampled = BootstrapBand(closed.value, replicates, sample.unit_name, freedom=freedom)
        band = Choice(resampled.usable(), resampled, closed)
    else:
        band = _linearised(metric, sample, closed, parts)
    support = parts.trials.astype(np.int64)
    what = "no " + metric.trials_of.format("").replace(" ''", "") + ":"
    reasons = macro_reasons(support, sample.task.labels, what)
    held = None if subjects is None else np.asarray(subjects.min(axis=1))
    return Measured(
        name, None, sample.breakdown, band, reasons, sample.n, np.asarray(support.min(axis=1)), held, sample.sampled
    )


def _replicates(metric: RateMetric, sample: Sample) -> Floats:
    decisions, classes = sample.rows.decisions, len(sample.task.labels)
    profile = decisions.label.astype(np.int64) * classes + decisions.predicted
    cells = (Addends(confusion_cells(classes)),)
    return sample.resample("confusion", profile, cells, lambda drawn: mean_of_rates(metric, outcomes(drawn, classes)))


def _linearised(metric: RateMetric, sample: Sample, closed: MeanBand, parts: RateBand) -> Band:
    """Standard error from each row's derivative, summed by subject: sum_k t'(p_k) (y_k - p_k m_k) / M_k."""
    decisions, classes = sample.rows.decisions, len(sample.task.labels)
    codes = sample.breakdown.codes
    with np.errstate(divide="ignore", invalid="ignore"):
        p = parts.successes / parts.trials
        slope = np.ones_like(p) if metric.slope is None else metric.slope(p)
        per_event, per_trial = slope / parts.trials / classes, -slope * p / parts.trials / classes
    influence = _row_influence(metric, decisions.label, decisions.predicted, codes, per_event, per_trial)
    k = sample.sampled.astype(np.float64)
    error = np.sqrt(sample.variance_of_sum(influence))
    name = "linearised, logit scale" if sample.units is None else "linearised by subject, logit scale"
    student = StudentBand(closed.value, error, k, sample.unit_name, name, logit=True)
    inside = (error > 1e-12) & (closed.value > 0) & (closed.value < 1)
    return Choice(inside, student, closed)


def _row_influence(
    metric: RateMetric,
    label: NDArray[np.int32],
    predicted: NDArray[np.int32],
    codes: NDArray[np.int32],
    per_event: Floats,
    per_trial: Floats,
) -> Floats:
    """Each row's derivative, (n,), from the outcome that it is for its label, its call and all others.

    A row is a true negative of every class but its label and its call, so it differs from the sum
    over true negatives in those two alone.
    """
    value = {outcome: np.zeros_like(per_event) for outcome in (TP, FP, FN, TN)}
    for outcome in metric.events:
        value[outcome] = value[outcome] + per_event
    for outcome in metric.trials:
        value[outcome] = value[outcome] + per_trial
    negative = value[TN].sum(axis=1)
    hit = label == predicted
    as_hit, as_missed, as_called = (value[outcome] - value[TN] for outcome in (TP, FN, FP))
    classes = per_event.shape[1]
    if per_event.size * classes <= len(label):
        # few profiles: look the sum up instead of adding row by row
        table = negative[:, None, None] + as_missed[:, :, None] + as_called[:, None, :]
        diagonal = np.arange(classes)
        table[:, diagonal, diagonal] = negative[:, None] + as_hit
        return np.asarray(table.ravel()[(codes.astype(np.int64) * classes + label) * classes + predicted])
    missed = as_missed[codes, label] + as_called[codes, predicted]
    return np.asarray(negative[codes] + np.where(hit, as_hit[codes, label], missed))
