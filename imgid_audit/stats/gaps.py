"""Gaps of a metric over the levels of a breakdown, with limits that hold for all pairs at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from imgid_audit.core.result import GapKind
from imgid_audit.stats import mover
from imgid_audit.stats.bands import Band, Mask
from imgid_audit.stats.intervals import Bounds, Floats, bonferroni, tukey
from imgid_audit.stats.requested import requested_limits

Better = Literal["higher", "lower"] | None


def pair_limits(band: Band, kind: GapKind, level: float) -> Bounds:
    """Limits of value_i - value_j, or value_i / value_j, for all ordered pairs, each (..., slices, slices).

    Slices are disjoint, so their estimates are combined by MOVER, or by what the config asks for.
    With subjects that appear in several slices this ignores their covariance, which is conservative
    where it is positive.
    """
    asked = requested_limits(band, kind, level)
    if asked is not None:
        return asked
    value, (low, high) = band.value, band.limits(level)
    combine = mover.difference if kind == "difference" else mover.ratio
    rows = (value[..., :, None], (low[..., :, None], high[..., :, None]))
    columns = (value[..., None, :], (low[..., None, :], high[..., None, :]))
    return combine(*rows, *columns)


def pair_values(value: Floats, kind: GapKind) -> Floats:
    """value_i - value_j, or value_i / value_j (NaN over 0), (..., slices, slices)."""
    one, other = value[..., :, None], value[..., None, :]
    if kind == "difference":
        return np.asarray(one - other)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(other > 0, one / other, np.nan)


def among(used: Mask) -> Mask:
    """Ordered pairs of different slices that are both used, (slices, slices)."""
    pairs = used[:, None] & used[None, :]
    np.fill_diagonal(pairs, False)
    return pairs


def all_pairs(level: float, levels: int, families: int = 1) -> float:
    """The level of each pair's limits such that all pairs of `levels` slices, in all families, hold at `level`."""
    return tukey(bonferroni(level, families), levels)


def pairs_of(levels: int) -> int:
    """Unordered pairs of `levels` slices."""
    return levels * (levels - 1) // 2


@dataclass(frozen=True, slots=True)
class Disparity:
    """A gap with its limits; `best` and `worst` index the breakdown's slices."""

    value: float
    low: float
    high: float
    best: int
    worst: int


def disparity(band: Band, used: Mask, kind: GapKind, level: float, better: Better, families: int = 1) -> Disparity:
    """max - min or min / max over the used slices, at least two, and its simultaneous limits.

    All pairs' limits hold together at 1 - (1 - level) / families (`intervals.tukey`). The
    difference lies between the largest lower limit (at least 0) and the largest upper limit over
    the ordered pairs; the ratio between the smallest lower limit and the smallest upper limit (at
    most 1). The ratio needs a positive maximum.
    """
    index = np.flatnonzero(used)
    value = band.value
    lowest, highest = index[np.argmin(value[index])], index[np.argmax(value[index])]
    adjusted = all_pairs(level, len(index), families)
    low, high = (part[among(used)] for part in pair_limits(band, kind, adjusted))
    if kind == "difference":
        gap = float(value[highest] - value[lowest])
        limits = max(0.0, float(low.max())), float(high.max())
    else:
        gap = float(value[lowest] / value[highest])
        limits = float(low.min()), min(1.0, float(high.min()))
    best, worst = (lowest, highest) if better == "lower" else (highest, lowest)
    return Disparity(gap, min(limits[0], gap), max(limits[1], gap), int(best), int(worst))


def joined(parts: tuple[Disparity, ...], kind: GapKind, how: Literal["worst", "mean"]) -> Disparity:
    """Several gaps as one: the larger (for ratios the smaller), or the mean; limits likewise.

    The slices are those of the part that is further from equality.
    """
    values, lows, highs = (np.array([getattr(part, name) for part in parts]) for name in ("value", "low", "high"))
    leading = parts[int(values.argmax() if kind == "difference" else values.argmin())]

    def summary(numbers: Floats) -> float:
        if how == "mean":
            return float(numbers.mean())
        return float(numbers.max() if kind == "difference" else numbers.min())

    return Disparity(summary(values), summary(lows), summary(highs), leading.best, leading.worst)
