"""Laws of charts: places keep order and proportion, gaps stay gaps, and nothing leaves its frame."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgid_audit.report.figures.chart import LINE, Chart, Datum, Frame, Line, chart

values = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=30)


def drawn(*lines: Line, frame: Frame | None = None) -> Chart:
    found = chart(lines, frame or Frame("epoch", "accuracy"))
    assert found is not None
    return found


def line(found: list[float | None], **more: object) -> Line:
    return Line(tuple(Datum(float(i), value) for i, value in enumerate(found, 1)), **more)  # type: ignore[arg-type]


def points(of: Chart) -> list[list[tuple[float, float]]]:
    return [[tuple(float(n) for n in p.split(",")) for p in path.points.split()] for path in of.paths]  # type: ignore[misc]


@given(values)
def test_every_value_is_drawn_once_within_the_frame(found: list[float | None]) -> None:
    made = chart([line(found)], Frame("epoch", "accuracy"))
    known = [value for value in found if value is not None]
    if not known:
        assert made is None
        return
    assert made is not None
    left, top, wide, high = (float(n) for n in made.frame)
    places = [p for path in points(made) for p in path] + [(float(m.x), float(m.y)) for m in made.marks]
    assert len(places) == len(known), "in a line, or as a mark where it stands alone"
    for x, y in places:
        assert left <= x <= left + wide + 0.01
        assert top - 0.01 <= y <= top + high + 0.01


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
def test_higher_is_higher_and_proportions_hold(found: list[float]) -> None:
    made = drawn(line(list(found)))
    (path,) = points(made)
    low, high = min(found), max(found)
    if high - low > 1e-3:
        up = (path[found.index(low)][1] - path[found.index(high)][1]) / (high - low)
        for value, (_, y) in zip(found, path, strict=True):
            assert path[found.index(low)][1] - y == pytest.approx(up * (value - low), abs=0.03)
    assert [x for x, _ in path] == sorted(x for x, _ in path)


def test_a_missing_value_breaks_the_line() -> None:
    made = drawn(line([0.1, 0.2, None, 0.4, 0.5, None, 0.7]))
    assert [len(path) for path in points(made)] == [2, 2]
    assert len(made.marks) == 1, "the last stands alone: it is no line, but it is there"


def test_one_epoch_is_a_mark_in_the_middle() -> None:
    made = drawn(line([0.5]))
    left, _, wide, _ = (float(n) for n in made.frame)
    assert made.paths == ()
    assert float(made.marks[0].x) == left + wide / 2
    assert [tick.label for tick in made.x_ticks] == ["1"]


@pytest.mark.parametrize("epochs", [1, 2, 7, 24, 100, 300, 1000])
def test_ticks_are_whole_few_and_apart(epochs: int) -> None:
    made = drawn(line([0.5] * epochs))
    labels = [int(tick.label.replace("\u202f", "")) for tick in made.x_ticks]
    assert labels[0] == 1
    assert labels == sorted(set(labels))
    assert len(labels) <= 7
    assert all(float(b.at) - float(a.at) > 12 for a, b in pairwise(made.x_ticks))


def test_a_logarithmic_width_gives_equal_ratios_equal_steps() -> None:
    data = tuple(Datum(x, 0.5) for x in (100.0, 1000.0, 10_000.0))
    made = drawn(Line(data, marked=True), frame=Frame("rows", "accuracy", log=True))
    a, b, c = (float(mark.x) for mark in made.marks)
    assert b - a == pytest.approx(c - b, abs=0.02)


def test_a_loss_that_explodes_is_drawn_along_decades() -> None:
    made = drawn(line([0.5, 0.4, 0.3, 0.3, 250_000.0]), frame=Frame("epoch", "loss", "decimal"))
    labels = [tick.label.replace("\xa0", " ") for tick in made.y_ticks]
    assert "100 k" in labels
    assert len(labels) <= 7
    (path,) = points(made)
    assert path[0][1] - path[2][1] < 0 < path[2][1] - path[4][1]
    plain = drawn(line([2.3, 1.0, 0.4]), frame=Frame("epoch", "loss", "decimal"))
    assert plain.y_ticks[0].label == "0"


def test_steps_stay_level_until_the_next_value() -> None:
    (path,) = points(drawn(line([0.1, 0.1, 0.4], steps=True)))
    for (x, y), (other_x, other_y) in pairwise(path):
        assert x == other_x or y == other_y


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_names_at_the_ends_never_touch(ends: list[float]) -> None:
    lines = [line([0.5, end], name=f"group {i}") for i, end in enumerate(ends)]
    made = drawn(*lines)
    heights = sorted(float(name.y) for name in made.names)
    assert len(heights) == len(ends)
    assert all(b - a >= LINE - 0.02 for a, b in pairwise(heights))


def test_a_long_name_is_cut_and_stays_on_the_drawing() -> None:
    made = drawn(line([0.5, 0.6], name="x" * 300))
    assert len(made.names[0].text) <= 18
    assert float(made.names[0].x) + 5.2 * len(made.names[0].text) <= float(made.width)
