"""How many independent rows clustered rows are worth: the design effect of a rate.

The data's design effect is unreliable where few subjects hold the rarer outcome, so it is shrunk
towards the one of an intra-subject correlation of one half, by how many subjects hold it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgid_audit.stats.intervals import Floats

PRIOR_CORRELATION = 0.5
PRIOR_SUBJECTS = 4
"""The prior weighs as much as this many subjects that hold the rarer outcome."""


def segment_sum(values: NDArray[np.generic], offsets: NDArray[np.intp]) -> Floats:
    """Sum rows `offsets[s]` to `offsets[s + 1]` of `values` (u, ...) for every s; 0 where none."""
    starts, ends = offsets[:-1], offsets[1:]
    total = np.zeros((len(starts), *values.shape[1:]))
    filled = starts < ends
    if filled.any():
        total[filled] = np.add.reduceat(values, starts[filled], axis=0, dtype=np.float64)
    return total


def design_effect(
    numerator: NDArray[np.generic], denominator: NDArray[np.generic], offsets: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Shrunk design effects and subjects of many rates at once.

    - `numerator`, `denominator` (units, ...): a subject's events and its rows that count
    - `offsets` (slices + 1,): units are sorted by slice

    Returns the design effect (slices, ...), at least 1, and the number of subjects with
    rows that count (slices, ...). The variance is the ratio estimator's, k/(k-1) sum (y - p m)^2
    / (sum m)^2 over the k subjects (Cochran 1977, section 11); design effect = that over p(1-p)/n.
    """
    y, m = numerator.astype(np.float64), denominator.astype(np.float64)
    x, n = segment_sum(y, offsets), segment_sum(m, offsets)
    squares = segment_sum(m * m, offsets)
    subjects = segment_sum(m > 0, offsets)
    with_event, without = segment_sum(y > 0, offsets), segment_sum(m > y, offsets)
    holders = np.where(2 * x < n, with_event, np.where(2 * x > n, without, np.minimum(with_event, without)))
    with np.errstate(divide="ignore", invalid="ignore"):
        p = x / n
        # sum (y - p m)^2 expanded, so that p need not be spread over units
        residual = segment_sum(y * y, offsets) - 2 * p * segment_sum(y * m, offsets) + p**2 * squares
        variance = subjects / (subjects - 1) * np.maximum(residual, 0.0) / n**2
        data = variance / (p * (1 - p) / n)
        prior = 1 + (squares / n - 1) * PRIOR_CORRELATION
    weight = np.where((subjects > 1) & np.isfinite(data), holders / (holders + PRIOR_SUBJECTS), 0.0)
    shrunk = weight * np.where(weight > 0, data, 0.0) + (1 - weight) * np.where(n > 0, prior, 1.0)
    return np.maximum(shrunk, 1.0), subjects
