"""The study of fit in short; the whole is `python -m tests.validity.fit`."""

from __future__ import annotations

import pytest

from tests.validity.fit import DESIGNS, FIRST, PLANTED, WORLDS, coverage, lever, planted
from tests.validity.fit_worlds import FAINTER, LEVERS, UNLEARNT, World


@pytest.mark.parametrize("design", DESIGNS, ids=str)
def test_the_gap_is_covered(design: object) -> None:
    one = coverage(design, 150)
    for found, error in (one.total, one.together):
        assert found >= 0.93 - 3 * max(error, 0.01)
    assert one.above[0] <= 0.05 + 3 * 0.018  # all rows and the groups, each on one side


def test_what_is_not_learnt_is_found() -> None:
    one = planted(UNLEARNT[2], range(FIRST, FIRST + 2))
    assert (one.over, one.under) == (0, 2)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "world"), PLANTED, ids=[world.name for _, world in PLANTED])
def test_planted_fits_are_told_apart(what: str, world: World) -> None:
    one = planted(world, range(FIRST, FIRST + WORLDS))
    allowed = WORLDS // 20
    assert one.over >= WORLDS - allowed if what == "memorises" else one.over <= allowed
    if what != "memorises":  # its kept weights may be of an early epoch
        assert one.under >= WORLDS - allowed if what == "does not learn" else one.under <= allowed


@pytest.mark.slow
@pytest.mark.parametrize(("name", "without", "with_it"), LEVERS, ids=[name for name, *_ in LEVERS])
def test_the_gap_moves_as_planted(name: str, without: World, with_it: World) -> None:
    one = lever(name, without, with_it, range(FIRST, FIRST + 10))
    assert one.high < 0


def test_the_worlds_plant_what_they_say() -> None:
    """A network that learns the fainter stripes is the same that one epoch leaves at chance."""
    assert UNLEARNT[0].settings.epochs == 1
    assert UNLEARNT[0].model == FAINTER.model
    assert UNLEARNT[0].contrast == FAINTER.contrast
