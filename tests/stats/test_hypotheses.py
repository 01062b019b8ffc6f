"""p-values against statsmodels and SciPy."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from imgid_audit.stats.bands import RateBand, StudentBand
from imgid_audit.stats.hypotheses import equality, holm, survival


def test_holm_against_statsmodels() -> None:
    from statsmodels.stats.multitest import multipletests

    p = np.array([0.01, 0.04, 0.03, 0.2, 0.9, 0.001, 0.04])
    assert_allclose(holm(p), multipletests(p, method="holm")[1])
    assert len(holm(np.array([]))) == 0


def test_independent_rates_are_pearsons_chi_square() -> None:
    from scipy.stats import chi2_contingency

    x, n = np.array([40.0, 55, 30, 9]), np.array([80.0, 80, 75, 10])
    used = np.array([True, True, True, False])
    table = np.array([x[:3], n[:3] - x[:3]])
    expected = chi2_contingency(table, correction=False).pvalue
    assert_allclose(equality(RateBand(x, n, n), used), expected, rtol=1e-10)


def test_design_effects_divide_the_statistic() -> None:
    from scipy.stats import f

    x, n, subjects = np.array([40.0, 60.0]), np.array([100.0, 100.0]), np.array([20.0, 30.0])
    statistic = (25 * (0.4 - 0.5) ** 2 + 25 * (0.6 - 0.5) ** 2) / 0.25
    found = equality(RateBand(x, n, n / 4, subjects), np.array([True, True]))
    assert_allclose(found, f.sf(statistic, 1, 48), rtol=1e-10)


def test_means_are_welchs_test() -> None:
    from scipy.stats import ttest_ind_from_stats
    from statsmodels.stats.oneway import anova_generic

    error, n = np.array([0.03, 0.04, 0.02]), np.array([10.0, 20.0, 15.0])
    band = StudentBand(np.array([0.1, 0.2, 0.15]), error, n, "rows", "t")
    spread = error * np.sqrt(n)
    two = ttest_ind_from_stats(0.1, spread[0], 10, 0.2, spread[1], 20, equal_var=False).pvalue
    assert_allclose(equality(band, np.array([True, True, False])), two, rtol=1e-10)
    three = anova_generic(band.value, spread**2, n, use_var="unequal").pvalue
    assert_allclose(equality(band, np.ones(3, dtype=bool)), three, rtol=1e-10)


def test_nothing_to_compare_and_nothing_that_differs() -> None:
    x, n = np.array([5.0, 5.0]), np.array([5.0, 5.0])
    assert equality(RateBand(x, n, n), np.array([True, False])) is None
    assert equality(RateBand(x, n, n), np.array([True, True])) == 1.0
    assert survival(0.0, 3, 10.0) == 1.0


def test_null_p_values_are_uniform() -> None:
    generator = np.random.default_rng(3)
    n = np.array([150.0, 90.0, 60.0])
    used = np.ones(3, dtype=bool)
    p = np.array([equality(RateBand(generator.binomial(n.astype(int), 0.7) * 1.0, n, n), used) for _ in range(2000)])
    assert abs((p < 0.05).mean() - 0.05) < 0.015
    assert abs(np.median(p) - 0.5) < 0.05
