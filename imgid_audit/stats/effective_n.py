"""How many independent rows clustered rows are worth: the design effect of a rate.

The data's design effect is unreliable where few subjects hold the rarer outcome, so it is shrunk
towards the one of an intra-subject correlation of one half, by how many subjects hold it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What a clustered rate's variance is a function of; sums over a slice's subjects, all of one shape.

    - `events`, `rows`: sums of y (a subject's events) and of m (its rows that count)
    - `yy`, `ym`, `mm`: sums of y^2, y m and m^2
    - `subjects`: those with rows that count; `with_event`, `without`: those with an event, and
      those with a row that is not one
    """

    events: Floats
    rows: Floats
    yy: Floats
    ym: Floats
    mm: Floats
    subjects: Floats
    with_event: Floats
    without: Floats

    @staticmethod
    def of(y: Floats, m: Floats, total: Callable[[Floats], Floats]) -> Moments:
        """From subjects' events and rows; `total` sums over the subjects of each slice."""
        return Moments(
            total(y), total(m), total(y * y), total(y * m), total(m * m),
            total((m > 0).astype(np.float64)), total((y > 0).astype(np.float64)), total((m > y).astype(np.float64)),
        )  # fmt: skip

    def effect(self) -> Floats:
        """The shrunk design effect, at least 1.

        The data's is the ratio estimator's variance, k/(k-1) sum (y - p m)^2 / (sum m)^2 over the k
        subjects (Cochran 1977, section 11), over p(1-p)/n.
        """
        x, n, k = self.events, self.rows, self.subjects
        holders = np.where(
            2 * x < n, self.with_event, np.where(2 * x > n, self.without, np.minimum(self.with_event, self.without))
        )
        with np.errstate(divide="ignore", invalid="ignore"):
            p = x / n
            # sum (y - p m)^2 expanded, so that p need not be spread over subjects
            residual = self.yy - 2 * p * self.ym + p**2 * self.mm
            variance = k / (k - 1) * np.maximum(residual, 0.0) / n**2
            data = variance / (p * (1 - p) / n)
            prior = 1 + (self.mm / n - 1) * PRIOR_CORRELATION
        weight = np.where((k > 1) & np.isfinite(data), holders / (holders + PRIOR_SUBJECTS), 0.0)
        shrunk = weight * np.where(weight > 0, data, 0.0) + (1 - weight) * np.where(n > 0, prior, 1.0)
        return np.asarray(np.maximum(shrunk, 1.0))


def design_effect(
    numerator: NDArray[np.generic], denominator: NDArray[np.generic], offsets: NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Shrunk design effects and subjects of many rates at once.

    - `numerator`, `denominator` (units, ...): a subject's events and its rows that count
    - `offsets` (slices + 1,): units are sorted by slice

    Returns the design effect (slices, ...), at least 1, and the number of subjects with
    rows that count (slices, ...).
    """
    found = Moments.of(
        numerator.astype(np.float64), denominator.astype(np.float64), lambda values: segment_sum(values, offsets)
    )
    return found.effect(), found.subjects
