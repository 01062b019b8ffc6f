"""Two qualities of several methods against each other, with their intervals as crosses, and the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import dist

from imgid_audit.core.result import Interval
from imgid_audit.report.figures.axis import Axis, axis_over
from imgid_audit.report.numbers import Unit, coordinate

LEFT, TOP, WIDE, HIGH = 46.0, 10.0, 320.0, 262.0
"""The frame, in the drawing's own units."""

LETTER, LINE, AWAY, APART = 7.7, 11.0, 6.0, 4.0
"""Width of a digit and height of a line of a point's number, its distance from the point and from the next number."""

RINGS = (0.0, 5.0, 10.0, 16.0, 23.0, 31.0, 40.0)
"""How much farther from its point than usual a number may stand."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A method to be drawn: its number, both values with their intervals, and the same in words."""

    mark: str
    x: float
    y: float
    x_interval: Interval | None
    y_interval: Interval | None
    text: str
    baseline: bool = False


@dataclass(frozen=True, slots=True)
class Point:
    """A drawn method: its place, the ends of its cross, and where its number stands ('' for what there is not).

    `leader` is the end of a line from the point towards its number; `square` the corner of a baseline's mark.
    """

    mark: str
    x: str
    y: str
    left: str
    right: str
    top: str
    bottom: str
    label_x: str
    label_y: str
    leader: tuple[str, str] | None
    square: tuple[str, str]
    text: str
    baseline: bool
    on_front: bool


@dataclass(frozen=True, slots=True)
class Tick:
    """A round value along an axis."""

    at: str
    text_at: str
    label: str


@dataclass(frozen=True, slots=True)
class Pareto:
    """Geometry of the plot: the frame, ticks, points, and the front as a staircase ('' where it is one point)."""

    width: str
    height: str
    frame: tuple[str, str, str, str]
    right: str
    bottom: str
    middle_x: str
    middle_y: str
    tick_y: str
    title_y: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    points: tuple[Point, ...]
    front: str


def front_of(points: Sequence[tuple[float, float]], better: tuple[int, int]) -> tuple[bool, ...]:
    """Whether no other point is at least as good in both and better in one; `better` is +1 or -1 for each."""
    good = [(x * better[0], y * better[1]) for x, y in points]
    return tuple(not any(a >= x and b >= y and (a, b) != (x, y) for a, b in good) for x, y in good)


def pareto(candidates: Sequence[Candidate], units: tuple[Unit, Unit], better: tuple[int, int]) -> Pareto | None:
    """The plot of `candidates`, better towards the side that `better` says; None without any."""
    if not candidates:
        return None
    axis_x = _axis([one.x for one in candidates], [one.x_interval for one in candidates], units[0])
    axis_y = _axis([one.y for one in candidates], [one.y_interval for one in candidates], units[1])

    def across(value: float) -> float:
        return LEFT + WIDE * _share(axis_x, value)

    def up(value: float) -> float:
        return TOP + HIGH * (1 - _share(axis_y, value))

    on_front = front_of([(one.x, one.y) for one in candidates], better)
    centres = [(across(one.x), up(one.y)) for one in candidates]
    labels = _labels(centres, [one.mark for one in candidates])
    points = []
    for one, (x, y), label, front in zip(candidates, centres, labels, on_front, strict=True):
        wide, high = one.x_interval, one.y_interval
        points.append(
            Point(
                one.mark, coordinate(x), coordinate(y),
                "" if wide is None else coordinate(across(wide.low)),
                "" if wide is None else coordinate(across(wide.high)),
                "" if high is None else coordinate(up(high.high)),
                "" if high is None else coordinate(up(high.low)),
                *(("", "") if label is None else (coordinate(label[0]), coordinate(label[1]))),
                _leader((x, y), label, one.mark),
                (coordinate(x - 4), coordinate(y - 4)),
                one.text, one.baseline, front,
            )
        )  # fmt: skip
    steps = [(one.x, one.y) for one, front in zip(candidates, on_front, strict=True) if front]
    return Pareto(
        width=coordinate(LEFT + WIDE + 20),
        height=coordinate(TOP + HIGH + 36),
        frame=(coordinate(LEFT), coordinate(TOP), coordinate(WIDE), coordinate(HIGH)),
        right=coordinate(LEFT + WIDE),
        bottom=coordinate(TOP + HIGH),
        middle_x=coordinate(LEFT + WIDE / 2),
        middle_y=coordinate(-(TOP + HIGH / 2)),
        tick_y=coordinate(TOP + HIGH + 13),
        title_y=coordinate(TOP + HIGH + 29),
        x_ticks=_ticks(axis_x, LEFT, WIDE, 0.0),
        y_ticks=_ticks(axis_y, TOP + HIGH, -HIGH, 3.5),
        points=tuple(points),
        front=" ".join(f"{coordinate(across(x))},{coordinate(up(y))}" for x, y in staircase(steps, better)),
    )


def staircase(front: Sequence[tuple[float, float]], better: tuple[int, int]) -> list[tuple[float, float]]:
    """The edge of what the front's points better: its points from one end to the other, with corners between."""
    ordered = sorted(set(front), key=lambda p: p[0] * better[0])
    path = ordered[:1] if len(ordered) > 1 else []
    for (x, _), (next_x, next_y) in pairwise(ordered):
        path += [(x, next_y), (next_x, next_y)]
    return path


def _axis(values: Sequence[float], intervals: Sequence[Interval | None], unit: Unit) -> Axis:
    ends = [*values, *(end for one in intervals if one is not None for end in (one.low, one.high))]
    return axis_over(ends, ends, unit, least=0.03)


def _share(axis: Axis, value: float) -> float:
    return min(max((value - axis.low) / (axis.high - axis.low), 0.0), 1.0)


def _ticks(axis: Axis, start: float, length: float, down: float) -> tuple[Tick, ...]:
    steps = max(len(axis.ticks) - 1, 1)
    places = [start + length * i / steps for i in range(len(axis.ticks))]
    return tuple(
        Tick(coordinate(at), coordinate(at + down), tick.label) for at, tick in zip(places, axis.ticks, strict=True)
    )


Box = tuple[float, float, float, float]


def _labels(centres: Sequence[tuple[float, float]], marks: Sequence[str]) -> list[tuple[float, float] | None]:
    """Where each number starts (its base line): as near to its point as it stands clear of all others.

    No two numbers touch, none leaves the frame, and none covers a point while there is room elsewhere. None: the frame
    is full, and the table alone has the number.
    """
    points: list[Box] = [(x - 6, y - 6, x + 6, y + 6) for x, y in centres]
    taken: list[Box] = []
    places: list[tuple[float, float] | None] = []
    for (x, y), mark in zip(centres, marks, strict=True):
        wide = LETTER * len(mark)
        around = [_box(x, y, wide, across, up, far) for far in RINGS for across, up in SIDES]
        others = [place for place in centres if place != (x, y)]
        box = _best(around, (x, y), taken, points, others) or _best(_everywhere(wide), (x, y), taken, points, others)
        places.append(None if box is None else (box[0], box[3] - 2))
        if box is not None:
            taken.append((box[0] - APART, box[1] - 1, box[2] + APART, box[3] + 1))
    return places


def _best(
    tries: Sequence[Box],
    own: tuple[float, float],
    taken: Sequence[Box],
    points: Sequence[Box],
    others: Sequence[tuple[float, float]],
) -> Box | None:
    """The best of the places within the frame and clear of the numbers there are; None where there is none."""
    free = [box for box in tries if _within(box) and not any(_overlap(box, other) for other in taken)]
    return min(free, key=lambda box: _badness(box, own, points, others), default=None)


def _everywhere(wide: float) -> list[Box]:
    """Places all over the frame, as wide as a number of that width."""
    across = [LEFT + wide * i for i in range(int(WIDE / wide))]
    up = [TOP + LINE * i for i in range(int(HIGH / LINE))]
    return [(x, y, x + wide, y + LINE) for y in up for x in across]


def _leader(point: tuple[float, float], label: tuple[float, float] | None, mark: str) -> tuple[str, str] | None:
    """Where a line from the point to its number ends; None where the number stands beside it, or there is none."""
    if label is None:
        return None
    middle = (label[0] + LETTER * len(mark) / 2, label[1] + 2 - LINE / 2)
    away = dist(point, middle)
    if away < 16:
        return None
    share = 1 - 7 / away
    return tuple(coordinate(a + share * (b - a)) for a, b in zip(point, middle, strict=True))  # type: ignore[return-value]


SIDES = ((1, -1), (-1, -1), (1, 1), (-1, 1), (0, -1), (0, 1), (1, 0), (-1, 0))
"""Sides of a point in the order in which they are tried: right or left, above or below."""


def _box(x: float, y: float, wide: float, across: int, up: int, far: float) -> Box:
    """The box of a number on one side of its point: left, top, right, bottom."""
    middle_x = x + across * (AWAY - 1 + wide / 2 + far)
    middle_y = y + up * ((AWAY - 2 if across else AWAY) + LINE / 2 + far)
    return middle_x - wide / 2, middle_y - LINE / 2, middle_x + wide / 2, middle_y + LINE / 2


def _within(box: Box) -> bool:
    return box[0] >= LEFT and box[1] >= TOP and box[2] <= LEFT + WIDE and box[3] <= TOP + HIGH


def _badness(box: Box, own: tuple[float, float], points: Sequence[Box], others: Sequence[tuple[float, float]]) -> float:
    """Area on points, much; nearer to another point than to its own, some; far away, little."""
    middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
    near = dist(middle, own)
    stray = sum(max(0.0, near + 3 - dist(middle, other)) for other in others)
    return 10 * sum(_overlap(box, other) for other in points) + 3 * stray + near


def _overlap(one: Box, other: Box) -> float:
    return max(0.0, min(one[2], other[2]) - max(one[0], other[0])) * max(
        0.0, min(one[3], other[3]) - max(one[1], other[1])
    )
