"""A short version of the simulation of comparisons; the whole is `python -m tests.validity.mitigations`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tests.validity.mitigations import STRUCTURES, null, power

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
