"""Confidence limits of a binomial proportion, vectorised, for independent and for clustered rows.

Sources: Wilson (1927) JASA 22:209; Clopper & Pearson (1934) Biometrika 26:404; the effective
sample size and the t quantile for survey proportions: Korn & Graubard (1998) Survey Methodology
24:193 and Dean & Pagano (2015) J. Surv. Stat. Methodol. 3:484.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Bounds = tuple[Floats, Floats]

EXACT_WITHIN = 3
"""Clopper-Pearson replaces Wilson where the rarer outcome has at most this many rows."""


def one_sided(level: float) -> float:
    """The two-sided level whose either limit is a one-sided bound at `level` (0.95 gives 0.90)."""
    return max(0.0, 2.0 * level - 1.0)


def bonferroni(level: float, comparisons: int) -> float:
    """The two-sided level of each of `comparisons` intervals that hold together at `level`."""
    return 1.0 - (1.0 - level) / max(1, comparisons)


def quantile(level: float, df: ArrayLike = np.inf) -> Floats:
    """Two-sided critical value: normal where `df` is infinite, else Student's t, shape of `df`."""
    upper = 0.5 + level / 2.0
    freedom = np.asarray(df, dtype=np.float64)
    finite = np.isfinite(freedom)
    student = special.stdtrit(np.where(finite, freedom, 1.0), upper)
    return np.asarray(np.where(finite, student, special.ndtri(upper)), dtype=np.float64)


def wilson(successes: ArrayLike, trials: ArrayLike, level: float, critical: ArrayLike | None = None) -> Bounds:
    """Wilson's score limits of successes/trials, both in [0, 1]; NaN where trials is 0.

    Counts need not be whole. `critical` replaces the normal quantile of `level`.
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    z = quantile(level) if critical is None else np.asarray(critical, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    low = np.where(x <= 0, np.where(n > 0, 0.0, np.nan), centre - half)
    high = np.where(x >= n, np.where(n > 0, 1.0, np.nan), centre + half)
    return np.maximum(low, 0.0), np.minimum(high, 1.0)


def clopper_pearson(successes: ArrayLike, trials: ArrayLike, level: float) -> Bounds:
    """Exact limits of successes/trials from the beta distribution; NaN where trials is 0.

    Counts need not be whole (effective sample sizes are not).
    """
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    tail = (1.0 - level) / 2.0
    inside = n > 0
    x = np.clip(np.where(inside, x, 0.0), 0.0, np.where(inside, n, 0.0))
    rest = np.where(inside, n, 1.0) - x
    low = np.where(x > 0, special.betaincinv(np.where(x > 0, x, 1.0), rest + 1.0, tail), 0.0)
    high = np.where(rest > 0, special.betaincinv(x + 1.0, np.where(rest > 0, rest, 1.0), 1.0 - tail), 1.0)
    return np.where(inside, low, np.nan), np.where(inside, high, np.nan)


def is_exact(successes: ArrayLike, trials: ArrayLike) -> NDArray[np.bool_]:
    """Where Clopper-Pearson is used: within `EXACT_WITHIN` of 0/n or n/n."""
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    return np.asarray(np.minimum(x, n - x) <= EXACT_WITHIN)


def rate_limits(successes: ArrayLike, trials: ArrayLike, effective_n: ArrayLike, df: ArrayLike, level: float) -> Bounds:
    """Limits of successes/trials: Wilson, or Clopper-Pearson near 0/n and n/n.

    - `effective_n`: the number of independent rows that would be as informative; equal to
      `trials` where rows are independent
    - `df`: degrees of freedom of the variance (subjects - 1); infinite where rows are independent

    The t quantile enters Wilson's formula directly, and Clopper-Pearson by shrinking the effective
    n by (z/t)^2. All arguments broadcast; limits are in [0, 1], NaN where trials is 0.
    """
    x, n, effective, freedom = (np.asarray(part, dtype=np.float64) for part in (successes, trials, effective_n, df))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
    t = quantile(level, freedom)
    z = quantile(level)
    ratio: Any = np.where(t > 0, z / np.where(t > 0, t, 1.0), 1.0)
    score = wilson(p * effective, effective, level, critical=t)
    shrunk = effective * ratio**2
    exact = clopper_pearson(p * shrunk, shrunk, level)
    near = is_exact(x, n)
    return np.where(near, exact[0], score[0]), np.where(near, exact[1], score[1])
