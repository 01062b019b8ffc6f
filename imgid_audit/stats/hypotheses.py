"""Tests that a quantity is equal on all slices, and their adjustment for multiplicity.

Sources: Rao & Scott (1987) Ann. Stat. 15:385 (counts divided by their design effects); Welch (1951)
Biometrika 38:330; Holm (1979) Scand. J. Stat. 6:65.
"""

from __future__ import annotations

import numpy as np
from scipy import special

from imgid_audit.stats.bands import Band, Mask, RateBand
from imgid_audit.stats.intervals import Floats


def equality(band: Band, used: Mask) -> float | None:
    """p-value that the quantity is equal on the used slices; None for fewer than two.

    Rates: Pearson's chi-square of counts divided by their design effects, referred to F with
    (levels - 1) and the slices' summed degrees of freedom where those are finite, else to chi-square.
    Others: Welch's test with each slice's standard error and degrees of freedom.
    """
    levels = int(used.sum())
    if levels < 2:
        return None
    if isinstance(band, RateBand):
        n, p = band.effective_n[used], (band.successes / np.where(band.trials > 0, band.trials, np.nan))[used]
        pooled = float((n * p).sum() / n.sum())
        spread = pooled * (1 - pooled)
        statistic = float((n * (p - pooled) ** 2).sum() / spread) if spread > 0 else 0.0
        # subjects - levels: each slice gives up one
        freedom = np.inf if band.subjects is None else float(np.maximum(band.subjects[used] - 1, 0).sum())
        return survival(statistic, levels - 1, freedom)
    return welch(band.value[used], band.standard_error()[used], band.degrees()[used])


def welch(value: Floats, error: Floats, degrees: Floats) -> float:
    """Welch's test that independent estimates (levels,), each with its error and degrees of freedom, are equal.

    Weights that are estimated make the plain Wald test reject too often where a level is small.
    """
    levels, weight = len(value), 1 / error**2
    share = weight / weight.sum()
    statistic = float((weight * (value - (share * value).sum()) ** 2).sum()) / (levels - 1)
    doubt = float(((1 - share) ** 2 / degrees).sum())
    if doubt <= 0:
        return survival(statistic * (levels - 1), levels - 1, np.inf)
    statistic /= 1 + 2 * (levels - 2) / (levels**2 - 1) * doubt
    return survival(statistic * (levels - 1), levels - 1, (levels**2 - 1) / (3 * doubt))


def survival(statistic: float, numerator: int, denominator: float) -> float:
    """P(chi-square(numerator) > statistic), or of the F whose denominator is finite."""
    if not np.isfinite(denominator):
        return float(special.chdtrc(numerator, statistic))
    return float(special.fdtrc(numerator, max(denominator, 1.0), statistic / numerator))


def holm(p: Floats) -> Floats:
    """Holm's step-down adjusted p-values, (hypotheses,), at most 1."""
    order = np.argsort(p, kind="stable")
    steps = p[order] * np.arange(len(p), 0, -1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted
