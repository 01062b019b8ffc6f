"""The noise of a gap of calibration errors: what equally calibrated groups would show."""

from __future__ import annotations

import numpy as np

from imgid_audit.metrics.base import Bools, Noise
from imgid_audit.metrics.rows import BINS
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.recalibration import recalibrated
from imgid_audit.stats.resampling import stream

SLOTS = BINS + 1
DRAWS = 1000
"""Draws where none are asked for: the noise has no closed form."""

MOST_ALIKE = 0.95
"""Largest correlation of outcomes within a bin that is simulated."""


def noise(sample: Sample, used: Bools, draws: int, seed: int) -> Noise | None:
    """Draws of max - min of the debiased error over the `used` slices (slices,).

    All groups get one calibration: the logistic recalibration of their pooled rows (the scores
    themselves where it has no fit). Outcomes of each group and bin are drawn from it, binomial, or
    beta-binomial with the group's design effect by subject. None for fewer than two slices with rows.
    """
    index = np.flatnonzero(used & (sample.n > 0))
    if len(index) < 2 or not sample.has_scores:
        return None
    draws = draws or DRAWS
    expected = _pooled(sample, np.asarray(np.isin(sample.keys, index)))
    count, scores, frequency, effect = _bins(sample, expected)
    lowest, highest = np.full(draws, np.inf), np.full(draws, -np.inf)
    for i in index.tolist():
        generator = stream(seed, sample.breakdown.slices[i], "calibration envelope")
        outcomes = _outcomes(generator, count[i], frequency[i], float(effect[i]), draws)
        value = np.maximum(sample.excess.replaced(i, scores[i] - outcomes).cross_fitted(), 0.0) / sample.n[i]
        lowest, highest = np.minimum(lowest, value), np.maximum(highest, value)
    return Noise(highest - lowest, f"equally calibrated groups, {draws:,} draws of outcomes")


def _pooled(sample: Sample, rows: Bools) -> Floats:
    """The frequency (n,) that one recalibration of the masked rows gives every row."""
    if rows.all():
        return sample.rows.recalibrated
    return recalibrated(sample.rows.confidence, sample.rows.line, sample.rows.outcome, rows)


def _bins(sample: Sample, expected: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Rows, sum of scores and mean expected frequency (slices, bins), and design effects (slices,)."""
    cell = sample.keys * SLOTS + sample.rows.bins
    shape = (sample.size, SLOTS)

    def tally(weights: Floats | None) -> Floats:
        sums = np.bincount(cell, weights=weights, minlength=sample.size * SLOTS)
        return sums.reshape(shape).astype(np.float64)

    count, scores, total = tally(None), tally(sample.rows.confidence), tally(expected)
    frequency = np.clip(total / np.maximum(count, 1), 0.0, 1.0)
    if sample.units is None:
        return count, scores, frequency, np.ones(sample.size)
    variance = tally(expected * (1 - expected)).sum(axis=1)
    clustered = (sample.bin_totals(expected - sample.rows.outcome).deviation ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = np.nan_to_num(clustered / variance, nan=1.0, posinf=1.0)
    return count, scores, frequency, np.maximum(effect, 1.0)


def _outcomes(generator: np.random.Generator, count: Floats, frequency: Floats, effect: float, draws: int) -> Floats:
    """Positive outcomes of each bin, (draws, bins)."""
    size = (draws, len(count))
    alike = np.minimum((effect - 1) / np.maximum(count - 1, 1), MOST_ALIKE)
    chance = np.broadcast_to(frequency, size)
    varied = (alike > 0) & (frequency > 0) & (frequency < 1)
    if varied.any():
        chance = chance.copy()
        concentration = 1 / alike[varied] - 1
        part = frequency[varied]
        chance[:, varied] = generator.beta(part * concentration, (1 - part) * concentration, (draws, len(part)))
    return generator.binomial(count.astype(np.int64), chance).astype(np.float64)
