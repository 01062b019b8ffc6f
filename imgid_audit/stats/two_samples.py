"""Confidence limits of the difference and the ratio of two independent proportions, vectorised.

Sources: Newcombe (1998) Stat. Med. 17:873, method 10; Mee (1984) Biometrics 40:1175; Miettinen &
Nurminen (1985) Stat. Med. 4:213; Farrington & Manning (1990) Stat. Med. 9:1447 (the restricted
maximum in closed form); Katz et al. (1978) Biometrics 34:469; Koopman (1984) Biometrics 40:513;
Donner & Zou (2012) Stat. Methods Med. Res. 21:347 (MOVER-R).

Every function takes successes `x1`, `x2` of trials `n1`, `n2`, which broadcast, and a two-sided
`level`. Counts need not be whole, so effective ones of clustered rows go in as they are; `df` is
then the degrees of freedom of their variances, and Student's quantile replaces the normal one.
Limits are NaN where either sample has no trials.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize.elementwise import find_root

from imgid_audit.stats import mover
from imgid_audit.stats.intervals import Bounds, Floats, quantile, wilson

WIDEST = 46.0
"""Largest |log ratio| that is looked at, about 1e20; beyond it a limit is 0 or infinite."""


Samples = tuple[Floats, Floats, Floats, Floats]


class TwoSamples(Protocol):
    """Limits of a comparison of two proportions."""

    def __call__(
        self, x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf
    ) -> Bounds: ...


def newcombe(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf
) -> Bounds:
    """Difference: square-and-add of Wilson limits, in [-1, 1]."""
    x1, n1, x2, n2 = _floats(x1, n1, x2, n2)
    critical = quantile(level, df)
    one, two = wilson(x1, n1, level, critical), wilson(x2, n2, level, critical)
    return mover.difference(_share(x1, n1), one, _share(x2, n2), two)


def mover_r(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf) -> Bounds:
    """Ratio: MOVER-R of Wilson limits, in [0, infinity]."""
    x1, n1, x2, n2 = _floats(x1, n1, x2, n2)
    critical = quantile(level, df)
    one, two = wilson(x1, n1, level, critical), wilson(x2, n2, level, critical)
    low, high = mover.ratio(_share(x1, n1), one, _share(x2, n2), two)
    there = (n1 > 0) & (n2 > 0)
    return np.where(there, low, np.nan), np.where(there, high, np.nan)


def miettinen_nurminen(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf
) -> Bounds:
    """Difference: the score interval with the variance times N/(N-1), in [-1, 1]."""
    return _difference(_floats(x1, n1, x2, n2), quantile(level, df), corrected=True)


def mee(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf) -> Bounds:
    """Difference: the score interval without the correction, in [-1, 1]."""
    return _difference(_floats(x1, n1, x2, n2), quantile(level, df), corrected=False)


def koopman(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf) -> Bounds:
    """Ratio: Koopman's chi-square inverted, which is the score interval, in [0, infinity]."""
    return _ratio(_floats(x1, n1, x2, n2), quantile(level, df), corrected=False)


def miettinen_nurminen_ratio(
    x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf
) -> Bounds:
    """Ratio: the score interval with the variance times N/(N-1), in [0, infinity]."""
    return _ratio(_floats(x1, n1, x2, n2), quantile(level, df), corrected=True)


def katz(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike, level: float, df: ArrayLike = np.inf) -> Bounds:
    """Ratio: the delta method on the log scale; Koopman's where either sample is at 0/n or n/n.

    There it has no limits (0/n) or too narrow ones (n/n: none of the variance is left).
    """
    x1, n1, x2, n2 = _floats(x1, n1, x2, n2)
    inside = (x1 > 0) & (x2 > 0) & (x1 < n1) & (x2 < n2)
    a, b = np.where(inside, x1, 1.0), np.where(inside, x2, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = np.log(a / n1) - np.log(b / n2)
        half = quantile(level, df) * np.sqrt(np.maximum(1 / a - 1 / n1 + 1 / b - 1 / n2, 0.0))
    low, high = koopman(x1, n1, x2, n2, level, df)
    return np.where(inside, np.exp(centre - half), low), np.where(inside, np.exp(centre + half), high)


def _floats(x1: ArrayLike, n1: ArrayLike, x2: ArrayLike, n2: ArrayLike) -> Samples:
    a, b, c, d = np.broadcast_arrays(*(np.asarray(part, dtype=np.float64) for part in (x1, n1, x2, n2)))
    return a, b, c, d


def _share(x: Floats, n: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(x / n)


def _inflation(n1: Floats, n2: Floats, corrected: bool) -> Floats:
    """N / (N - 1); effective sizes below two in all are taken as two."""
    total = np.maximum(n1 + n2, 2.0)
    return total / (total - 1) if corrected else np.ones_like(total)


def _edge(beyond: Callable[..., Floats], inner: Floats, outer: Floats, *args: Floats) -> Floats:
    """Where `beyond` rises through 0 between `inner` and `outer`; `outer` where it never does, `inner` where at once.

    `args` broadcast with the ends. Chandrupatla's bracketing method, element by element.
    """
    ends = np.minimum(inner, outer), np.maximum(inner, outer)
    with np.errstate(divide="ignore", invalid="ignore"):
        root = np.asarray(find_root(beyond, ends, args=args, tolerances={"xatol": 1e-10, "xrtol": 1e-10}).x)
        root = np.where(beyond(outer, *args) <= 0, outer, root)
        return np.where(beyond(inner, *args) >= 0, inner, root)


def _excess(distance: Floats, spread: Floats) -> Floats:
    """In [-1, 1], positive where the `distance` exceeds what the `spread` allows; both are squared units."""
    total = distance + spread
    return np.where(total > 0, (distance - spread) / np.where(total > 0, total, 1.0), -1.0)


def _difference(samples: Samples, critical: Floats, *, corrected: bool) -> Bounds:
    x1, n1, x2, n2 = samples
    there = (n1 > 0) & (n2 > 0)
    p1, p2 = np.where(there, _share(x1, n1), 0.5), np.where(there, _share(x2, n2), 0.5)
    n1, n2 = np.where(there, n1, 1.0), np.where(there, n2, 1.0)
    args = (p1, n1, p2, n2, np.asarray(critical**2 * _inflation(n1, n2, corrected)))
    observed = np.asarray(p1 - p2)
    low, high = (_edge(_beyond_difference, observed, np.full_like(observed, end), *args) for end in (-1.0, 1.0))
    return np.where(there, low, np.nan), np.where(there, high, np.nan)


def _beyond_difference(delta: Floats, p1: Floats, n1: Floats, p2: Floats, n2: Floats, allowed: Floats) -> Floats:
    a, b = _restricted(p1, n1, p2, n2, delta)
    return _excess((p1 - p2 - delta) ** 2, allowed * (a * (1 - a) / n1 + b * (1 - b) / n2))


def _restricted(p1: Floats, n1: Floats, p2: Floats, n2: Floats, delta: Floats) -> Bounds:
    """The proportions of largest likelihood that differ by `delta`: the root of a cubic, by its trigonometric form."""
    theta = n2 / n1
    a = 1 + theta
    b = -(1 + theta + p1 + theta * p2 + delta * (theta + 2))
    c = delta**2 + delta * (2 * p1 + theta + 1) + p1 + theta * p2
    d = -p1 * delta * (1 + delta)
    v = (b / (3 * a)) ** 3 - b * c / (6 * a**2) + d / (2 * a)
    u = np.where(v < 0, -1.0, 1.0) * np.sqrt(np.maximum((b / (3 * a)) ** 2 - c / (3 * a), 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        cosine = np.where(u == 0, 0.0, v / u**3)
    w = (np.pi + np.arccos(np.clip(cosine, -1.0, 1.0))) / 3
    first = np.clip(2 * u * np.cos(w) - b / (3 * a), np.maximum(delta, 0.0), np.minimum(1 + delta, 1.0))
    return first, np.clip(first - delta, 0.0, 1.0)


def _ratio(samples: Samples, critical: Floats, *, corrected: bool) -> Bounds:
    x1, n1, x2, n2 = samples
    there = (n1 > 0) & (n2 > 0)
    n1, n2 = np.where(there, n1, 1.0), np.where(there, n2, 1.0)
    p1, p2 = np.where(there, x1 / n1, 0.5), np.where(there, x2 / n2, 0.5)
    args = (p1, n1, p2, n2, np.asarray(critical**2 * _inflation(n1, n2, corrected)))
    tiny = np.exp(-WIDEST)
    observed = np.log(np.maximum(p1, tiny) / np.maximum(p2, tiny))
    low, high = (
        np.exp(_edge(_beyond_ratio, observed, np.full_like(observed, end), *args)) for end in (-WIDEST, WIDEST)
    )
    low, high = np.where(p1 > 0, low, 0.0), np.where(p2 > 0, high, np.inf)
    return np.where(there, low, np.nan), np.where(there, high, np.nan)


def _beyond_ratio(log_ratio: Floats, p1: Floats, n1: Floats, p2: Floats, n2: Floats, allowed: Floats) -> Floats:
    phi, events = np.exp(log_ratio), n1 * p1 + n2 * p2
    # the smaller root of a quadratic, written without its cancellation
    linear = phi * (n1 + n2 * p2) + n1 * p1 + n2
    root = np.sqrt(np.maximum(linear**2 - 4 * phi * (n1 + n2) * events, 0.0))
    b = np.clip(2 * events / (linear + root), 0.0, np.minimum(1.0, 1 / phi))
    a = np.minimum(phi * b, 1.0)
    # a (1 - a) is 0 where a restricted proportion is 1, and the other's variance is left
    return _excess((p1 - phi * p2) ** 2, allowed * (a * (1 - a) / n1 + phi**2 * b * (1 - b) / n2))
