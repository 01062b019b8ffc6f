"""Temperature scaling: one number that makes scores softer or sharper and changes no top label.

Source: Guo, Pleiss, Sun & Weinberger (2017), On calibration of modern neural networks, ICML. With a bias for
each class it also brings scores that speak of other class frequencies back to those of the validation rows:
Alexandari, Kundaje & Shrikumar (2020), Maximum likelihood with bias-corrected calibration is hard-to-beat at
label shift adaptation, ICML.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize, special

from imgid_audit.core.factor import Codes
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions, Scores
from imgid_audit.core.result import Estimate
from imgid_audit.evaluation.breakdowns import breakdowns
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.recalibration import CLIP

Vector = np.ndarray[tuple[int], np.dtype[np.float64]]

WIDEST = 20.0
"""Temperatures are sought between 1 / WIDEST and WIDEST."""

FLAT = 1e-9
"""A mean log loss (nats) that falls by less than this does not fall."""

SHOWN = ("ece", "ece_debiased", "brier", "log_loss", "calibration_slope", "calibration_intercept")
"""What is shown before and after."""


def fit_temperature(label: Codes, scores: Scores) -> float:
    """The temperature that makes the mean log loss of the validation rows smallest.

    - `label` (n,): class codes; `scores` (n, classes): rows sum to 1; n >= 1, raises ValueError for none

    Scores below float32's epsilon count as that. The loss is convex in 1 / T, so it has one smallest
    value; where it falls towards an end of the range (every top label right, say), the end. Where no
    temperature lowers it by `FLAT` (all scores equal, say) there is nothing to fit: 1.
    """
    if not len(label):
        raise ValueError("a temperature needs rows to be fitted on")
    logs = _logs(scores)
    rows = np.arange(len(label))

    def loss(of_log: float) -> float:
        cooled = logs / np.exp(of_log)
        return float((special.logsumexp(cooled, axis=1) - cooled[rows, label]).mean())

    end = float(np.log(WIDEST))
    found = float(optimize.minimize_scalar(loss, bounds=(-end, end), method="bounded", options={"xatol": 1e-9}).x)
    best = min((found, -end, end), key=loss)
    return float(np.exp(best)) if loss(0.0) - loss(best) >= FLAT else 1.0


def at_end(temperature: float) -> bool:
    """Whether a fitted temperature stands at an end of the range: there is no smallest loss inside."""
    return not 1 / WIDEST * 1.001 < temperature < WIDEST / 1.001


def with_temperature(scores: Scores, temperature: float) -> Scores:
    """Softmax of log scores / T, (n, classes); rows with NaN stay as they are.

    The top label of a row stays the top label, also where the others come within rounding of it.
    """
    out = scores.copy()
    known = np.isfinite(scores).all(axis=1)
    given = scores[known]
    if not len(given):
        return out
    scaled = np.asarray(special.softmax(_logs(given) / temperature, axis=1))
    top = given.argmax(axis=1)
    tied = np.flatnonzero(scaled.argmax(axis=1) != top)
    scaled[tied, top[tied]] = np.nextafter(scaled[tied].max(axis=1), 2.0)
    out[known] = scaled
    return out


def fit_prior(label: Codes, scores: Scores) -> tuple[float, Floats]:
    """Temperature and bias of each class (classes,) that make the mean log loss of the validation rows smallest.

    - `label` (n,): class codes; `scores` (n, classes): rows sum to 1; n >= 1, raises ValueError for none

    The scores softmax(log s / T + b) then have, in the mean over these rows, the classes' own frequencies.
    The loss is convex in (1 / T, b). Biases sum to 0; that of a class without a validation row stays 0, for
    nothing is known of it. Temperatures are sought in the range of `fit_temperature`; where nothing lowers
    the loss by `FLAT` there is nothing to fit: (1, zeros).
    """
    if not len(label):
        raise ValueError("a recalibration needs rows to be fitted on")
    bias = np.zeros(scores.shape[1])
    present, codes = np.unique(label, return_inverse=True)
    logs, rows = _logs(scores)[:, present], np.arange(len(label))
    logs = logs - logs.max(axis=1, keepdims=True)
    counts = np.bincount(codes) / len(label)

    def loss(at: Vector) -> tuple[float, Vector]:
        z = logs * at[0] + at[1:]
        excess = special.softmax(z, axis=1)
        value = float((special.logsumexp(z, axis=1) - z[rows, codes]).mean())
        slope = float((excess * logs).sum(axis=1).mean() - logs[rows, codes].mean())
        return value, np.append(slope, excess.mean(axis=0) - counts)

    start = np.append(1.0, np.zeros(len(present)))
    bounds = [(1 / WIDEST, WIDEST), *[(None, None)] * len(present)]
    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2000, "ftol": 1e-15, "gtol": 1e-9}
    )
    if loss(start)[0] - found.fun < FLAT:
        return 1.0, bias
    bias[present] = found.x[1:] - found.x[1:].mean()
    return float(1 / found.x[0]), bias


def with_prior(scores: Scores, fitted: tuple[float, Floats]) -> Scores:
    """Softmax of log scores / T + bias, (n, classes), as `fit_prior` found them; rows with NaN stay as they are."""
    temperature, bias = fitted
    out = scores.copy()
    known = np.isfinite(scores).all(axis=1)
    out[known] = special.softmax(_logs(scores[known]) / temperature + bias, axis=1)
    return out


def _logs(scores: Scores) -> Scores:
    return np.asarray(np.log(np.maximum(scores, CLIP)))


def calibration_estimates(decisions: Decisions, intervals: IntervalSpec) -> tuple[Estimate, ...]:
    """The metrics that are shown before and after, over all rows and each attribute's levels."""
    rows = Rows(decisions)
    return tuple(
        estimate
        for part in breakdowns(decisions)
        for sample in [Sample(rows, part, intervals)]
        for name in SHOWN
        for measured in METRICS[name].measure(sample)
        for estimate in measured.estimates(intervals.level)
    )
