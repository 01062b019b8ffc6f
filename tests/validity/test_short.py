"""The validity study in short: its hardest cells, with fewer draws and bounds that allow for that."""

from __future__ import annotations

import pytest

from tests.validity import composites, coverage, errors, power, scores
from tests.validity.world import Cell

HARD = (
    Cell(20, 0.99, 5, 0.5),  # few subjects hold all the errors
    Cell(10, 0.99, 20, 0.5),
    Cell(50, 0.5, 1, 0.0),
    Cell(200, 0.99, 20, 0.5),
    Cell(1000, 0.99, 20, 0.5),
)
GROUPS = (
    Cell(50, 0.95, 5, 0.5, 2),
    Cell(50, 0.9, 20, 0.2, 12),
    Cell(50, 0.9, 5, 0.5, 4, "within subjects"),
    Cell(200, 0.8, 1, 0.0, 12),
    Cell(1000, 0.99, 20, 0.2, 2),
)
NOISE = 3.0
"""Monte-Carlo standard errors that a bound allows for."""


def test_rates_are_covered() -> None:
    for one in coverage.rates(HARD, draws=3000):
        asked = 0.92 if one.cell.subjects >= 50 else 0.90
        assert one.coverage >= asked - NOISE * one.error, one


def test_all_pairs_are_covered_together() -> None:
    for one in coverage.gaps(GROUPS, draws=800):
        assert one.coverage >= 0.92 - NOISE * one.error, one


@pytest.mark.parametrize("cell", GROUPS, ids=str)
def test_rules_at_their_tolerance_err_seldom(cell: Cell) -> None:
    for place, setting in enumerate(errors.settings(cell)):
        one = errors.study(cell, setting, 500, (9, place))
        allowed = 0.075 + NOISE * (0.075 * 0.925 / 500) ** 0.5
        assert one.wrong_fail <= allowed, one
        assert one.wrong_pass <= allowed, one


def test_wilson_alone_would_break_floors_too_often() -> None:
    """The study can see what it is for: Wilson breaks a floor on which twelve groups stand in one draw of six."""
    import numpy as np

    from imgid_audit.stats.intervals import bonferroni
    from tests.validity.world import observe

    cell = Cell(20, 0.95, 1, 0.0, 12)
    band = observe(cell, [cell.rate] * 12, 2000, np.random.default_rng(0))
    broken = (band.limits(bonferroni(0.95, 12))[1] < cell.rate).any(axis=1)
    assert broken.mean() > 0.1


def test_power() -> None:
    for one in power.power(draws=400):
        assert one.lowest >= 0.90, one


def test_plans_from_true_rates_settle() -> None:
    for one in power.plans(draws=300):
        assert 1 / 1.5 <= one.ratio <= 1.5, one


def test_composites_are_covered() -> None:
    cells = [cell for cell in composites.GRID if cell.subjects == 100 and cell.images in (5, 20) and cell.correlation]
    for one in composites.study(cells, draws=200):
        assert one.coverage >= 0.90 - NOISE * one.error, one


def test_score_metrics_of_good_models() -> None:
    """Where a few bad rows carry everything; a t interval wrongly passed a ceiling in up to 27 % of these."""
    for one in scores.study(scores.GRID[:6], draws=300):
        assert one.coverage >= 0.90 - NOISE * one.error, one
        allowed = 0.075 + NOISE * (0.075 * 0.925 / 300) ** 0.5
        assert max(one.wrong_pass, one.wrong_fail) <= allowed, one
