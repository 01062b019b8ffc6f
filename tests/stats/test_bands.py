"""Every band: limits contain the value, nest by level, never without width, shrink with the sample."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imgid_audit.stats.bands import Band, Choice, MeanBand, RateBand, StudentBand
from imgid_audit.stats.bootstrap import BootstrapBand


def bands() -> dict[str, Band]:
    generator = np.random.default_rng(0)
    x, n = np.array([0.0, 8, 40, 79]), np.array([8.0, 8, 100, 80])
    value = np.array([0.0, 0.2, 0.75, 1.0])
    error = np.array([0.0, 0.05, 0.04, 0.0])
    units = np.array([12.0, 30, 40, 1])
    rate = RateBand(x, n, n)
    replicates = np.clip(value[:, None] + generator.normal(0, 0.05, (4, 2000)), 0, 1)
    replicates[1, ::3] = np.nan
    resampled = BootstrapBand(value, replicates, "rows")
    return {
        "rate": rate,
        "clustered rate": RateBand(x, n, n / 2, np.array([3.0, 2, 30, 40])),
        "transformed rate": RateBand(x, n, n, None, lambda j: 2 * j / (1 + j)),
        "student": StudentBand(value, error, units, "rows", "t"),
        "logit": StudentBand(value, error, units, "subjects", "logit", logit=True),
        "mean": MeanBand(RateBand(np.array([[3.0, 9]] * 4), np.array([[9.0, 9]] * 4), np.array([[9.0, 9]] * 4))),
        "percentile": resampled,
        "choice": Choice(np.array([True, False, True, False]), resampled, rate),
    }


@pytest.mark.parametrize("name", bands())
def test_laws(name: str) -> None:
    band = bands()[name]
    inner = band.limits(0.8)
    for level in (0.9, 0.95, 0.999, 0.999999):
        low, high = band.limits(level)
        assert np.all((low >= 0) & (high <= 1))
        assert np.all((low <= band.value) & (band.value <= high))
        assert np.all(low < high)
        assert np.all((low <= inner[0] + 1e-12) & (high >= inner[1] - 1e-12))
        inner = low, high
        assert all(band.methods(level))
    assert np.all(band.standard_error() > 0)
    grown = band.scaled(np.full(4, 1000.0))
    assert_allclose(grown.value, band.value)
    low, high = band.limits(0.95)
    smaller = grown.limits(0.95)
    assert np.all(smaller[1] - smaller[0] < 0.3 * (high - low))
    same = band.scaled(np.ones(4)).limits(0.95)
    assert_allclose(same, (low, high))


def test_eight_of_eight_has_width() -> None:
    low, high = RateBand(np.array([8.0]), np.array([8.0]), np.array([8.0])).limits(0.95)
    assert_allclose(low, 0.025 ** (1 / 8))
    assert high == 1


def test_logit_limits_by_hand() -> None:
    from scipy.stats import t

    band = StudentBand(np.array([0.8]), np.array([0.05]), np.array([21.0]), "rows", "x", logit=True)
    half = t.ppf(0.975, 20) * 0.05 / (0.8 * 0.2)
    expected = 1 / (1 + np.exp(-(np.log(4) + np.array([-half, half]))))
    assert_allclose(np.ravel(band.limits(0.95)), expected)


def test_bootstrap_quantiles_and_beyond_them() -> None:
    generator = np.random.default_rng(1)
    replicates = generator.normal(0.5, 0.02, (1, 2000))
    band = BootstrapBand(np.array([0.5]), replicates, "rows")
    assert_allclose(np.ravel(band.limits(0.95)), np.quantile(replicates, [0.025, 0.975]))
    assert "2,000 draws" in band.methods(0.95)[0]
    assert "normal tails" not in band.methods(0.95)[0]
    low, high = (float(part[0]) for part in band.limits(0.9999))
    assert low <= 0.5 - 3.8 * 0.02 * 0.95
    assert high >= 0.5 + 3.8 * 0.02 * 0.95
    assert "normal tails" in band.methods(0.9999)[0]
    missing = replicates.copy()
    missing[0, :500] = np.nan
    assert "1,500 of 2,000 draws" in BootstrapBand(np.array([0.5]), missing, "rows").methods(0.95)[0]


def test_a_bootstrap_without_spread_or_draws_is_not_used() -> None:
    same, few = np.full((1, 100), 0.5), np.full((1, 100), np.nan)
    few[0, :40] = np.linspace(0, 1, 40)
    for replicates in (same, few):
        assert not BootstrapBand(np.array([0.5]), replicates, "rows").usable()[0]
    assert BootstrapBand(np.array([0.5]), np.linspace(0, 1, 100)[None], "rows").usable()[0]


def test_undefined_stays_nan() -> None:
    low, high = RateBand(np.array([0.0]), np.array([0.0]), np.array([0.0])).limits(0.95)
    assert np.isnan(low[0])
    assert np.isnan(high[0])
