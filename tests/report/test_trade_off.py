"""Laws of the drawn trade-off: all inside, the front by brute force, each number at its own point."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.result import Interval, Undefined
from imgid_audit.report.figures.axis import axis_over
from imgid_audit.report.figures.dumbbell import dumbbell, inward
from imgid_audit.report.figures.pareto import HIGH, LEFT, TOP, WIDE, Candidate, front_of, pareto, staircase
from tests.report import comparison_factory as made
from tests.report import factory

share = st.integers(0, 20).map(lambda i: i / 20)
points = st.lists(st.tuples(share, share), min_size=1, max_size=12)
ways = st.sampled_from([(1, 1), (1, -1), (-1, 1), (-1, -1)])


def beats(one: tuple[float, float], other: tuple[float, float], better: tuple[int, int]) -> bool:
    gains = [(a - b) * way for a, b, way in zip(one, other, better, strict=True)]
    return min(gains) >= 0 and max(gains) > 0


@given(points, ways)
def test_the_front_is_what_none_betters(found: list[tuple[float, float]], better: tuple[int, int]) -> None:
    for i, on in enumerate(front_of(found, better)):
        assert on == (not any(beats(other, found[i], better) for other in found))


@given(points, ways)
def test_the_staircase_goes_through_the_front_and_never_beyond_it(
    found: list[tuple[float, float]], better: tuple[int, int]
) -> None:
    front = [point for point, on in zip(found, front_of(found, better), strict=True) if on]
    path = staircase(front, better)
    assert path == [] if len(set(front)) == 1 else set(front) <= set(path)
    for (x, y), (next_x, next_y) in pairwise(path):
        assert x == next_x or y == next_y
    # every corner is something that a point of the front is at least as good as
    for corner in path:
        assert any(corner == point or beats(point, corner, better) for point in front)


@settings(max_examples=60)
@given(points, st.floats(0, 0.2), ways)
def test_everything_stands_within_the_frame(
    found: list[tuple[float, float]], half: float, better: tuple[int, int]
) -> None:
    drawn = pareto(
        [
            Candidate(str(i), x, y, Interval(x - half, x + half, 0.95, ""), Interval(y - half, y + half, 0.95, ""), "")
            for i, (x, y) in enumerate(found)
        ],
        ("percent", "percent"),
        better,
    )
    assert drawn is not None
    for point in drawn.points:
        assert LEFT <= float(point.left) <= float(point.x) <= float(point.right) <= LEFT + WIDE
        assert TOP <= float(point.top) <= float(point.y) <= float(point.bottom) <= TOP + HIGH
        assert LEFT - 0.01 <= float(point.label_x) <= LEFT + WIDE
        assert TOP <= float(point.label_y) <= TOP + HIGH
    for one, other in pairwise(sorted(zip(found, drawn.points, strict=True), key=lambda p: p[0][0])):
        assert float(one[1].x) <= float(other[1].x)
    assert [p.on_front for p in drawn.points] == list(front_of(found, better))
    assert len(drawn.x_ticks) <= 8


close = st.integers(0, 4).map(lambda i: 0.9 + i / 1000)
crowds = st.lists(st.tuples(share | close, share | close), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(crowds)
def test_no_two_numbers_touch_and_none_leaves_the_frame(found: list[tuple[float, float]]) -> None:
    drawn = pareto([Candidate(str(i), x, y, None, None, "") for i, (x, y) in enumerate(found)], ("percent", "percent"),
                   (1, 1))  # fmt: skip
    assert drawn is not None
    boxes = []
    for point in drawn.points:
        assert point.label_x, "there is room for forty"
        left, base = float(point.label_x), float(point.label_y)
        boxes.append((left, base - 8, left + 7.6 * len(point.mark), base))  # bold digits of 11 units
    for left, top, right, bottom in boxes:
        assert LEFT - 0.01 <= left <= right <= LEFT + WIDE + 0.01
        assert TOP - 0.01 <= top <= bottom <= TOP + HIGH + 0.01
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            across = min(one[2], other[2]) - max(one[0], other[0])
            up = min(one[3], other[3]) - max(one[1], other[1])
            assert across <= -2 or up <= 0, "side by side two numbers would read as one"


def test_a_number_that_stands_away_has_a_line_to_its_point() -> None:
    heap = [(0.9 + i / 5000, 0.9) for i in range(9)] + [(0.1, 0.1)]
    drawn = pareto(
        [Candidate(str(i), x, y, None, None, "") for i, (x, y) in enumerate(heap)], ("percent", "percent"), (1, 1)
    )
    assert drawn is not None
    assert any(point.leader for point in drawn.points)
    for point in drawn.points:
        away = abs(float(point.label_x) - float(point.x)) + abs(float(point.label_y) - float(point.y))
        assert point.leader is not None or away < 25


def test_a_front_of_one_point_is_no_line_and_nothing_speaks_of_one() -> None:
    from imgid_audit.export.html_page import render_html
    from imgid_audit.report import build

    with_line = made.compared()
    methods = (made.METHODS[0], replace(made.METHODS[1], overall=0.05))
    without = made.compared(plan=made.Plan(methods=methods))
    texts = [render_html(build(one, epoch=factory.EPOCH)).decode() for one in (with_line, without)]
    assert ["(dashed)" in text for text in texts] == [True, False]
    assert ['class="front"' in text for text in texts] == [True, False]


@pytest.mark.parametrize("high", [0.81, 0.97, 1.0])
def test_labels_of_a_dumbbells_axis_stay_within_a_narrow_column(high: float) -> None:
    axis = inward(axis_over([0.7], [high], None))
    for tick in axis.ticks:
        at, wide = float(tick.x[:-1]) * 96 / 100, 6.2 * len(tick.label)
        left = {"start": at, "middle": at - wide / 2, "end": at - wide}[tick.anchor]
        assert left >= -0.5
        assert left + wide <= 96.5


def test_numbers_of_points_that_stand_apart_stand_at_their_own() -> None:
    corners = [(0.1, 0.1), (0.1, 0.9), (0.9, 0.1), (0.9, 0.9), (0.5, 0.5)]
    drawn = pareto(
        [Candidate(str(i), x, y, None, None, "") for i, (x, y) in enumerate(corners)], ("percent", "percent"), (1, 1)
    )
    assert drawn is not None
    for point in drawn.points:
        gaps = [abs(float(point.label_x) - float(p.x)) + abs(float(point.label_y) - float(p.y)) for p in drawn.points]
        assert drawn.points[gaps.index(min(gaps))] is point
        assert point.leader is None
        assert point.left == point.top == ""


def test_nothing_to_draw_is_no_drawing() -> None:
    assert pareto([], ("percent", "percent"), (1, 1)) is None


def test_the_drawing_is_said_in_words() -> None:
    from imgid_audit.report import SECTIONS
    from imgid_audit.report.facts import Facts

    found = SECTIONS["mitigations"].build(Facts.of(made.compared(), factory.EPOCH))
    trade_off = found.trade_off  # type: ignore[union-attr]
    front = [row[0].text.split(" · ")[1] for row in trade_off.key.rows if row[-1].text == "yes"]
    assert front == ["oversample", "focal", "dfr"]
    assert all(name in trade_off.said and name in trade_off.alternative for name in front)
    assert "The other 6 are not." in trade_off.said.replace("\xa0", " ")
    assert [point.mark for point in trade_off.plot.points if point.baseline] == ["0"]


@given(share, share)
def test_a_dumbbell_has_its_ends_where_the_axis_says(before: float, after: float) -> None:
    axis = axis_over([0.0], [1.0], "percent")
    drawn = dumbbell(axis, before, after, "")
    assert drawn is not None
    assert (float(drawn.before[:-1]) - float(drawn.after[:-1])) * (before - after) >= 0
    assert float(drawn.before[:-1]) == pytest.approx(6 + 88 * before, abs=0.01)
    assert dumbbell(axis, before, Undefined("empty", "no rows"), "") is None
