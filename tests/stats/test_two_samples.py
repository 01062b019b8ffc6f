"""Differences and ratios of two proportions against slow maximum likelihood, statsmodels, published values and laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import optimize, special, stats

from imgid_audit.stats import two_samples
from imgid_audit.stats.two_samples import (
    katz,
    koopman,
    mee,
    miettinen_nurminen,
    miettinen_nurminen_ratio,
    mover_r,
    newcombe,
)

DIFFERENCES = (newcombe, mee, miettinen_nurminen)
RATIOS = (mover_r, koopman, miettinen_nurminen_ratio, katz)
PAIRS = [(7, 34, 1, 34), (2, 10, 1, 10), (56, 70, 48, 80), (9, 10, 3, 10), (5, 9, 3, 100), (199, 200, 40, 50)]


def slow(x1: int, n1: int, x2: int, n2: int, *, ratio: bool, corrected: bool, level: float) -> tuple[float, float]:
    """The score interval by maximising the likelihood numerically at every point that is tried."""
    critical = stats.norm.ppf(0.5 + level / 2)
    inflation = (n1 + n2) / (n1 + n2 - 1) if corrected else 1.0

    def statistic(value: float) -> float:
        factor, shift = (value, 0.0) if ratio else (1.0, value)
        lowest = max(0.0, -shift / factor)
        highest = min(1.0, (1 - shift) / factor)

        def loss(b: float) -> float:
            a = min(max(factor * b + shift, 0.0), 1.0)
            return -float(
                special.xlogy(x1, a)
                + special.xlog1py(n1 - x1, -a)
                + special.xlogy(x2, b)
                + special.xlog1py(n2 - x2, -b)
            )

        b = optimize.minimize_scalar(loss, bounds=(lowest, highest), method="bounded", options={"xatol": 1e-12}).x
        a = factor * b + shift
        variance = (a * (1 - a) / n1 + factor**2 * b * (1 - b) / n2) * inflation
        return (x1 / n1 - factor * x2 / n2 - shift) / np.sqrt(variance)

    def crossing(inner: float, outer: float, sign: int) -> float:
        def beyond(at: float) -> float:
            return statistic(float(np.exp(at)) if ratio else at) - sign * critical

        return float(optimize.brentq(beyond, min(inner, outer), max(inner, outer), xtol=1e-10))

    observed, end = (np.log(x1 / n1 / (x2 / n2)), 12.0) if ratio else (x1 / n1 - x2 / n2, 0.999999)
    low, high = crossing(observed, -end, 1), crossing(observed, end, -1)
    return (float(np.exp(low)), float(np.exp(high))) if ratio else (low, high)


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_score_intervals_against_slow_maximum_likelihood(pair: tuple[int, int, int, int], level: float) -> None:
    for function, ratio, corrected in (
        (mee, False, False),
        (miettinen_nurminen, False, True),
        (koopman, True, False),
        (miettinen_nurminen_ratio, True, True),
    ):
        expected = slow(*pair, ratio=ratio, corrected=corrected, level=level)
        assert_allclose(function(*pair, level), expected, rtol=1e-5, atol=1e-6, err_msg=function.__name__)


def test_koopman_is_his_chi_square() -> None:
    """At each limit Koopman's own statistic, as printed in 1984, has the critical value."""
    x1, n1, x2, n2 = 7, 34, 1, 34
    for phi in koopman(x1, n1, x2, n2, 0.95):
        linear = phi * (n1 + x2) + x1 + n2
        p = (linear - np.sqrt(linear**2 - 4 * phi * (n1 + n2) * (x1 + x2))) / (2 * (n1 + n2))
        chi = (x1 - n1 * p) ** 2 / (n1 * p * (1 - p)) * (1 + n1 * (phi - p) / (n2 * (1 - p)))
        assert_allclose(chi, stats.chi2.ppf(0.95, 1), rtol=1e-9)


@pytest.mark.parametrize("pair", [*PAIRS, (0, 10, 0, 20), (10, 10, 0, 20)])
def test_statsmodels(pair: tuple[int, int, int, int]) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep as theirs

    expected = theirs(*pair, compare="diff", method="newcomb")
    assert_allclose(newcombe(*pair, 0.95), expected, atol=1e-12)
    if min(pair[0], pair[2]) > 0:
        for corrected, function in ((True, miettinen_nurminen_ratio), (False, koopman)):
            expected = theirs(*pair, compare="ratio", method="score", correction=corrected)
            assert_allclose(function(*pair, 0.95), expected, rtol=1e-6)
        assert_allclose(katz(*pair, 0.95), theirs(*pair, compare="ratio", method="log"), rtol=1e-12)


ENDS = [(0, 10, 0, 20), (10, 10, 20, 20), (0, 10, 20, 20), (10, 10, 0, 20), (0, 8, 3, 8), (8, 8, 3, 8), (3, 8, 8, 8)]


@pytest.mark.parametrize("function", [*DIFFERENCES, *RATIOS], ids=lambda f: f.__name__)
def test_at_the_ends_there_are_limits_with_width_and_without_trials_none(function: two_samples.TwoSamples) -> None:
    x1, n1, x2, n2 = np.array(ENDS, dtype=float).T
    low, high = function(x1, n1, x2, n2, 0.95)
    assert np.all(low < high)
    with np.errstate(invalid="ignore", divide="ignore"):
        observed = x1 / n1 - x2 / n2 if function in DIFFERENCES else (x1 / n1) / (x2 / n2)
    inside = np.isnan(observed) | ((low <= observed + 1e-9) & (observed - 1e-9 <= high))
    assert inside.all()
    for nothing in ((0, 0, 3, 8), (3, 8, 0, 0), (0, 0, 0, 0)):
        assert np.isnan(function(*nothing, 0.95)).all()


def test_zeros_of_a_ratio() -> None:
    for function in RATIOS:
        assert function(0, 10, 4, 10, 0.95)[0] == 0
        assert function(4, 10, 0, 10, 0.95)[1] == np.inf
        low, high = function(0, 10, 0, 10, 0.95)
        assert (low, high) == (0, np.inf)


counts = st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@settings(max_examples=20, deadline=None)
@given(one=counts, two=counts, level=st.floats(0.5, 0.999), factor=st.floats(1.2, 50))
def test_laws(one: tuple[int, int], two: tuple[int, int], level: float, factor: float) -> None:
    """Swapped samples mirror it, a higher level widens it, larger samples narrow it, Student's quantile widens it."""
    pair = (*one, *two)
    for function in (newcombe, mee, miettinen_nurminen):
        low, high = function(*pair, level)
        assert -1 <= low <= high <= 1
        swapped = function(*two, *one, level)
        assert_allclose((-swapped[1], -swapped[0]), (low, high), atol=2e-6)
        wider = function(*pair, 1 - (1 - level) / 3)
        student = function(*pair, level, df=4)
        narrower = function(*(factor * np.array(pair, dtype=float)), level)
        assert wider[0] <= low + 2e-6
        assert wider[1] >= high - 2e-6
        assert student[1] - student[0] >= high - low - 4e-6
        assert narrower[1] - narrower[0] <= high - low + 4e-6
    for function in RATIOS:
        low, high = function(*pair, level)
        assert 0 <= low <= high
        swapped = function(*two, *one, level)
        with np.errstate(divide="ignore"):
            assert_allclose((1 / swapped[1], 1 / swapped[0]), (low, high), rtol=1e-5)
        wider = function(*pair, 1 - (1 - level) / 3)
        assert wider[0] <= low * (1 + 1e-6)
        assert wider[1] >= high * (1 - 1e-6)


def test_arrays_are_their_elements() -> None:
    x1, n1, x2, n2 = np.array(PAIRS, dtype=float).T
    for function in (*DIFFERENCES, *RATIOS):
        low, high = function(x1[:, None], n1[:, None], x2, n2, 0.95)
        assert low.shape == high.shape == (len(PAIRS), len(PAIRS))
        alone = function(x1[2], n1[2], x2[4], n2[4], 0.95)
        assert_allclose((low[2, 4], high[2, 4]), alone, rtol=1e-12)


def test_exact_coverage() -> None:
    """Over all tables of two small samples the limits hold as often as they say, on average."""
    n1, n2 = 20, 50
    x1, x2 = np.meshgrid(np.arange(n1 + 1.0), np.arange(n2 + 1.0), indexing="ij")
    rates = (0.1, 0.3, 0.5, 0.7, 0.9)
    for functions, true in ((DIFFERENCES, lambda a, b: a - b), (RATIOS, lambda a, b: a / b)):
        for function in functions:
            low, high = function(x1, n1, x2, n2, 0.95)
            held = [
                (
                    np.outer(stats.binom.pmf(range(n1 + 1), n1, a), stats.binom.pmf(range(n2 + 1), n2, b))
                    * ((low <= true(a, b)) & (true(a, b) <= high))
                ).sum()
                for a in rates
                for b in rates
            ]
            assert 0.93 < np.mean(held) < 0.97, function.__name__
            assert min(held) > 0.90, function.__name__
