"""Calibration: whether scores can be read as frequencies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from imgid_audit.core.result import ReliabilityCurve
from imgid_audit.metrics.base import Better, Needs, unscored, where_zero
from imgid_audit.metrics.rows import BINS, bin_edges
from imgid_audit.metrics.sample import Addends, Sample
from imgid_audit.stats.bands import Band, Choice, StudentBand
from imgid_audit.stats.bootstrap import BootstrapBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured

SLOTS = BINS + 1
"""Bins, and one for scores of exactly 1, which torchmetrics counts apart."""


def _from_cells(cells: Floats) -> Floats:
    """The calibration error (draws,) of cells (draws, SLOTS + 1): sum of score - outcome per bin, and n."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.abs(cells[:, :SLOTS]).sum(axis=1) / cells[:, SLOTS])


@dataclass(frozen=True, slots=True)
class CalibrationError:
    """Expected calibration error in 15 equal-width, left-closed bins, L1 norm, not debiased.

    Of the positive class's score in binary tasks, of the top label's in multiclass ones. The
    plug-in value is biased upward, above all in small groups, so the bootstrap interval is the
    basic (pivotal) one.
    """

    name: str = "ece"
    summary: str = "expected calibration error, 15 equal-width bins (plug-in, biased upward in small groups)"
    better: Better = "lower"
    per_class: bool = False
    macro: bool = False
    needs: Needs = "scores"
    source: str = "Naeini et al. 2015, Guo et al. 2017; as torchmetrics' BinaryCalibrationError, n_bins 15, l1"
    hypothesis: str = "ece"
    bounds: tuple[float, float] = (0.0, 1.0)

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        if not sample.has_scores:
            return unscored(self, sample)
        rows = sample.rows
        excess = rows.confidence - rows.outcome
        cells = sample.calibration
        total = cells[..., 1] - cells[..., 2]
        with np.errstate(divide="ignore", invalid="ignore"):
            value = np.abs(total).sum(axis=1) / sample.n
        units = sample.sampled.astype(np.float64)
        clustered = sample.units is not None
        method = "linearised by subject" if clustered else "linearised"
        band: Band = StudentBand(value, self._error(sample, excess, total, value), units, sample.unit_name, method)
        if sample.intervals.draws > 0:
            replicates = self._replicates(sample, excess)
            freedom = np.maximum(units - 1, 1.0) if clustered else None
            resampled = BootstrapBand(value, replicates, sample.unit_name, "basic", freedom=freedom)
            band = Choice(resampled.usable(), resampled, band)
        reasons = where_zero(sample.n, "rows")
        subjects = sample.sampled if clustered else None
        return (
            Measured(self.name, None, sample.breakdown, band, reasons, sample.n, sample.n, subjects, sample.sampled),
        )

    def _error(self, sample: Sample, excess: Floats, total: Floats, value: Floats) -> Floats:
        """Linearised standard error: a row's derivative is its excess with its bin's sign, less the value, over n."""
        n = sample.n.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            if sample.units is not None:
                signed = np.sign(total).ravel()[sample.keys * SLOTS + sample.rows.bins] * excess
                return np.sqrt(sample.variance_of_sum((signed - value[sample.keys]) / n[sample.keys]))
            # signs square to 1 and the signed excesses add up to n times the value
            second = np.bincount(sample.keys, weights=excess**2, minlength=sample.size) / n
            return np.sqrt(np.where(n > 1, np.maximum(second - value**2, 0.0) / (n - 1), np.nan))

    def _replicates(self, sample: Sample, excess: Floats) -> Floats:
        """Units are bin by outcome; a row adds its excess to its bin and 1 to n."""
        profile = sample.rows.bins * 2 + sample.rows.outcome
        kinds = np.arange(2 * SLOTS)
        shape = (2 * SLOTS, SLOTS + 1)
        to_bin = sparse.csr_array((np.ones(2 * SLOTS), (kinds, kinds // 2)), shape=shape)
        to_n = sparse.csr_array((np.ones(2 * SLOTS), (kinds, np.full(2 * SLOTS, SLOTS))), shape=shape)
        return sample.resample("calibration", profile, (Addends(to_bin, excess), Addends(to_n)), _from_cells)


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


ECE = CalibrationError()
