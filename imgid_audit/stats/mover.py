"""MOVER: limits of a difference, ratio or mean from the limits of its parts.

Sources: Newcombe (1998) Stat. Med. 17:873 (square-and-add); Zou & Donner (2008) Stat. Med.
27:1693; Donner & Zou (2012) Stat. Methods Med. Res. 21:347 (ratio, MOVER-R).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from imgid_audit.stats.intervals import Bounds, Floats


def difference(a: Floats, a_limits: Bounds, b: Floats, b_limits: Bounds, correlation: ArrayLike = 0.0) -> Bounds:
    """Limits of a - b for estimates with this correlation, in [-1, 1]; every argument broadcasts."""

    def distance(one: Floats, other: Floats) -> Floats:
        return np.sqrt(np.maximum(one**2 + other**2 - 2 * np.asarray(correlation) * one * other, 0.0))

    low = a - b - distance(a - a_limits[0], b_limits[1] - b)
    high = a - b + distance(a_limits[1] - a, b - b_limits[0])
    return low, high


def ratio(a: Floats, a_limits: Bounds, b: Floats, b_limits: Bounds) -> Bounds:
    """Limits of a / b for independent non-negative estimates; 0 and infinity are possible.

    The lower limit is written as l(2a - l) / (ab + root) instead of Donner and Zou's
    (ab - root) / (u(2b - u)), which is equal but divides 0 by 0 where u = 2b.
    """
    (la, ua), (lb, ub) = a_limits, b_limits
    product = a * b
    a_low, a_high = la * (2 * a - la), ua * (2 * a - ua)
    b_low, b_high = lb * (2 * b - lb), ub * (2 * b - ub)
    with np.errstate(divide="ignore", invalid="ignore"):
        below = product + np.sqrt(np.maximum(product**2 - a_low * b_high, 0.0))
        low = np.where(a_low > 0, a_low / below, 0.0)
        above = product + np.sqrt(np.maximum(product**2 - a_high * b_low, 0.0))
        high = np.where(b_low > 0, above / b_low, np.inf)
    return low, high


def mean(parts: Floats, limits: Bounds, axis: int = -1) -> Bounds:
    """Limits of the mean of independent estimates along `axis`."""
    count = parts.shape[axis]
    centre = parts.mean(axis=axis)
    low = centre - np.sqrt(((parts - limits[0]) ** 2).sum(axis=axis)) / count
    high = centre + np.sqrt(((limits[1] - parts) ** 2).sum(axis=axis)) / count
    return low, high
