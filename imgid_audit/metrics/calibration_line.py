"""Calibration slope and intercept: whether scores are too extreme, and whether they are too high or too low."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgid_audit.core.result import Undefined
from imgid_audit.metrics.base import Better, Needs, unscored
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.recalibration import Line, LineBand, fit_line


@dataclass(frozen=True, slots=True)
class CalibrationLine:
    """The slope, or the intercept, of the outcome on the logit of the score.

    Of the positive class's score in binary tasks, of the top label's (and whether it is right) in
    multiclass ones. Errors are sandwich estimates, by subject where there are subjects.
    """

    name: str
    summary: str
    source: str
    slope: bool
    better: Better = None
    per_class: bool = False
    macro: bool = False
    needs: Needs = "scores"
    bounds: tuple[float, float] = (-np.inf, np.inf)

    @property
    def hypothesis(self) -> str:
        return self.name

    @property
    def judged_as(self) -> str:
        return self.name

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        if not sample.has_scores:
            return unscored(self, sample)
        line = self._fit(sample)
        value = line.slope if self.slope else line.intercept
        error = np.sqrt(sample.variance_of_sum(self._share(line)))
        band = LineBand(value, error, sample.sampled.astype(np.float64), sample.unit_name)
        reasons = tuple(_reason(sample, line, error, i) for i in range(sample.size))
        subjects = None if sample.units is None else sample.sampled
        return (
            Measured(self.name, None, sample.breakdown, band, reasons, sample.n, sample.n, subjects, sample.sampled),
        )

    def influence(self, sample: Sample, _class_name: str | None, /) -> Floats:
        """Each row's first-order share in the value of its slice, (n,)."""
        return self._share(self._fit(sample))

    def _fit(self, sample: Sample) -> Line:
        rows = sample.rows
        return fit_line(rows.line, rows.outcome, sample.keys, sample.size, slope=self.slope)

    def _share(self, line: Line) -> Floats:
        return line.influence_of_slope if self.slope else line.influence_of_intercept


def _reason(sample: Sample, line: Line, error: Floats, i: int) -> Undefined | None:
    if sample.n[i] == 0:
        return Undefined("empty", "no rows")
    if line.reason[i] is not None:
        return Undefined("not_applicable", str(line.reason[i]))
    if not error[i] > 1e-12:
        return Undefined("not_applicable", f"too few {sample.unit_name} for a standard error")
    return None


CALIBRATION_SLOPE = CalibrationLine(
    "calibration_slope",
    "slope of the outcome on the logit of the score: 1 where calibrated, below 1 where scores are too extreme",
    "logistic recalibration, Cox 1958; scores clipped to float32's epsilon; top label's score in multiclass tasks",
    slope=True,
)
CALIBRATION_INTERCEPT = CalibrationLine(
    "calibration_intercept",
    "calibration in the large, on the logit scale: 0 where calibrated, below 0 where scores are too high",
    "logistic recalibration with the slope held at 1, Van Calster et al. 2019; scores clipped to float32's epsilon",
    slope=False,
)
