"""Differences and ratios against statsmodels, published values and the textbook form."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from imgid_audit.stats import mover
from imgid_audit.stats.intervals import clopper_pearson, wilson


def test_newcombe_against_statsmodels() -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    for x1, n1, x2, n2 in ((7, 34, 1, 34), (56, 70, 48, 80), (0, 10, 0, 20), (10, 10, 0, 20), (5, 9, 3, 100)):
        a, b = np.array(x1 / n1), np.array(x2 / n2)
        found = mover.difference(a, wilson(x1, n1, 0.95), b, wilson(x2, n2, 0.95))
        expected = confint_proportions_2indep(x1, n1, x2, n2, compare="diff", method="newcomb", alpha=0.05)
        assert_allclose(found, expected, atol=1e-12)


def test_published_newcombe() -> None:
    found = mover.difference(np.array(7 / 34), wilson(7, 34, 0.95), np.array(1 / 34), wilson(1, 34, 0.95))
    assert_allclose(found, (0.019, 0.34), atol=0.005)


def textbook_ratio(a: float, la: float, ua: float, b: float, lb: float, ub: float) -> tuple[float, float]:
    """Donner & Zou (2012), equations for MOVER-R, as printed."""
    low = (a * b - np.sqrt((a * b) ** 2 - la * ub * (2 * a - la) * (2 * b - ub))) / (ub * (2 * b - ub))
    high = (a * b + np.sqrt((a * b) ** 2 - ua * lb * (2 * a - ua) * (2 * b - lb))) / (lb * (2 * b - lb))
    return low, high


def test_ratio_against_the_printed_form() -> None:
    for x1, n1, x2, n2 in ((7, 34, 5, 34), (30, 40, 20, 40), (4, 90, 60, 70), (80, 90, 2, 70)):
        a, b = x1 / n1, x2 / n2
        one, two = wilson(x1, n1, 0.95), wilson(x2, n2, 0.95)
        found = mover.ratio(np.array(a), one, np.array(b), two)
        assert_allclose(found, textbook_ratio(a, *one, b, *two), rtol=1e-9)


def test_ratio_with_zeros_is_never_nan() -> None:
    for x1, x2 in ((0, 0), (0, 5), (5, 0), (10, 10)):
        one, two = clopper_pearson(x1, 10, 0.95), clopper_pearson(x2, 10, 0.95)
        low, high = mover.ratio(np.array(x1 / 10), one, np.array(x2 / 10), two)
        assert not np.isnan(low)
        assert not np.isnan(high)
        assert 0 <= low < high


def test_ratio_is_the_inverse_of_the_swapped_ratio() -> None:
    one, two = wilson(30, 60, 0.95), wilson(44, 50, 0.95)
    forward = mover.ratio(np.array(0.5), one, np.array(0.88), two)
    backward = mover.ratio(np.array(0.88), two, np.array(0.5), one)
    assert_allclose(forward, (1 / backward[1], 1 / backward[0]), rtol=1e-9)


def test_mean_of_one_part_is_the_part() -> None:
    low, high = wilson(np.array([[3.0]]), np.array([[9.0]]), 0.95)
    assert_allclose(mover.mean(np.array([[1 / 3]]), (low, high)), (low[0], high[0]))
