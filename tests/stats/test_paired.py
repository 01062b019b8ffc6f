"""Paired changes: Tango's limits against published ones and his quartic, flips against exact tests."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from scipy import special, stats
from statsmodels.stats.contingency_tables import mcnemar

from imgid_audit.stats.bands import StudentBand
from imgid_audit.stats.flips import flip_test, obuchowski, sign_flips
from imgid_audit.stats.paired import ChangeBand, FlipBand, flip_effect, p_by_inversion, tango

Z = special.ndtri(0.975)


def quartic(n: float, b: float, c: float, z: float) -> np.ndarray:
    """Tango's limits among the real roots of the quartic of Yang, Sun & Hardin (2013), Stat. Med. 32:1336."""
    g, d = z**2, b - c
    terms = [
        n**2 * (n / g + 1) ** 2,
        -n * d * (n / g + 1) * (4 * n / g + 1),
        2 * n * d**2 * (3 * n / g + 2) / g - n**2 * ((b + c) / g + 1),
        n * d * (2 * (b + c) / g + 1) - d**3 * (4 * n / g + 1) / g,
        d**2 * (d**2 / g - (b + c)) / g,
    ]
    return np.sort(np.roots(terms).real)


def test_tango_gives_the_published_limits():
    # Fagerland, Lydersen & Laake (2014) Stat. Med. 33:2850, airway reactivity 1, 1, 7, 12
    low, high = tango(1, 7, 21, Z)
    assert (round(float(low), 3), round(float(high), 3)) == (-0.517, -0.026)


@pytest.mark.parametrize(("b", "c", "n"), [(20, 40, 160), (1, 7, 21), (3, 9, 32), (0, 5, 40), (12.5, 2.25, 61.5)])
def test_tango_solves_the_quartic(b, c, n):
    low, high = tango(b, c, n, Z)
    roots = quartic(n, b, c, Z)
    assert np.abs(roots - low).min() < 1e-7
    assert np.abs(roots - high).min() < 1e-7
    assert low < (b - c) / n < high


def test_nothing_flipped_is_no_certainty():
    low, high = tango(0, 0, 8, Z)
    assert high == pytest.approx(Z**2 / (8 + Z**2))
    assert low == -high
    assert np.isnan(tango(0, 0, 0, Z)[0])
    every = tango(8, 0, 8, Z)
    assert 0 < every[0] < 1
    assert every[1] == pytest.approx(1)


def test_limits_are_monotone_in_the_level_and_contain_the_value():
    band = FlipBand(
        np.array([3.0, 0, 0, 7]), np.array([1.0, 0, 4, 0]), np.array([9.0, 5, 4, 50]), np.array([9.0, 5, 4, 50])
    )
    limits = [band.limits(level) for level in (0.5, 0.8, 0.95, 0.999)]
    for (la, ha), (lb, hb) in pairwise(limits):
        assert (lb <= la).all()
        assert (hb >= ha).all()
        assert ((la <= band.value) & (band.value <= ha)).all()
    negated = band.negated().limits(0.95)
    np.testing.assert_allclose(negated[0], -band.limits(0.95)[1])
    np.testing.assert_allclose(negated[1], -band.limits(0.95)[0])


def test_subjects_that_flip_together_widen_the_limits():
    offsets = np.array([0, 20])
    rows = np.full(20, 5.0)
    spread = np.tile([1.0, 0, 0, 0], 5)
    together = np.concatenate([[5.0], np.zeros(19)])
    apart, _ = flip_effect(spread, np.zeros(20), rows, offsets)
    joint, subjects = flip_effect(together, np.zeros(20), rows, offsets)
    assert joint[0] > 1.5 * apart[0] >= 1.5
    assert subjects[0] == 20
    none, _ = flip_effect(np.zeros(20), np.zeros(20), rows, offsets)
    assert none[0] == pytest.approx(1 + 4 * 0.5)  # the prior alone


@pytest.mark.parametrize(("b", "c"), [(7, 1), (0, 5), (12, 12), (30, 11), (1, 0)])
def test_the_flip_test_is_mcnemars_for_independent_rows(b, c):
    net = np.array([1] * b + [-1] * c + [0] * 9)
    p, method = flip_test(net, clustered=False)
    assert p == pytest.approx(mcnemar([[0, b], [c, 0]], exact=True).pvalue)
    assert p == pytest.approx(stats.binomtest(min(b, c), b + c).pvalue)
    assert method == "exact McNemar"


@pytest.mark.parametrize("net", [[2, 1, 1, 3, -1], [4, 4, -2, 1, 0, 7, -1], [3, 3, 3, 3, -3], [5]])
def test_sign_flips_are_counted_whole(net):
    size = np.abs([d for d in net if d])
    sums = np.array([np.dot(signs, size) for signs in product((-1, 1), repeat=len(size))])
    assert sign_flips(np.array(net)) == pytest.approx((np.abs(sums) >= abs(sum(net))).mean())


def test_no_flips_give_no_evidence():
    assert flip_test(np.zeros(5, dtype=np.int64), clustered=True)[0] == 1.0
    assert obuchowski(np.zeros(5, dtype=np.int64)) == 1.0


def test_obuchowski_agrees_with_the_exact_test_in_large_samples():
    rng = np.random.default_rng(0)
    net = rng.integers(-3, 4, 3000) + (rng.random(3000) < 0.03)
    assert obuchowski(net) == pytest.approx(sign_flips(net), rel=0.05)
    # one row a subject: McNemar's chi-square without correction, but for K / (K - 1)
    single = np.array([1] * 30 + [-1] * 15 + [0] * 955)
    expected = mcnemar([[0, 30], [15, 0]], exact=False, correction=False).pvalue
    assert obuchowski(single) == pytest.approx(expected, rel=0.01)


def _bands(value, error, units=100.0):
    one = np.ones(1)
    return [StudentBand(v * one, e * one, units * one, "rows", "t") for v, e in zip(value, error, strict=True)]


def test_a_correlated_change_has_the_variance_of_a_difference():
    first, second = _bands((0.5, 0.4), (0.03, 0.04), 1e7)
    band = ChangeBand(first, second, np.array([0.6]), np.array([1e9]), "how")
    low, high = band.limits(0.95)
    error = np.sqrt(0.03**2 + 0.04**2 - 2 * 0.6 * 0.03 * 0.04)
    assert (high - low)[0] / 2 == pytest.approx(Z * error, rel=1e-5)
    assert p_by_inversion(band, np.array([True]))[0] == pytest.approx(2 * stats.norm.sf(0.1 / error), rel=1e-3)


def test_a_correlation_of_few_units_is_not_believed():
    bands = _bands((0.5, 0.5), (0.05, 0.05), 8.0)
    width = [
        float(np.diff(ChangeBand(*bands, np.array([1.0]), np.array([units]), "how").limits(0.95), axis=0)[0, 0])
        for units in (8.0, 80.0, 8000.0)
    ]
    assert width[0] > width[1] > width[2] > 0
    unknown = ChangeBand(*bands, np.array([np.nan]), np.array([8.0]), "how").limits(0.95)
    alone = ChangeBand(*bands, None, np.array([8.0]), "how").limits(0.95)
    np.testing.assert_array_equal(unknown, alone)


def test_larger_samples_narrow_the_limits():
    gained, lost, rows = (np.array([n]) for n in (3.0, 9.0, 50.0))
    band = FlipBand(gained, lost, rows, rows / 2, np.array([10.0]))
    grown = band.scaled(np.array([4.0]))
    assert grown.value == band.value
    assert grown.standard_error() < 0.6 * band.standard_error()
