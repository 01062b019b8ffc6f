"""The three answers: their bounds, their order, and how much more data settles them."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imgid_audit.stats import mover
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.verdicts import MOST, Part, Requirement, growth_needed, judge


def part(x: list[float], n: list[float]) -> Part:
    trials = np.array(n, float)
    return Part(RateBand(np.array(x, float), trials, trials), np.ones(len(n), dtype=bool))


def test_max_gap_bounds_by_hand() -> None:
    one = part([160, 120], [200, 200])
    found = judge((one,), Requirement("max_gap", 0.1, 0.95))
    value = one.band.value
    low, high = one.band.limits(0.95)
    lower = mover.difference(value[0], (low[0], high[0]), value[1], (low[1], high[1]))[0]
    low, high = one.band.limits(0.90)
    upper = mover.difference(value[0], (low[0], high[0]), value[1], (low[1], high[1]))[1]
    assert_allclose([found.failing, found.passing, found.observed], [lower, upper, 0.2])
    assert found.status == "fail"
    assert {found.first, found.second} == {0, 1}


@pytest.mark.parametrize(
    ("kind", "tolerance", "x", "n", "status"),
    [
        ("max_gap", 0.10, [9000, 9010], [10000, 10000], "pass"),
        ("max_gap", 0.10, [9000, 7000], [10000, 10000], "fail"),
        ("max_gap", 0.10, [18, 17], [20, 20], "inconclusive"),
        ("max_gap", 0.0, [10, 10], [10, 10], "inconclusive"),
        ("min_ratio", 0.8, [5000, 4900], [10000, 10000], "pass"),
        ("min_ratio", 0.8, [5000, 3000], [10000, 10000], "fail"),
        ("min_ratio", 0.8, [10, 9], [20, 20], "inconclusive"),
        ("min_ratio", 0.8, [0, 0], [200, 200], "inconclusive"),
        ("min_value", 0.8, [900, 950], [1000, 1000], "pass"),
        ("min_value", 0.8, [700, 950], [1000, 1000], "fail"),
        ("min_value", 0.8, [82, 95], [100, 100], "inconclusive"),
        ("max_value", 0.2, [100, 50], [1000, 1000], "pass"),
        ("max_value", 0.2, [300, 50], [1000, 1000], "fail"),
        ("max_value", 0.2, [18, 5], [100, 100], "inconclusive"),
    ],
)
def test_answers(kind: str, tolerance: float, x: list[float], n: list[float], status: str) -> None:
    assert judge((part(x, n),), Requirement(kind, tolerance, 0.95)).status == status


def test_failing_is_adjusted_for_pairs_and_families_and_passing_is_not() -> None:
    two = judge((part([80, 60], [100, 100]),), Requirement("max_gap", 0.1, 0.95))
    three = judge((part([80, 60, 80], [100, 100, 100]),), Requirement("max_gap", 0.1, 0.95))
    assert three.failing < two.failing
    assert_allclose(three.passing, two.passing)
    family = judge((part([80, 60], [100, 100]),), Requirement("max_gap", 0.1, 0.95, families=3))
    assert_allclose(family.failing, three.failing)
    assert_allclose(family.passing, two.passing)


def test_several_parts_take_the_worst_or_the_mean() -> None:
    calm, wide = part([500, 500], [1000, 1000]), part([800, 500], [1000, 1000])
    asked = Requirement("max_gap", 0.1, 0.95, families=2)
    worst = judge((calm, wide), asked)
    assert worst.status == "fail"
    assert worst.part == 1
    assert_allclose(worst.observed, 0.3)
    mean = judge((calm, wide), Requirement("max_gap", 0.1, 0.95, families=2, mean=True))
    assert_allclose(mean.observed, 0.15)
    assert mean.failing < worst.failing
    assert mean.failing <= mean.observed <= mean.passing


@pytest.mark.parametrize(
    ("kind", "tolerance", "x", "n", "towards"),
    [
        ("max_gap", 0.10, [45, 43], [50, 50], "pass"),
        ("max_gap", 0.10, [45, 38], [50, 50], "fail"),
        ("min_value", 0.80, [45, 43], [50, 50], "pass"),
        ("min_value", 0.80, [38, 50], [50, 50], "fail"),
        ("min_ratio", 0.80, [25, 24], [50, 50], "pass"),
        ("min_ratio", 0.80, [25, 18], [50, 50], "fail"),
        ("max_value", 0.20, [5, 7], [50, 50], "pass"),
    ],
)
def test_growth_settles_and_less_does_not(
    kind: str, tolerance: float, x: list[float], n: list[float], towards: str
) -> None:
    one, asked = part(x, n), Requirement(kind, tolerance, 0.95)
    assert judge((one,), asked).status == "inconclusive"
    growth = growth_needed((one,), asked)
    assert growth.towards == towards
    assert growth.limiting.any()

    def status(factor: float) -> str:
        size = np.where(growth.limiting, factor, 1.0)
        return judge((part(list(np.array(x) * size), list(np.array(n) * size)),), asked).status

    assert status(growth.factor * 1.001) == towards
    assert status(growth.factor * 0.98) == "inconclusive"


def test_levels_that_pass_already_need_not_grow() -> None:
    growth = growth_needed((part([40, 45, 9800], [50, 50, 10000]),), Requirement("min_value", 0.75, 0.95))
    assert growth.limiting.tolist() == [True, False, False]


def test_on_the_tolerance_nothing_settles() -> None:
    growth = growth_needed((part([45, 40], [50, 50]),), Requirement("max_gap", 0.1, 0.95))
    assert growth.factor is None
    # and so close that even a million times the data would not do
    nearly = growth_needed((part([45, 40.0001], [50, 50]),), Requirement("max_gap", 0.1, 0.95))
    assert nearly.factor is None or nearly.factor > MOST / 100


def test_equal_groups_fail_rarely_and_gaps_at_the_tolerance_pass_rarely() -> None:
    """Error rates at the boundary, true gap 0.10, four groups of 150; nominal 5 %."""
    generator = np.random.default_rng(0)
    truth, n = np.array([0.9, 0.8, 0.9, 0.9]), 150
    failed = passed = 0
    draws = 1500
    for x in generator.binomial(n, truth, (draws, 4)):
        status = judge((part(list(x), [n] * 4),), Requirement("max_gap", 0.1, 0.95)).status
        failed += status == "fail"
        passed += status == "pass"
    assert failed / draws < 0.05
    assert passed / draws < 0.05
    equal = sum(
        judge((part(list(x), [60] * 6),), Requirement("max_gap", 0.02, 0.95)).status == "fail"
        for x in generator.binomial(60, 0.85, (draws, 6))
    )
    assert equal / draws < 0.03


def test_values_fail_by_a_bound_adjusted_for_levels_and_pass_by_a_one_sided_one() -> None:
    one = part([70, 95, 90], [100, 100, 100])
    found = judge((one,), Requirement("min_value", 0.8, 0.95))
    assert_allclose(found.failing, one.band.limits(1 - 0.05 / 3)[1].min())
    assert_allclose(found.passing, one.band.limits(0.90)[0].min())
    found = judge((one,), Requirement("max_value", 0.8, 0.95, families=2))
    assert_allclose(found.failing, one.band.limits(1 - 0.05 / 6)[0].max())
    assert_allclose(found.passing, one.band.limits(0.90)[1].max())
