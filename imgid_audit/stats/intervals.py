"""Confidence limits of a binomial proportion, vectorised, for independent and for clustered rows.

Sources: Wilson (1927) JASA 22:209; Clopper & Pearson (1934) Biometrika 26:404; the effective
sample size and the t quantile for survey proportions: Korn & Graubard (1998) Survey Methodology
24:193 and Dean & Pagano (2015) J. Surv. Stat. Methodol. 3:484.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize, special

from imgid_audit.core.policy import ProportionForm

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


@lru_cache(maxsize=4096)
def tukey(level: float, groups: int) -> float:
    """The two-sided level of each pairwise difference of `groups` estimates that hold together at `level`.

    From the distribution of the range of standard normals (Tukey 1953; conservative where standard
    errors differ: Hayter 1984, Ann. Stat. 12:61): a closed form of max-T over all pairs.
    """
    if groups < 3:
        return level
    nodes, weights = np.polynomial.legendre.leggauss(128)
    z, weights = 9.0 * nodes, 9.0 * weights * np.exp(-0.5 * (9.0 * nodes) ** 2) / np.sqrt(2 * np.pi)

    def inside(q: float) -> float:
        return float(groups * (weights * (special.ndtr(z + q) - special.ndtr(z)) ** (groups - 1)).sum())

    q = optimize.brentq(lambda q: inside(q) - level, 0.0, 60.0, xtol=1e-10)
    return 1.0 - 2.0 * float(special.ndtr(-q / np.sqrt(2.0)))


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


def is_exact(successes: ArrayLike, trials: ArrayLike, form: ProportionForm = "wilson") -> NDArray[np.bool_]:
    """Where Clopper-Pearson is used: within `EXACT_WITHIN` of 0/n or n/n, or everywhere as `form`."""
    x, n = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    return np.asarray((np.minimum(x, n - x) <= EXACT_WITHIN) | (form == "clopper_pearson"))


def rate_limits(
    successes: ArrayLike,
    trials: ArrayLike,
    effective_n: ArrayLike,
    df: ArrayLike,
    level: float,
    form: ProportionForm = "wilson",
) -> Bounds:
    """Limits of successes/trials: Wilson, or Clopper-Pearson near 0/n and n/n, and everywhere as `form`.

    - `effective_n`: the number of independent rows that would be as informative; equal to
      `trials` where rows are independent
    - `df`: degrees of freedom of the variance (subjects - 1); infinite where rows are independent

    The t quantile enters Wilson's formula directly, and Clopper-Pearson by shrinking the effective
    n by (z/t)^2. All arguments broadcast; limits are in [0, 1], NaN where trials is 0.
    """
    x, n, effective, freedom = (np.asarray(part, dtype=np.float64) for part in (successes, trials, effective_n, df))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
    low, high = wilson(p * effective, effective, level, critical=quantile(level, freedom))
    low, high = np.array(low), np.array(high)
    near = np.broadcast_to(is_exact(x, n, form), low.shape)
    if near.any():
        some = [np.broadcast_to(part, low.shape)[near] for part in (x, n, effective, freedom)]
        low[near], high[near] = exact_limits(some[0], some[1], some[2], some[3], level)
    return low, high


def exact_limits(
    successes: ArrayLike, trials: ArrayLike, effective_n: ArrayLike, df: ArrayLike, level: float
) -> Bounds:
    """Clopper-Pearson on the effective n, which the t quantile shrinks by (z/t)^2; see `rate_limits`.

    Either side holds by itself, which Wilson's do not near 0 and 1: verdicts on one rate use these.
    """
    x, n, effective, freedom = (np.asarray(part, dtype=np.float64) for part in (successes, trials, effective_n, df))
    t = quantile(level, freedom)
    ratio: Any = np.where(t > 0, quantile(level) / np.where(t > 0, t, 1.0), 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        shrunk = effective * ratio**2
        return clopper_pearson(x / n * shrunk, shrunk, level)
