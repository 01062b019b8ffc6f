"""The calibration study in short: a few cells, bounds loose by the Monte-Carlo error."""

from __future__ import annotations

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.calibration_envelope import noise
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from tests.validity.calibration import GRID, TASK, Cell, behaviour, sample_of

DRAWS = 300


@pytest.mark.parametrize("metric", ["ece", "ece_debiased", "calibration_slope", "calibration_intercept"])
@pytest.mark.parametrize("cell", GRID[::4], ids=str)
def test_intervals_cover(cell: Cell, metric: str) -> None:
    found = behaviour(cell, metric, DRAWS, seed=1)
    assert found.defined >= 0.99 * DRAWS
    # at least 90 % is asked for; three Monte-Carlo errors of it
    assert found.coverage >= 0.90 - 3 * np.sqrt(0.9 * 0.1 / DRAWS)


@pytest.mark.parametrize(
    ("cell", "most"),
    [(Cell(1, 0, 30, 1, 0), 0.06), (Cell(1, 0, 30, 5, 0.3), 0.035), (Cell(1, 0, 400, 5, 0.3), 0.01)],
    ids=str,
)
def test_calibrated_groups_are_near_zero(cell: Cell, most: float) -> None:
    assert behaviour(cell, "ece_debiased", DRAWS).mean < most
    assert behaviour(cell, "ece", DRAWS).mean > 2 * most


@pytest.mark.parametrize("cell", [Cell(0.5, 0, 400, 5, 0.3), Cell(1, 0.7, 400, 1, 0), Cell(2, 0, 400, 5, 0.3)], ids=str)
def test_errors_are_found(cell: Cell) -> None:
    found = behaviour(cell, "ece_debiased", DRAWS)
    assert abs(found.mean - found.truth) < 0.1 * found.truth


def gap_and_noise(cell: Cell, sizes: tuple[int, ...], generator: np.random.Generator) -> tuple[float, ...]:
    """The debiased gap of groups of these subjects that share one calibration, their envelope, and the p-value."""
    parts = [sample_of(Cell(cell.slope, cell.shift, k, cell.images, cell.correlation), 1, generator) for k in sizes]
    found = [part.rows.decisions for part in parts]
    label, scores = np.concatenate([d.label for d in found]), np.concatenate([d.scores for d in found])
    codes = np.repeat(np.arange(len(sizes)), [len(d) for d in found]).astype(np.int32)
    owner = (np.arange(len(label)) // cell.images).astype(np.int32)
    subject = Factor("s", tuple(map(str, range(sum(sizes)))), owner) if cell.images > 1 else None
    slices = tuple(Slice(("g",), (str(i),)) for i in range(len(sizes)))
    decisions = Decisions(TASK, label, label, scores, subject, ())
    sample = Sample(Rows(decisions), Breakdown("g", ("g",), slices, codes), IntervalSpec())
    value = METRICS["ece_debiased"].measure(sample)[0].value
    simulated = noise(sample, np.ones(len(sizes), dtype=bool), 400, 0)
    assert simulated is not None
    gap, found = float(value.max() - value.min()), simulated.envelope(0.95)
    return gap, found.mean, found.upper, simulated.p_value(gap)


@pytest.mark.parametrize(
    ("cell", "sizes"),
    [
        (Cell(1, 0, 0, 1, 0), (30, 30, 300)),
        (Cell(0.5, 0, 0, 5, 0.3), (50, 50, 400)),
        (Cell(1, 0.7, 0, 1, 0), (30,) * 6),
    ],
    ids=["calibrated", "clustered, too extreme", "many small"],
)
def test_equal_groups_stay_within_the_envelope(cell: Cell, sizes: tuple[int, ...]) -> None:
    generator = np.random.default_rng(3)
    draws = 120
    gap, mean, upper, p = np.array([gap_and_noise(cell, sizes, generator) for _ in range(draws)]).T
    assert (gap > upper).mean() <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / draws)
    for level in (0.05, 0.2, 0.5):
        assert (p <= level).mean() <= level + 3 * np.sqrt(level * (1 - level) / draws)
    assert abs(gap.mean() - mean.mean()) < 0.15 * gap.mean() + 4 * gap.std() / np.sqrt(draws)
