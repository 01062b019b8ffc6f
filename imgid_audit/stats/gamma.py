"""Limits of a mean of skewed, non-negative contributions: the gamma interval.

A mean loss, or the area that a good ranking misses, is carried by few bad rows. Normal limits then miss
the truth almost only on one side, and a study that met none of the bad rows knows too little of its own
variance. Fay & Feuer (1997) Stat. Med. 16:791 match a gamma distribution to the mean and its variance, and
for the upper limit add one more unit with the largest contribution that a unit can have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from imgid_audit.stats.bands import Methods, containing, from_limits
from imgid_audit.stats.intervals import Bounds, Floats, quantile


@dataclass(frozen=True, slots=True, eq=False)
class GammaBand:
    """A mean (slices,), or 1 less it (`complement`), with its standard `error`.

    - `worst`: what one more unit of the worst kind would add to the mean
    - `units`: sampling units; Student's quantile with one less widens the error
    """

    value: Floats
    error: Floats
    worst: Floats
    units: Floats
    name: str
    high: float = 1.0
    complement: bool = False

    def degrees(self) -> Floats:
        return np.maximum(self.units - 1, 1.0)

    def limits(self, level: float) -> Bounds:
        mean = 1 - self.value if self.complement else self.value
        low, high = gamma_limits(mean, self._widened(level) ** 2, self.worst, level)
        low, high = np.clip(low, 0.0, self.high), np.clip(high, 0.0, self.high)
        return containing(self.value, (1 - high, 1 - low) if self.complement else (low, high))

    def _widened(self, level: float) -> Floats:
        normal = float(quantile(level))
        t = quantile(level, self.degrees())
        known = np.where(np.isfinite(self.error), self.error, 0.0)
        return known * (t / normal if normal > 0 else 1.0)

    def methods(self, _level: float, /) -> Methods:
        return (self.name,) * len(self.value)

    def standard_error(self) -> Floats:
        return np.where(self.error > 1e-12, self.error, from_limits(self))

    def scaled(self, factor: Floats) -> GammaBand:
        return replace(self, error=self.error / np.sqrt(factor), worst=self.worst / factor, units=self.units * factor)


def gamma_limits(mean: Floats, variance: Floats, worst: Floats, level: float) -> Bounds:
    """Limits of a non-negative mean; the lower one is 0 where the mean or its variance is. All broadcast."""
    tail = (1 - level) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        lower = special.gammaincinv(mean**2 / variance, tail) * variance / mean
        more, spread = mean + worst, variance + worst**2
        upper = special.gammaincinv(more**2 / spread, 1 - tail) * spread / more
    some = (mean > 0) & (variance > 0)
    return np.where(some, lower, np.where(np.isnan(mean), np.nan, 0.0)), upper
