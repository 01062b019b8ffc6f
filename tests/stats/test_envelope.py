"""The noise envelope against simulated equal groups."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats.bands import RateBand, StudentBand
from imgid_audit.stats.envelope import envelope


@pytest.mark.parametrize(
    ("sizes", "rate"), [([200, 200], 0.8), ([50, 400, 400, 100], 0.9), ([60] * 12, 0.7), ([60, 3000, 3000], 0.8)]
)
def test_rates_against_binomial_draws(sizes: list[int], rate: float) -> None:
    n = np.array(sizes, float)
    band = RateBand(rate * n, n, n)
    found = envelope([(band, np.ones(len(n), dtype=bool))], 0.95)
    drawn = np.random.default_rng(0).binomial(sizes, rate, (20_000, len(n))) / n
    ranges = np.ptp(drawn, axis=1)
    assert_allclose(found.mean, ranges.mean(), rtol=0.06)
    assert_allclose(found.upper, np.quantile(ranges, 0.95), rtol=0.08)


def test_equal_errors_are_the_studentized_range() -> None:
    error = np.full(6, 0.02)
    band = StudentBand(np.linspace(0.1, 0.9, 6), error, np.full(6, 100.0), "rows", "any")
    found = envelope([(band, np.ones(6, dtype=bool))], 0.9)
    # d2 of control charts for six: the mean range of standard normals (ISO 7870-2)
    assert_allclose(found.mean, 0.02 * 2.534, rtol=0.03)
    assert_allclose(found.upper, 0.02 * stats.studentized_range.ppf(0.9, 6, np.inf), rtol=0.03)


def test_several_parts_take_the_largest_or_the_mean() -> None:
    n = np.array([100.0, 100.0])
    parts = [(RateBand(0.5 * n, n, n), np.ones(2, dtype=bool))] * 2
    alone, worst, mean = envelope(parts[:1], 0.95), envelope(parts, 0.95), envelope(parts, 0.95, "mean")
    assert worst.mean > alone.mean
    assert_allclose(mean.mean, alone.mean, rtol=0.05)
    assert mean.upper < alone.upper < worst.upper


def test_unused_slices_say_nothing() -> None:
    n = np.array([100.0, 100.0, 0.0])
    with np.errstate(invalid="ignore"):
        band = RateBand(np.array([50.0, 60.0, 0.0]), n, n)
    used = np.array([True, True, False])
    two = RateBand(np.array([50.0, 60.0]), n[:2], n[:2])
    assert envelope([(band, used)], 0.95) == envelope([(two, used[:2])], 0.95)
