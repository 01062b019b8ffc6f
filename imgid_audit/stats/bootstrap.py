"""Bands from bootstrap replicates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgid_audit.stats.bands import Mask, Methods, containing
from imgid_audit.stats.intervals import Bounds, Floats, quantile

TAIL_DRAWS = 10
"""A bootstrap quantile is used only with at least this many draws beyond it."""


@dataclass(frozen=True, slots=True, eq=False)
class BootstrapBand:
    """Percentiles of replicates (slices, draws), NaN where a replicate is undefined.

    Beyond the quantiles that the draws resolve, the normal approximation with the replicates'
    standard error, never narrower than the extreme quantiles that are resolved.
    """

    value: Floats
    replicates: Floats
    unit: str
    bounds: tuple[float, float] = (0.0, 1.0)
    freedom: Floats | None = None

    def defined(self) -> NDArray[np.intp]:
        return np.asarray(np.isfinite(self.replicates).sum(axis=1))

    def usable(self) -> Mask:
        """Where enough replicates are defined and they differ."""
        enough = self.defined() >= _enough(self.replicates.shape[1])
        with np.errstate(invalid="ignore"):
            spread = np.nan_to_num(_spread(self.replicates))
        return enough & (spread > 1e-12)

    def _resolved(self, level: float) -> tuple[float, bool]:
        draws, defined = self.replicates.shape[1], self.defined()
        fewest = max(1, int(defined[defined >= _enough(draws)].min(initial=draws)))
        finest = 1 - 2 * TAIL_DRAWS / fewest
        return (level, True) if level <= finest else (max(finest, 0.0), False)

    def limits(self, level: float) -> Bounds:
        resolved, enough = self._resolved(level)
        low, high = _quantiles(self.replicates, (1 - resolved) / 2)
        floor, ceiling = self.bounds
        if not enough:
            half = quantile(level) * self.standard_error()
            low, high = np.fmin(low, self.value - half), np.fmax(high, self.value + half)
        return containing(self.value, (np.clip(low, floor, ceiling), np.clip(high, floor, ceiling)))

    def methods(self, level: float, /) -> Methods:
        draws = self.replicates.shape[1]
        tails = "" if self._resolved(level)[1] else ", normal tails"
        counts = (f"{draws:,}" if n == draws else f"{n:,} of {draws:,}" for n in self.defined())
        return tuple(f"bootstrap over {self.unit}, {count} draws{tails}" for count in counts)

    def standard_error(self) -> Floats:
        return _spread(self.replicates)

    def degrees(self) -> Floats:
        return np.full(self.value.shape, np.inf) if self.freedom is None else self.freedom

    def scaled(self, factor: Floats) -> BootstrapBand:
        shrunk = self.value[:, None] + (self.replicates - self.value[:, None]) / np.sqrt(factor)[:, None]
        freedom = None if self.freedom is None else (self.freedom + 1) * factor - 1
        return replace(self, replicates=shrunk, freedom=freedom)


def _enough(draws: int) -> int:
    """Replicates that must be defined for a slice's bootstrap to be used: half of the draws."""
    return max(2, draws // 2)


def _rows(replicates: Floats, summary: Callable[[Floats], Floats], width: int) -> Floats:
    """`summary` of each slice's defined replicates, (slices, width); NaN where fewer than two."""
    out = np.full((len(replicates), width), np.nan)
    for i, row in enumerate(replicates):
        kept = row[np.isfinite(row)]
        if len(kept) > 1:
            out[i] = summary(kept)
    return out


def _quantiles(replicates: Floats, tail: float) -> Bounds:
    both = _rows(replicates, lambda kept: np.quantile(kept, [tail, 1 - tail]), 2)
    return both[:, 0], both[:, 1]


def _spread(replicates: Floats) -> Floats:
    return _rows(replicates, lambda kept: np.asarray(kept.std(ddof=1)), 1)[:, 0]
