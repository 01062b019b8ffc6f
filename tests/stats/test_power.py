"""How many more: by power at assumed rates, against simulated studies of that size."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats.assumed import assume, on_tolerance, quantity, shrunk, truncated
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.power import MOST, growth_needed, outcomes
from imgid_audit.stats.verdicts import Part, Requirement, judge


def part(x: list[float], n: list[float]) -> Part:
    trials = np.array(n, float)
    return Part(RateBand(np.array(x, float), trials, trials), np.ones(len(n), dtype=bool))


def settled(rates: np.ndarray, n: np.ndarray, asked: Requirement, towards: str) -> float:
    """Share of simulated studies with `n` independent rows a group that answer `towards`."""
    x = np.random.default_rng(5).binomial(n, rates, size=(3000, len(rates))).astype(float)
    trials = np.broadcast_to(n.astype(float), x.shape)
    passes, fails = outcomes((Part(RateBand(x, trials, trials), np.ones(len(rates), bool)),), asked)
    return float(fails.mean() if towards == "fail" else (passes & ~fails).mean())


@pytest.mark.parametrize(
    ("kind", "tolerance", "rates", "towards"),
    [
        ("max_gap", 0.10, [0.90, 0.85], "pass"),
        ("max_gap", 0.10, [0.90, 0.75], "fail"),
        ("max_gap", 0.10, [0.90, 0.85, 0.90, 0.90], "pass"),
        ("min_value", 0.80, [0.85, 0.90], "pass"),
        ("min_value", 0.90, [0.87, 0.95, 0.93], "fail"),
        ("max_value", 0.10, [0.05, 0.07], "pass"),
        ("min_ratio", 0.80, [0.50, 0.45], "pass"),
        ("min_ratio", 0.80, [0.50, 0.35], "fail"),
    ],
)
def test_from_the_true_rates_four_studies_in_five_settle(
    kind: str, tolerance: float, rates: list[float], towards: str
) -> None:
    truth, base = np.array(rates), np.full(len(rates), 200.0)
    asked = Requirement(kind, tolerance, 0.95)
    growth = growth_needed((part(list(truth * base), list(base)),), asked, (truth,))
    assert growth.towards == towards
    size = np.round(base * growth.sizes(growth.factor)).astype(int)
    # a factor of 1.5 in size either way holds 80 %; here both sides of the very number are asked
    assert settled(truth, size, asked, towards) >= 0.75
    smaller = np.round(base * growth.sizes(growth.factor / 1.5)).astype(int)
    assert settled(truth, smaller, asked, towards) < 0.8


@pytest.mark.parametrize(
    ("kind", "tolerance", "x", "n", "towards"),
    [
        ("max_gap", 0.10, [45, 43], [50, 50], "pass"),
        ("max_gap", 0.10, [45, 33], [50, 50], "fail"),
        ("min_value", 0.80, [45, 43], [50, 50], "pass"),
        ("min_ratio", 0.80, [25, 24], [50, 50], "pass"),
        ("max_value", 0.20, [5, 7], [50, 50], "pass"),
        ("max_gap", 0.10, [900, 822], [1000, 1000], "pass"),
    ],
)
def test_the_observed_rates_seen_again_settle_at_that_size(
    kind: str, tolerance: float, x: list[float], n: list[float], towards: str
) -> None:
    one, asked = part(x, n), Requirement(kind, tolerance, 0.95)
    assert judge((one,), asked).status == "inconclusive"
    growth = growth_needed((one,), asked)
    assert growth.towards == towards
    assert growth.limiting.any()
    size = growth.sizes(growth.factor)
    grown = part(list(np.array(x) * size), list(np.array(n) * size))
    assert judge((grown,), asked).status == towards
    assert growth.low <= growth.factor
    assert growth.high is None or growth.factor <= growth.high


def test_levels_that_surely_pass_need_not_grow() -> None:
    growth = growth_needed((part([40, 45, 9800], [50, 50, 10000]),), Requirement("min_value", 0.75, 0.95))
    assert growth.limiting[0]
    assert not growth.limiting[2]


@pytest.mark.parametrize("n", [50, 5000])
def test_on_the_tolerance_no_realistic_number_settles_it(n: int) -> None:
    one, asked = part([0.9 * n, 0.8 * n], [n, n]), Requirement("max_gap", 0.1, 0.95)
    assert on_tolerance((one,), asked)
    assert growth_needed((one,), asked).factor is None
    nearly = growth_needed((part([0.9 * n, 0.8 * n + 1e-4], [n, n]),), asked)
    assert nearly.factor is None or nearly.factor > MOST / 100


@pytest.mark.parametrize("share", [0.16, 0.5, 0.84])
@pytest.mark.parametrize("observed", [-0.9, 0.2, 1.4])
def test_a_truncated_normal_against_scipy(observed: float, share: float) -> None:
    mean = truncated(observed, 0.7, -1.0, 1.5, share)
    inside = stats.truncnorm((-1.0 - mean) / 0.7, (1.5 - mean) / 0.7, mean, 0.7)
    if abs(mean - observed) < 8 * 0.7 - 1e-9:
        assert_allclose(inside.cdf(observed), share, atol=1e-6)


def test_the_planning_rates_are_median_unbiased_given_an_open_answer() -> None:
    """Two groups of 400, gap .07, tolerance .10: half of the open studies plan with more than the truth."""
    rng, asked = np.random.default_rng(3), Requirement("max_gap", 0.1, 0.95)
    assumed = []
    while len(assumed) < 300:
        one = part(list(rng.binomial(400, [0.90, 0.83]).astype(float)), [400, 400])
        if judge((one,), asked).status == "inconclusive":
            assumed.append(quantity((one,), asked, assume((one,), asked).middle))
    assert 0.40 <= np.mean(np.array(assumed) > 0.07) <= 0.60


def test_many_equal_groups_are_shrunk_almost_to_their_mean() -> None:
    rng = np.random.default_rng(4)
    one = part(list(rng.binomial(100, 0.9, 12).astype(float)), [100] * 12)
    assert np.ptp(shrunk(one)) < 0.5 * np.ptp(one.band.value)
    far = part([900, 500, 910, 505], [1000] * 4)
    assert_allclose(shrunk(far), far.band.value, atol=0.005)
