"""A short version of the simulation of comparisons; the whole is `python -m tests.validity.mitigations`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.validity.mitigations import STRUCTURES, null, power
from tests.validity.mitigations_unequal import DESIGNS, Design, draw, judged

BY_NAME = {one.name: one for one in STRUCTURES}


def test_methods_that_do_nothing_are_seldom_called_something() -> None:
    comparisons = 40
    found = [
        null(replace(BY_NAME[name], scatter=scatter), 2000, comparisons, seed=9)
        for name, scatter in (
            ("all rows", 0.01),
            ("all rows", 0.02),
            ("worst of 4, one worse, 5 images a subject", 0.01),
        )
    ]
    wrong = float(np.mean([one.wrong for one in found]))
    assert wrong <= 0.07 + 3 * (0.07 * 0.93 / (comparisons * len(found))) ** 0.5
    # the study can see what it is for: test rows alone call something in half of the comparisons and more
    assert found[0].others["test rows alone"] > 0.4
    assert found[1].others["test rows alone"] > 0.7


def test_another_head_that_is_as_good_is_seen_by_test_rows_and_not_by_seeds() -> None:
    one = null(replace(BY_NAME["all rows"], scatter=0.0), 2000, 40, seed=9)
    assert one.others["seeds alone"] > 0.1
    assert one.wrong <= 0.07 + 3 * (0.07 * 0.93 / 40) ** 0.5


def test_five_points_are_found() -> None:
    one = power(replace(BY_NAME["all rows"], gain=0.05), 2000, 40, seed=9)
    assert one.helps >= 0.8 - 3 * (0.16 / 40) ** 0.5
    assert one.covered >= 0.95 - 3 * (0.0475 / 40) ** 0.5
    assert one.wrong <= 0.07 + 3 * (0.07 * 0.93 / 40) ** 0.5


def test_the_worlds_have_the_scatter_and_the_gain_that_they_say() -> None:
    for world in STRUCTURES:
        drawn = world.noise * np.random.default_rng(5).normal(size=(4000, 16))
        assert abs(world.primary(world.head(0.0) + drawn).std() / 0.01 - 1) < 0.1
        gained = replace(world, gain=0.05)
        change = (
            gained.primary(gained.head(gained.turned) + drawn).mean() - world.primary(world.head(0.0) + drawn).mean()
        )
        assert abs(abs(change) - 0.05) < 0.003


def named(name: str, truth: float) -> Design:
    (found,) = [one for one in DESIGNS if one.name == name and abs(one.truth - truth) < 1e-9]
    return found


@pytest.mark.parametrize(
    ("name", "truth", "biased"),
    [
        ("10 of 200, tie after", 0.0, True),
        ("10 of 100, tie after", -0.2, True),
        ("5 subjects of 60, 1,000 of 1", 0, False),
    ],
)
def test_unequal_designs_are_covered(name: str, truth: float, biased: bool) -> None:
    """Ties in one method alone, and few large subjects; the study can see that the plain change is biased."""
    comparisons = 40
    one = judged(named(name, truth), comparisons)
    assert one.covered >= 0.95 - 3 * (0.0475 / comparisons) ** 0.5
    assert one.harms + (one.helps if truth == 0 else 0) <= 0.07 + 3 * (0.0651 / comparisons) ** 0.5
    assert not biased or one.plain < 0.85


def test_the_designs_have_the_accuracies_that_they_say() -> None:
    for design in DESIGNS[::4]:
        right = np.zeros((2, len(design.rows)))
        draws = 30
        for i in range(draws):
            baseline, methods = draw(design, np.random.default_rng([7, i]))
            for k, runs in enumerate((baseline, methods[0])):
                for one in runs.decisions:
                    hits = (one.predicted == one.label).astype(np.float64)
                    right[k] += np.bincount(one.attributes[0].codes, hits) / np.array(design.rows) / 5 / draws
        assert np.abs(right - [design.before, design.after]).max() < 0.05
