"""The three answers: their bounds, their order, and how much more data settles them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from imgid_audit.stats import mover
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.verdicts import Part, Requirement, judge


def part(x: list[float], n: list[float]) -> Part:
    trials = np.array(n, float)
    return Part(RateBand(np.array(x, float), trials, trials), np.ones(len(n), dtype=bool))


def exact(x: int, n: int, level: float) -> Any:
    return stats.binomtest(x, n).proportion_ci(level, "exact")


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
    assert family.failing < three.failing  # Bonferroni over families costs more than Tukey over as many pairs
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
    assert_allclose(found.failing, exact(70, 100, 1 - 0.05 / 3).high)
    assert_allclose(found.passing, exact(70, 100, 0.90).low)
    found = judge((one,), Requirement("max_value", 0.8, 0.95, families=2))
    assert_allclose(found.failing, exact(95, 100, 1 - 0.05 / 6).low)
    assert_allclose(found.passing, exact(95, 100, 0.90).high)
