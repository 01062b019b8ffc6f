"""Laws of drawn positions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgid_audit.core.result import Estimate, Interval, ReliabilityCurve, Undefined
from imgid_audit.core.slices import TOTAL
from imgid_audit.report.figures.axis import PAD, axis_over, strip
from imgid_audit.report.figures.reliability import diagram
from imgid_audit.report.figures.shade import STEPS, scale, shade

values = st.lists(st.floats(0, 1), min_size=1, max_size=8)


def at(text: str) -> float:
    assert text.endswith("%")
    return float(text[:-1])


@given(values)
def test_an_axis_holds_every_value_and_stays_within_0_and_1(found: list[float]) -> None:
    axis = axis_over(found, found, "percent")
    assert axis.low <= min(found)
    assert axis.high >= max(found)
    assert axis.low >= -1e-9
    assert axis.high <= 1 + 1e-9
    assert 3 <= len(axis.ticks) <= 7


@given(values)
def test_positions_keep_the_order_and_proportions_of_values(found: list[float]) -> None:
    axis = axis_over(found, found, "decimal")
    width = (100 - 2 * PAD) / (axis.high - axis.low)
    for value in found:
        assert at(axis.x(value)) == pytest.approx(PAD + width * (value - axis.low), abs=0.01)


@given(st.lists(st.floats(0, 40), min_size=1, max_size=8))
def test_an_axis_of_losses_holds_them_too(found: list[float]) -> None:
    axis = axis_over(found, found, "decimal")
    assert axis.low <= min(found) <= max(found) <= axis.high + 1e-9
    assert len(axis.ticks) <= 7


def test_tick_labels_are_round_and_carry_their_unit() -> None:
    labels = [tick.label.replace("\xa0", " ") for tick in axis_over([0.62], [0.97], "percent").ticks]
    assert labels == ["60 %", "70 %", "80 %", "90 %", "100 %"]
    assert [tick.label for tick in axis_over([0.0], [0.2], None).ticks] == ["0", "5", "10", "15", "20"]


def estimate(value: float | Undefined) -> Estimate:
    interval = None if isinstance(value, Undefined) else Interval(value - 0.1, value + 0.1, 0.95, "Wilson")
    return Estimate("recall", "a", TOTAL, value, interval, 10, 10, None)


def test_only_defined_values_are_drawn() -> None:
    axis = axis_over([0.2], [0.9], "percent")
    assert strip(axis, estimate(Undefined("empty", "no rows")), 0.5, "") is None
    drawn = strip(axis, estimate(0.6), None, "60 %")
    assert drawn is not None
    assert at(drawn.low) < at(drawn.point) < at(drawn.high)
    assert drawn.reference == ""


def test_empty_bins_are_not_drawn() -> None:
    curve = ReliabilityCurve(
        TOTAL,
        np.linspace(0, 1, 5),
        np.array([0, 4, 0, 8]),
        np.array([np.nan, 0.4, np.nan, 0.9]),
        np.array([np.nan, 0.5, np.nan, 1.0]),
    )
    drawn = diagram(curve, ["", "second", "", "fourth"])
    assert [dot.text for dot in drawn.dots] == ["second", "fourth"]
    assert len(drawn.bars) == 2
    assert "nan" not in drawn.path
    heights = [float(bar.height) for bar in drawn.bars]
    assert heights[0] == pytest.approx(heights[1] / 2, abs=0.01)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_shades_are_monotone_on_a_scale_that_does_not_exaggerate(found: list[float]) -> None:
    low, high = scale(found)
    assert high - low >= 0.2 - 1e-9
    assert low <= min(found) + 1e-9
    assert high >= max(found) - 1e-9
    assert -1e-9 <= low <= high <= 1 + 1e-9
    steps = [shade(value, low, high) for value in sorted(found)]
    assert steps == sorted(steps)
    assert all(0 <= step < STEPS for step in steps)
