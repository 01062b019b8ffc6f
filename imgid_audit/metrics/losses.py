"""Proper scores: means of a loss of each row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from imgid_audit.metrics.base import Better, Needs, unscored, where_zero
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.bands import StudentBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.methods import LOSS, method

MOST_LOSS = float(-np.log(np.finfo(np.float64).eps))
"""The log loss of a row whose true class has score 0, after clipping: about 36."""


@dataclass(frozen=True, slots=True)
class LossMetric:
    """The mean of `loss` (each row's, and its square), with a t interval, cluster-robust where there are subjects."""

    name: str
    summary: str
    source: str
    loss: Callable[[Rows], tuple[Floats, Floats]]
    high: float
    binary_high: float
    better: Better = "lower"
    per_class: bool = False
    macro: bool = False
    needs: Needs = "scores"

    @property
    def judged_as(self) -> str:
        return self.name

    @property
    def hypothesis(self) -> str:
        return self.name

    @property
    def bounds(self) -> tuple[float, float]:
        return (0.0, self.high)

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        if not sample.has_scores:
            return unscored(self, sample)
        value, error = sample.mean(*self.loss(sample.rows))
        units = sample.sampled.astype(np.float64)
        name = method(LOSS, "student", clustered=sample.units is not None).name
        band = StudentBand(value, error, units, sample.unit_name, name, bounds=self._range(sample))
        subjects = None if sample.units is None else sample.sampled
        reasons = where_zero(sample.n, "rows")
        return (
            Measured(self.name, None, sample.breakdown, band, reasons, sample.n, sample.n, subjects, sample.sampled),
        )

    def influence(self, sample: Sample, _class_name: str | None, /) -> Floats:
        """Each row's share in the mean of its slice, (n,): its loss less the mean, over the rows."""
        loss, squares = self.loss(sample.rows)
        mean, _ = sample.mean(loss, squares)
        return np.asarray((loss - mean[sample.keys]) / sample.n[sample.keys])

    def _range(self, sample: Sample) -> tuple[float, float]:
        """The bounds in this task."""
        return (0.0, self.binary_high) if sample.task.kind == "binary" else self.bounds


def _brier(rows: Rows) -> tuple[Floats, Floats]:
    return rows.brier, rows.brier_squares


def _log_loss(rows: Rows) -> tuple[Floats, Floats]:
    return rows.log_loss, rows.log_loss_squares


BRIER = LossMetric(
    "brier",
    "mean squared error of the scores",
    "Brier 1950: (p - y)^2 of the positive class, or summed over all classes (not halved), mean over rows",
    _brier,
    high=2.0,
    binary_high=1.0,
)
LOG_LOSS = LossMetric(
    "log_loss",
    "mean of minus the log of the true class's score",
    "cross-entropy in nats, scores clipped to [eps, 1 - eps] with float64's eps",
    _log_loss,
    high=MOST_LOSS,
    binary_high=MOST_LOSS,
)
