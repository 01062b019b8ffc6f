"""Gaps and their simultaneous limits."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats import mover
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.gaps import Disparity, disparity, joined, pair_limits, pair_values
from imgid_audit.stats.intervals import wilson


def rates(x: list[float], n: list[float]) -> RateBand:
    return RateBand(np.array(x, float), np.array(n, float), np.array(n, float))


BAND = rates([50, 70, 64], [100, 100, 80])
ALL = np.ones(3, dtype=bool)


def test_two_levels_are_newcombe() -> None:
    found = disparity(rates([56, 48], [70, 80]), np.ones(2, dtype=bool), "difference", 0.95, "higher")
    low, high = mover.difference(np.array(0.8), wilson(56, 70, 0.95), np.array(0.6), wilson(48, 80, 0.95))
    assert_allclose([found.value, found.low, found.high], [0.2, low, high])
    assert (found.best, found.worst) == (0, 1)


def test_difference_and_ratio_over_pairs() -> None:
    level = 2 * stats.norm.cdf(stats.studentized_range.ppf(0.95, 3, np.inf) / np.sqrt(2)) - 1
    values = BAND.value
    low, high = BAND.limits(level)
    lows, highs, low_ratios, high_ratios = [], [], [], []
    for i in range(3):
        for j in range(3):
            if i != j:
                a, b = (values[i], (low[i], high[i])), (values[j], (low[j], high[j]))
                one, two = mover.difference(*a, *b)
                lows.append(one)
                highs.append(two)
                one, two = mover.ratio(*a, *b)
                low_ratios.append(one)
                high_ratios.append(two)
    found = disparity(BAND, ALL, "difference", 0.95, "higher")
    assert_allclose([found.value, found.low, found.high], [0.3, max(0, *lows), max(highs)], rtol=1e-5)
    found = disparity(BAND, ALL, "ratio", 0.95, "higher")
    assert_allclose([found.value, found.low, found.high], [0.5 / 0.8, min(low_ratios), min(1, *high_ratios)], rtol=1e-5)


def test_direction_names_best_and_worst() -> None:
    for better, best, worst in (("higher", 2, 0), ("lower", 0, 2), (None, 2, 0)):
        found = disparity(BAND, ALL, "difference", 0.95, better)
        assert (found.best, found.worst) == (best, worst)


def test_levels_that_are_not_used_do_not_count() -> None:
    used = np.array([True, False, True])
    found = disparity(BAND, used, "difference", 0.95, "higher")
    alone = disparity(rates([50, 64], [100, 80]), np.ones(2, dtype=bool), "difference", 0.95, "higher")
    assert_allclose([found.value, found.low, found.high], [alone.value, alone.low, alone.high])


def test_equal_levels_have_a_gap_of_zero_that_may_be_larger() -> None:
    found = disparity(rates([5, 10], [10, 20]), np.ones(2, dtype=bool), "difference", 0.95, "higher")
    assert found.value == 0
    assert found.low == 0
    assert found.high > 0.2
    found = disparity(rates([0, 5], [10, 10]), np.ones(2, dtype=bool), "ratio", 0.95, "higher")
    assert found.value == 0
    assert found.low == 0
    assert 0 < found.high <= 1


def test_pair_matrices_mirror() -> None:
    low, high = pair_limits(BAND, "difference", 0.95)
    assert_allclose(low, -high.T)
    assert_allclose(pair_values(BAND.value, "difference"), -pair_values(BAND.value, "difference").T)


def test_joined() -> None:
    one, two = Disparity(0.2, 0.1, 0.3, 0, 1), Disparity(0.3, 0.05, 0.35, 1, 0)
    assert joined((one, two), "difference", "worst") == Disparity(0.3, 0.1, 0.35, 1, 0)
    assert joined((one, two), "ratio", "worst") == Disparity(0.2, 0.05, 0.3, 0, 1)
    mean = joined((one, two), "difference", "mean")
    assert_allclose([mean.value, mean.low, mean.high], [0.25, 0.075, 0.325])
