"""The noise envelope of a gap: what max - min shows where all groups are equal.

The largest of many noisy values exceeds the smallest even where nothing differs, so a gap is read
beside what equal groups of the same sizes would give.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

from imgid_audit.core.result import Envelope
from imgid_audit.stats.bands import Band, Mask, RateBand
from imgid_audit.stats.intervals import Floats

DRAWS = 2000
Compared = tuple[Band, Mask]


def envelope(parts: Sequence[Compared], level: float, how: Literal["worst", "mean"] = "worst") -> Envelope:
    """Mean and `level` quantile of the range of equal groups, over normal draws from a fixed seed.

    - `parts`: a band and its used slices, at least two; of several, the largest or the mean range

    Standard errors are those at the pooled value, of rates by their effective n; draws of rates stay
    in [0, 1].
    """
    ranges = np.stack([_ranges(band, used, stream) for stream, (band, used) in enumerate(parts)])
    whole = ranges.mean(axis=0) if how == "mean" else ranges.max(axis=0)
    upper = float(np.quantile(whole, level))
    return Envelope(float(whole.mean()), upper, level, f"equal groups, {DRAWS:,} normal draws")


def equal_errors(band: Band, used: Mask) -> tuple[float, Floats]:
    """The pooled value of the used slices, and their standard errors (used,) were it the value of each."""
    value = band.value[used]
    if isinstance(band, RateBand) and band.transform is None:
        n = band.effective_n[used]
        pooled = float((value * n).sum() / n.sum())
        # a pooled rate of 0 or 1 has an error too: half an event more
        inside = float(np.clip(pooled, 0.5 / (n.sum() + 1), 1 - 0.5 / (n.sum() + 1)))
        return pooled, np.sqrt(inside * (1 - inside) / n)
    error = band.standard_error()[used]
    weight = 1 / error**2
    return float((weight * value).sum() / weight.sum()), error


def _ranges(band: Band, used: Mask, stream: int) -> Floats:
    """Range of each draw, (DRAWS,)."""
    pooled, error = equal_errors(band, used)
    drawn = pooled + error * _noise(int(used.sum()), stream)
    if isinstance(band, RateBand):
        drawn = np.clip(drawn, 0.0, 1.0)
    return np.asarray(np.ptp(drawn, axis=1))


@lru_cache(maxsize=32)
def _noise(groups: int, stream: int) -> Floats:
    return np.random.default_rng([20_261, stream]).standard_normal((DRAWS, groups))
