"""The change of a quantity between two measurements of the same rows, as bands.

A rate whose denominator is the same rows in both (recall, specificity, accuracy) changes by the rows
that flip: Tango's (1998, Stat. Med. 17:891) score limits of a paired difference, on an effective
number of rows where rows come from subjects. Other metrics: MOVER with the correlation of the two
estimates (Newcombe 1998, Stat. Med. 17:2635, method 10; Zou 2007, Psychol. Methods 12:399).

Nothing that flips proves no zero: both keep a width that shrinks with the sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from imgid_audit.stats.bands import Band, Mask, Methods, containing, from_limits
from imgid_audit.stats.effective_n import PRIOR_CORRELATION, PRIOR_SUBJECTS, segment_sum
from imgid_audit.stats.intervals import Bounds, Floats, quantile

HALVINGS = 60
"""Bisection steps: limits to 1e-17."""

PRIOR_UNITS = 4
"""Units without any correlation that are added to those observed, before a correlation is believed."""

STEPS = np.arange(0.0, 7.01, 0.25)
"""Critical values at which limits are computed to find a p-value."""


def tango(gained: ArrayLike, lost: ArrayLike, rows: ArrayLike, critical: ArrayLike) -> Bounds:
    """Score limits of (gained - lost) / rows; NaN where rows is 0.

    `gained` and `lost` count the rows that flipped either way, of `rows` pairs; they need not be
    whole. `critical` is the two-sided critical value. All arguments broadcast; limits in [-1, 1].
    """
    b, c, n, z = (np.asarray(part, dtype=np.float64) for part in (gained, lost, rows, critical))
    b, c, n, z = np.broadcast_arrays(b, c, n, z)
    with np.errstate(divide="ignore", invalid="ignore"):
        observed = np.where(n > 0, (b - c) / n, np.nan)
    low = _crossing(b, c, n, z, observed, -np.ones_like(observed))
    high = _crossing(b, c, n, -z, observed, np.ones_like(observed))
    return low, high


def _score(b: Floats, c: Floats, n: Floats, delta: Floats) -> Floats:
    """Tango's statistic of the hypothesis that the difference is `delta`; decreasing in it."""
    linear = (2 * n - b + c) * delta - b - c
    root = np.sqrt(np.maximum(linear**2 + 8 * n * c * delta * (1 - delta), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        fewer = np.maximum((root - linear) / (4 * n), 0.0)
        variance = np.maximum(n * (2 * fewer + delta * (1 - delta)), 0.0)
        excess = b - c - n * delta
        return np.where(variance > 0, excess / np.sqrt(variance), np.sign(excess) * np.inf)


def _crossing(b: Floats, c: Floats, n: Floats, wanted: Floats, inside: Floats, outside: Floats) -> Floats:
    """Where the statistic is `wanted`, between the observed difference and an end of the range."""
    for _ in range(HALVINGS):
        middle = (inside + outside) / 2
        within = np.abs(_score(b, c, n, middle)) <= np.abs(wanted)
        inside, outside = np.where(within, middle, inside), np.where(within, outside, middle)
    return np.asarray((inside + outside) / 2)


def flip_effect(
    gained: Floats, lost: Floats, rows: Floats, offsets: NDArray[np.intp], held: Floats | None = None
) -> tuple[Floats, Floats]:
    """Shrunk design effect of a paired difference, and the subjects with rows, each (slices,).

    - `gained`, `lost`, `rows` (units,): a subject's flips either way and its rows that count
    - `offsets` (slices + 1,): units are sorted by slice
    - `held` (slices,): subjects with a flip, counted here where it is not given

    As `effective_n.design_effect`: the ratio estimator's variance over that of independent rows,
    shrunk towards a correlation of one half by how many subjects hold a flip; at least 1.
    """
    change = gained - lost
    n, total = segment_sum(rows, offsets), segment_sum(change, offsets)
    flips, squares = segment_sum(gained + lost, offsets), segment_sum(rows**2, offsets)
    subjects = segment_sum(rows > 0, offsets)
    holders = segment_sum(gained + lost > 0, offsets) if held is None else held
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = total / n
        crossed = segment_sum(change * rows, offsets)
        residual = segment_sum(change**2, offsets) - 2 * mean * crossed + mean**2 * squares
        variance = subjects / (subjects - 1) * np.maximum(residual, 0.0) / n**2
        data = variance / ((flips / n - mean**2) / n)
        prior = 1 + (squares / n - 1) * PRIOR_CORRELATION
    usable = (subjects > 1) & np.isfinite(data)
    weight = np.where(usable, holders / (holders + PRIOR_SUBJECTS), 0.0)
    shrunk = weight * np.where(usable, data, 0.0) + (1 - weight) * np.where(n > 0, prior, 1.0)
    return np.maximum(shrunk, 1.0), subjects


@dataclass(frozen=True, slots=True, eq=False)
class FlipBand:
    """(gained - lost) / rows: the change of a rate whose denominator is the same rows twice.

    `effective_n` (slices,) equals `rows` and `subjects` is None where rows are independent.
    """

    gained: Floats
    lost: Floats
    rows: Floats
    effective_n: Floats
    subjects: Floats | None = None

    @property
    def value(self) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.asarray((self.gained - self.lost) / self.rows)

    def degrees(self) -> Floats:
        if self.subjects is None:
            return np.full(self.rows.shape, np.inf)
        return np.maximum(self.subjects - 1, 1.0)

    def limits(self, level: float) -> Bounds:
        with np.errstate(divide="ignore", invalid="ignore"):
            share = self.effective_n / self.rows
        found = tango(self.gained * share, self.lost * share, self.effective_n, quantile(level, self.degrees()))
        return containing(self.value, found)

    def methods(self, _level: float, /) -> Methods:
        suffix = "" if self.subjects is None else " (effective n by subject)"
        return (f"Tango, paired rows{suffix}",) * len(self.rows)

    def standard_error(self) -> Floats:
        return from_limits(self)

    def scaled(self, factor: Floats) -> FlipBand:
        return replace(
            self,
            gained=self.gained * factor,
            lost=self.lost * factor,
            rows=self.rows * factor,
            effective_n=self.effective_n * factor,
            subjects=None if self.subjects is None else self.subjects * factor,
        )

    def negated(self) -> FlipBand:
        """The band of what was lost, less what was gained."""
        return replace(self, gained=self.lost, lost=self.gained)


@dataclass(frozen=True, slots=True, eq=False)
class ChangeBand:
    """second - first, from the bands of both and the `correlation` (slices,) of the two estimates.

    None: the two samples are independent, or nothing is known of how they go together; positive
    correlation then makes the limits too wide, never too narrow. `units` (slices,) are the sampling
    units that the correlation was computed from.
    """

    first: Band
    second: Band
    correlation: Floats | None
    units: Floats
    how: str

    @property
    def value(self) -> Floats:
        return np.asarray(self.second.value - self.first.value)

    def degrees(self) -> Floats:
        return np.fmin(self.first.degrees(), self.second.degrees())

    def believed(self) -> Floats:
        """The correlation with `PRIOR_UNITS` independent units added; 0 where there is none."""
        if self.correlation is None:
            return np.zeros_like(self.value)
        return np.nan_to_num(np.clip(self.correlation, -1.0, 1.0)) * self.units / (self.units + PRIOR_UNITS)

    def limits(self, level: float) -> Bounds:
        a, b, r = self.first.value, self.second.value, self.believed()
        (la, ua), (lb, ub) = self.first.limits(level), self.second.limits(level)
        value = b - a
        low = value - _joint(b - lb, ua - a, r)
        high = value + _joint(ub - b, a - la, r)
        return containing(value, (low, high))

    def methods(self, _level: float, /) -> Methods:
        return (self.how,) * len(self.units)

    def standard_error(self) -> Floats:
        return from_limits(self)

    def scaled(self, factor: Floats) -> ChangeBand:
        return replace(
            self, first=self.first.scaled(factor), second=self.second.scaled(factor), units=self.units * factor
        )

    def negated(self) -> ChangeBand:
        """The band of first - second."""
        return replace(self, first=self.second, second=self.first)


def _joint(x: Floats, y: Floats, r: Floats) -> Floats:
    return np.sqrt(np.maximum(x**2 - 2 * r * x * y + y**2, 0.0))


def p_by_inversion(band: Band, used: Mask) -> Floats:
    """p-value (slices,) that the band's quantity is 0: 1 less the level at which a limit reaches 0.

    Between the critical values of `STEPS` the limits are taken as linear in them. 1 where the value
    is 0 or not `used`; never below that of the last step, 3e-12.
    """
    value = band.value
    inside = used & np.isfinite(value) & (value != 0)
    sign = np.sign(value)
    critical = np.zeros(len(value))
    before = np.abs(value)
    for last, step in pairwise(STEPS.tolist()):
        if not inside.any():
            break
        low, high = band.limits(float(1 - 2 * special.ndtr(-step)))
        margin = np.where(sign > 0, low, -high)
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.clip(before / (before - margin), 0.0, 1.0)
        critical = np.where(inside, np.where(margin > 0, step, last + share * (step - last)), critical)
        inside &= margin > 0
        before = margin
    return np.asarray(np.minimum(2 * special.ndtr(-critical), 1.0))
