"""Calibration in bins: whether scores can be read as frequencies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from imgid_audit.core.result import ReliabilityCurve
from imgid_audit.metrics.base import Better, Bools, Needs, Noise, unscored, where_zero
from imgid_audit.metrics.calibration_envelope import noise
from imgid_audit.metrics.rows import BINS, bin_edges
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.calibration import CalibrationBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Expected calibration error in 15 equal-width, left-closed bins, L1 norm.

    Of the positive class's score in binary tasks, of the top label's in multiclass ones. The
    ``plug_in`` value counts noise as error and is biased upward in small groups; the
    ``cross_fitted`` one is not, and is shown as 0 where it is negative. Both estimate the same
    number and have the same interval.
    """

    name: str
    summary: str
    source: str
    kind: Literal["plug_in", "cross_fitted"]
    better: Better = "lower"
    per_class: bool = False
    macro: bool = False
    needs: Needs = "scores"
    hypothesis: str = "ece"
    judged_as: str = "ece_debiased"
    bounds: tuple[float, float] = (0.0, 1.0)
    beside: tuple[str, ...] = ()

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        if not sample.has_scores:
            return unscored(self, sample)
        band = calibration_band(sample, self.kind)
        reasons = where_zero(sample.n, "rows")
        subjects = None if sample.units is None else sample.sampled
        return (
            Measured(self.name, None, sample.breakdown, band, reasons, sample.n, sample.n, subjects, sample.sampled),
        )

    def influence(self, sample: Sample, _class_name: str | None, /) -> Floats:
        """Each row's first-order share in the plug-in error of its slice, (n,)."""
        return _shares(sample)

    def noise(self, sample: Sample, used: Bools, draws: int, seed: int, /) -> Noise | None:
        """What equally calibrated groups of these sizes and scores would show."""
        return noise(sample, used, draws, seed)


def calibration_band(sample: Sample, kind: Literal["plug_in", "cross_fitted"]) -> CalibrationBand:
    """The error in bins on every slice with its limits; NaN for a slice without rows."""
    totals, n = sample.excess, sample.n.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        plug_in = np.abs(totals.total).sum(axis=1) / n
        cross_fitted, noise = totals.cross_fitted() / n, totals.deviation.sum(axis=1) / n
    error = np.sqrt(sample.variance_of_sum(_shares(sample)))
    shown = plug_in if kind == "plug_in" else np.where(n > 0, np.maximum(cross_fitted, 0.0), np.nan)
    units = sample.sampled.astype(np.float64)
    return CalibrationBand(shown, cross_fitted, plug_in, error, noise, units, sample.unit_name)


def _shares(sample: Sample) -> Floats:
    """Each row's share in the plug-in error of its slice, (n,), at the signs that the bins have."""
    n, keys, total = sample.n.astype(np.float64), sample.keys, sample.excess.total
    signed = np.sign(total).ravel()[keys * total.shape[1] + sample.rows.bins] * sample.rows.excess
    with np.errstate(divide="ignore", invalid="ignore"):
        plug_in = np.abs(total).sum(axis=1) / n
    return np.asarray((signed - plug_in[keys]) / n[keys])


def reliability(sample: Sample) -> tuple[ReliabilityCurve, ...]:
    """One curve a slice; scores of exactly 1 are drawn in the last bin. None without scores."""
    if not sample.has_scores:
        return ()
    cells = sample.calibration[:, :BINS].copy()
    cells[:, -1] += sample.calibration[:, BINS]
    count = cells[..., 0].astype(np.int64)
    with np.errstate(divide="ignore", invalid="ignore"):
        score, frequency = cells[..., 1] / cells[..., 0], cells[..., 2] / cells[..., 0]
    edges = bin_edges()
    return tuple(
        ReliabilityCurve(where, edges, count[i], score[i], frequency[i])
        for i, where in enumerate(sample.breakdown.slices)
    )


ECE = CalibrationError(
    "ece",
    "expected calibration error, 15 equal-width bins (plug-in, biased upward in small groups)",
    "Naeini et al. 2015, Guo et al. 2017; as torchmetrics' BinaryCalibrationError, n_bins 15, l1",
    "plug_in",
    beside=("ece_debiased", "calibration_slope", "calibration_intercept", "brier", "log_loss"),
)
