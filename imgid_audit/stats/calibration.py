"""Calibration error in bins without the plug-in's upward bias, and limits of the true one.

A row's excess is its score less its outcome; a bin's total is the sum of its rows' excesses. The
plug-in error is the sum of the totals' absolute values over n, so that noise always counts as error.
Cross-fitting takes the sign of a total from other subjects than those that it is multiplied with:
then calibrated scores give 0 on average at any size, and no scores give more than the truth. Source:
the variational form of an L1 calibration error, cross-fitted (Berta, Braun, Holzmueller, Bach & Jordan
2026, arXiv 2602.24230), with the bins as the family of recalibrations. The mean over all splits into
`FOLDS` random parts is taken in closed form, with normal totals, so nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imgid_audit.stats.bands import Methods, containing, from_limits
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.intervals import Bounds, Floats, clopper_pearson, quantile
from imgid_audit.stats.methods import CALIBRATION, NO_SPREAD, method
from imgid_audit.stats.units import Index, Units, correction

FOLDS = 3
"""Parts of the cross-fitting: more take less off a true error, fewer leave less noise."""

FULL = 50.0
"""A bin's sign is that of its own total plus its neighbours', which weigh 1 / (1 + its units / FULL)."""

FOLDED = float(np.sqrt(2 / np.pi))
"""The mean of the absolute value of a standard normal variable."""


@dataclass(frozen=True, slots=True, eq=False)
class BinTotals:
    """Totals of excesses, arrays (slices, bins).

    - `total`: sums of rows; `deviation`: their standard deviations, by unit
    - `near`: units with rows in the bin or the two beside it; `weight`: what the latter count in the window
    - `window`: the total that a bin's sign is read from; `window_deviation` and `covariance` (with
      `total`) are those of calibrated scores
    """

    total: Floats
    deviation: Floats
    near: Floats
    weight: Floats
    window: Floats
    window_deviation: Floats
    covariance: Floats

    @staticmethod
    def of(excess: Floats, bins: Index, keys: Index, slices: int, width: int, units: Units | None) -> BinTotals:
        """`excess` and `bins` (below `width`) of rows (n,) in slices `keys`; `units` None: rows are independent."""
        cell = keys * width + bins

        def tally(weights: Floats | None) -> Floats:
            sums = np.bincount(cell, weights=weights, minlength=slices * width)
            return sums.reshape(slices, width).astype(np.float64)

        total, count = tally(excess), tally(None)
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = np.nan_to_num(total / count)
        if units is None:
            squares = tally(excess**2)
            weight = 1 / (1 + count / FULL)
            wide = squares + weight**2 * _beside(squares)
            parts = (_deviation(squares - total * mean, count), count + _beside(count), weight, wide, squares)
        else:
            parts = _by_unit(excess, bins, mean, units)
        deviation, near, weight, wide, covariance = parts
        window = total + weight * _beside(total)
        return BinTotals(total, deviation, near, weight, window, np.sqrt(wide), covariance)

    def replaced(self, index: int, total: Floats) -> BinTotals:
        """The bins of one slice with other totals, (draws, bins)."""
        window = total + self.weight[index] * _beside(total)
        rest = (self.window_deviation[index], self.covariance[index])
        return BinTotals(total, self.deviation[index], self.near[index], self.weight[index], window, *rest)

    def cross_fitted(self) -> Floats:
        """Sum over bins (slices,) of the cross-fitted absolute totals; may be negative.

        With total D and window W, and A the share (FOLDS - 1) / FOLDS of the units, E[sign(W_A) (D -
        D_A)] over the random splits, times FOLDS. A window of one unit has nobody else to tell it.
        """
        rho = np.sqrt(FOLDS - 1)
        known = (self.near > 1) & (self.window_deviation > 0)
        scale = np.where(known, self.window_deviation, 1.0)
        at = rho * self.window / scale
        density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
        found = self.total * special.erf(at / np.sqrt(2)) - 2 * rho * self.covariance / scale * density
        return np.asarray(np.where(known, found, 0.0).sum(axis=1))


def _beside(cells: Floats) -> Floats:
    """Sum of the two neighbours along the last axis."""
    out = np.zeros_like(cells)
    out[..., 1:] += cells[..., :-1]
    out[..., :-1] += cells[..., 1:]
    return out


def _by_unit(excess: Floats, bins: Index, mean: Floats, units: Units) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Deviation, units near, weight of neighbours, variance of the window and covariance with it, (slices, bins)."""
    width = mean.shape[1]
    place = units.of_row.astype(np.intp) * width + bins
    size = units.count * width
    sums = np.bincount(place, weights=excess, minlength=size).reshape(-1, width).astype(np.float64)
    rows = np.bincount(place, minlength=size).reshape(-1, width)
    held = segment_sum(rows > 0, units.offsets)
    weight = 1 / (1 + held / FULL)
    owner = np.repeat(np.arange(len(mean)), units.per_slice)
    out = np.zeros((4, *mean.shape))
    for b in range(width):  # a bin at a time, so that nothing more of (units, bins) is held
        window, near = sums[:, b].copy(), rows[:, b] > 0
        for other in (b - 1, b + 1):
            if 0 <= other < width:
                window += weight[owner, b] * sums[:, other]
                near = near | (rows[:, other] > 0)
        centred = sums[:, b] - mean[owner, b] * rows[:, b]
        parts = np.stack([centred**2, window**2, sums[:, b] * window, near], axis=-1)
        out[:, :, b] = segment_sum(parts, units.offsets).T
    return _deviation(out[0], held), out[3], weight, out[1], out[2]


def _deviation(spread: Floats, count: Floats) -> Floats:
    """Standard deviation of a sum of `count` units from their squared deviations; 0 for one unit."""
    return np.sqrt(np.nan_to_num(correction(count) * np.maximum(spread, 0.0)))


def folded_mean(k: Floats) -> Floats:
    """Mean of the absolute value of a normal variable with mean `k` and standard deviation 1."""
    return np.asarray(k * special.erf(k / np.sqrt(2)) + FOLDED * np.exp(-(k**2) / 2))


def unfolded(mean: Floats) -> Floats:
    """The `k` >= 0 whose `folded_mean` is `mean`; 0 where `mean` is below that of k = 0."""
    low, high = np.zeros_like(mean), np.maximum(mean, 0.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = folded_mean(middle) > mean
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(high)


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationBand:
    """Limits of the true error in bins, arrays (slices,); `shown` is the value that stands before them.

    The lower limit is the cross-fitted error less t standard errors. The upper one is the largest
    error whose plug-in value would be as low as the one seen: among all true errors of one size the
    plug-in's mean is smallest where each bin's error is in proportion to its noise, and is then
    `noise` times a folded normal's mean.

    - `cross_fitted` (may be negative), `plug_in`, and the standard `error` of the latter at known signs
    - `noise`: sum over bins of the standard deviations of their shares
    """

    shown: Floats
    cross_fitted: Floats
    plug_in: Floats
    error: Floats
    noise: Floats
    units: Floats
    unit: str

    @property
    def value(self) -> Floats:
        return self.shown

    def degrees(self) -> Floats:
        return np.maximum(self.units - 1, 1.0)

    def _flat(self) -> NDArray[np.bool_]:
        return ~(self.error > 1e-12)

    def limits(self, level: float) -> Bounds:
        half = quantile(level, self.degrees()) * self.error
        low = np.maximum(self.cross_fitted - half, 0.0)
        most = self.plug_in + half
        with np.errstate(divide="ignore", invalid="ignore"):
            high = np.where(self.noise > 0, self.noise * unfolded(most / self.noise), most)
        exact = clopper_pearson(self.shown * self.units, self.units, level)
        flat = self._flat()
        low, high = np.where(flat, exact[0], low), np.where(flat, exact[1], np.minimum(high, 1.0))
        return containing(self.shown, (low, high))

    def methods(self, _level: float, /) -> Methods:
        clustered = self.unit == "subjects"
        exact = method(NO_SPREAD, "clopper_pearson", clustered=clustered).name
        name = method(CALIBRATION, "cross_fitted", clustered=clustered).name
        return tuple(exact if flat else name for flat in self._flat())

    def standard_error(self) -> Floats:
        return from_limits(self)

    def scaled(self, factor: Floats) -> CalibrationBand:
        root = np.sqrt(factor)
        return replace(
            self,
            cross_fitted=self.shown + (self.cross_fitted - self.shown) / root,
            plug_in=self.shown + (self.plug_in - self.shown) / root,
            error=self.error / root,
            noise=self.noise / root,
            units=self.units * factor,
        )
