"""What a method changed against the baseline: paired by seed and by test row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgid_audit.comparison.series import Series
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import Bools
from imgid_audit.stats.methods import CHANGE_OVER_SEEDS, MEAN_OVER_SEEDS, method
from imgid_audit.stats.seeds import OverSeeds, estimate_limits, over_seeds, row_sampling

Codes = NDArray[np.int32]


def change(first: Series, second: Series, subject: Codes | None) -> OverSeeds:
    """second - first, mean over seeds, of two series that are defined for every seed."""
    before, after = first.shares, second.shares
    rows = row_sampling(
        after.of - before.of,
        before.counted | after.counted,
        _moved(before.answers, after.answers),
        subject,
        max(before.flip, after.flip),
        before.weight + after.weight,
    )
    apart = None if first.apart is None or second.apart is None else second.apart - first.apart
    return over_seeds(second.values - first.values, rows, apart)


def undefined_change(first: Series, second: Series, seeds: Sequence[int]) -> Undefined | None:
    """Why there is no change: either is undefined for a seed."""
    return first.whole(seeds) or second.whole(seeds)


def change_interval(found: OverSeeds, series: Series, level: float, clustered: bool) -> Interval:
    """The interval of a change, inside what the metric's range allows."""
    low, high = METRICS[series.metric].bounds
    most = high - low
    below, above = found.limits(level)
    key = "summed_squares" if found.apart is None else "hull"
    name = method(CHANGE_OVER_SEEDS, key, clustered=clustered).name
    return Interval(max(below, -most), min(above, most), level, name)


def mean_interval(series: Series, level: float) -> Interval:
    """The interval of a mean over seeds, inside the metric's range."""
    low, high = METRICS[series.metric].bounds
    if series.quantity == "gap":
        low, high = 0.0, high - low
    mean, below, above = estimate_limits(series.values, series.low, series.high, level)
    name = method(MEAN_OVER_SEEDS, "summed_squares", clustered=False).name
    return Interval(min(max(below, low), mean), max(min(above, high), mean), level, name)


def _moved(before: Sequence[NDArray[np.generic]], after: Sequence[NDArray[np.generic]]) -> Bools:
    """Rows (n,) of which the two networks of some seed say something else."""
    found = np.zeros(len(before[0]), dtype=bool)
    for one, two in zip(before, after, strict=True):
        differ = one != two
        found |= differ if differ.ndim == 1 else differ.any(axis=1)
    return found
