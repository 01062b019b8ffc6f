"""Limits of proportions against statsmodels, published values, and the laws of an interval."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats.intervals import (
    bonferroni,
    clopper_pearson,
    one_sided,
    quantile,
    rate_limits,
    tukey,
    wilson,
)

# successes, trials, Wilson, Clopper-Pearson (Brown, Cai & DasGupta's kind of table; R's binom gives the same)
PUBLISHED = [
    (18, 20, (0.6989663548, 0.9721335188), (0.6830172860, 0.9876514728)),
    (4, 20, (0.0806576626, 0.4160174323), (0.0573339971, 0.4366140030)),
    (4, 200, (0.0078044264, 0.0502870869), (0.0054755656, 0.0504136091)),
]


@pytest.mark.parametrize(("x", "n", "score", "exact"), PUBLISHED)
def test_published_values(x: int, n: int, score: tuple[float, float], exact: tuple[float, float]) -> None:
    assert_allclose(wilson(x, n, 0.95), score, atol=1e-9)
    assert_allclose(clopper_pearson(x, n, 0.95), exact, atol=1e-9)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(("ours", "theirs"), [(wilson, "wilson"), (clopper_pearson, "beta")])
def test_statsmodels(ours: object, theirs: str, level: float) -> None:
    from statsmodels.stats.proportion import proportion_confint

    n = np.repeat([1, 2, 7, 30, 1000], 5)
    x = np.round(n * np.tile([0, 0.1, 0.5, 0.9, 1], 5))
    expected = proportion_confint(x, n, alpha=1 - level, method=theirs)
    assert_allclose(ours(x, n, level), expected, atol=1e-12)


def test_quantiles_and_levels() -> None:
    from scipy import stats

    assert_allclose(quantile(0.95), stats.norm.ppf(0.975))
    assert_allclose(
        quantile(0.95, [1, 5, np.inf]), [stats.t.ppf(0.975, 1), stats.t.ppf(0.975, 5), 1.959963985], rtol=1e-9
    )
    assert_allclose(one_sided(0.95), 0.90)
    assert_allclose(bonferroni(0.95, 10), 0.995)
    assert bonferroni(0.95, 0) == 0.95


def test_no_trials_have_no_limits() -> None:
    for limits in (wilson(0, 0, 0.95), clopper_pearson(0, 0, 0.95), rate_limits(0, 0, 0, np.inf, 0.95)):
        assert np.isnan(limits[0])
        assert np.isnan(limits[1])


def test_clopper_pearson_within_three_of_an_end_else_wilson() -> None:
    n = 20
    for x in range(n + 1):
        found = rate_limits(x, n, n, np.inf, 0.95)
        expected = clopper_pearson(x, n, 0.95) if min(x, n - x) <= 3 else wilson(x, n, 0.95)
        assert_allclose(found, expected, atol=1e-14)


def test_subjects_widen_by_effective_n_and_by_student() -> None:
    from scipy import stats

    t = stats.t.ppf(0.975, 9)
    assert_allclose(rate_limits(50, 100, 40, 9, 0.95), wilson(20, 40, 0.95, critical=t), atol=1e-13)
    effective = 40 * (stats.norm.ppf(0.975) / t) ** 2
    assert_allclose(rate_limits(98, 100, 40, 9, 0.95), clopper_pearson(0.98 * effective, effective, 0.95), atol=1e-13)


@settings(max_examples=200, deadline=None)
@given(
    n=st.integers(1, 3000),
    share=st.floats(0, 1),
    effect=st.floats(1, 50),
    df=st.one_of(st.just(float("inf")), st.integers(1, 500)),
    level=st.floats(0.5, 0.9999),
)
def test_laws(n: int, share: float, effect: float, df: float, level: float) -> None:
    """In [0, 1], around the rate, never without width, mirrored for the complement, wider at a higher level."""
    x = round(n * share)
    low, high = (float(part) for part in rate_limits(x, n, n / effect, df, level))
    assert 0 <= low <= x / n + 1e-12
    assert x / n - 1e-12 <= high <= 1
    assert low < high
    mirrored = rate_limits(n - x, n, n / effect, df, level)
    assert_allclose([1 - mirrored[1], 1 - mirrored[0]], [low, high], atol=1e-9)
    wider = rate_limits(x, n, n / effect, df, 1 - (1 - level) / 2)
    assert wider[0] <= low + 1e-12
    assert wider[1] >= high - 1e-12


def test_limits_at_extreme_levels_and_one_degree_of_freedom_stay_in_range() -> None:
    x, n = np.array([0, 1, 5, 9, 10, 50]), np.array([10, 10, 10, 10, 10, 50])
    low, high = rate_limits(x, n, n / 3, 1.0, 1 - 1e-6)
    assert np.all((low >= 0) & (low <= x / n) & (high >= x / n) & (high <= 1))


@pytest.mark.parametrize("groups", [2, 3, 4, 12, 60])
@pytest.mark.parametrize("level", [0.5, 0.9, 0.95, 0.999])
def test_tukeys_level_is_that_of_the_studentized_range(groups: int, level: float) -> None:
    critical = float(quantile(tukey(level, groups)))
    assert_allclose(critical * np.sqrt(2), stats.studentized_range.ppf(level, groups, np.inf), rtol=1e-6)


def test_tukey_is_never_wider_than_bonferroni() -> None:
    for groups in (3, 5, 12, 100):
        assert tukey(0.95, groups) < bonferroni(0.95, groups * (groups - 1) // 2)
