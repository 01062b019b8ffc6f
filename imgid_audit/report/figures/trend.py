"""A value over many audits: points with their bounds, and the tolerance that they were held against.

Places along the width are percentages and heights are pixels, so a trend keeps its text at any width
and needs no script. Audits stand at equal distances: two of one night are as far apart as any.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from imgid_audit.report import numbers
from imgid_audit.report.blocks import StatusKind
from imgid_audit.report.figures.axis import axis_over
from imgid_audit.report.numbers import Unit

LEFT, RIGHT = 11.0, 97.0
"""Ends of the drawing, per cent of the width; the labels of the values stand left of it."""

TOP, BOTTOM, DATES = 12.0, 128.0, 148.0
"""Pixels: the highest and the lowest value, and the line of the dates."""

HEIGHT = 154


@dataclass(frozen=True, slots=True)
class Moment:
    """One audit of a trend. `value` is None where there was none; `kind` None for a plain point.

    `waived`: the rule did not count, which is drawn around the point.
    """

    date: str
    value: float | None
    low: float | None = None
    high: float | None = None
    tolerance: float | None = None
    kind: StatusKind | None = None
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A line between two points."""

    x1: str
    y1: str
    x2: str
    y2: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The point of one audit: its bounds as a line from `low` to `high` ('' where there are none)."""

    x: str
    y: str
    low: str
    high: str
    kind: StatusKind | Literal["plain"]
    waived: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """A word at a place: of a value (at height `at`), or of a date (`at` along the width)."""

    at: str
    text: str
    anchor: Literal["start", "middle", "end"] = "start"


@dataclass(frozen=True, slots=True)
class Trend:
    """The drawing: light lines at round values, the tolerance dashed, links between neighbours, marks.

    `unit` is written once, at the foot of the labels, where they do not bear it themselves.
    """

    height: int
    text: str
    left: str
    right: str
    values: tuple[Label, ...]
    dates: tuple[Label, ...]
    tolerances: tuple[Segment, ...]
    links: tuple[Segment, ...]
    marks: tuple[Mark, ...]
    date_y: str
    unit: str = ""


def trend(moments: Sequence[Moment], unit: Unit | None, text: str) -> Trend | None:
    """The trend of `moments`, oldest first; None where no audit has a value. No unit: percentage points.

    `text` says the same in words, for those who do not see the drawing.
    """
    known = [v for m in moments if m.value is not None for v in (m.value, m.low, m.high, m.tolerance) if v is not None]
    if not known:
        return None
    axis, count = axis_over([min(known)], [max(known)], unit), len(moments)
    steps = max(len(axis.ticks) - 1, 1)

    def y(value: float) -> str:
        share = (value - axis.low) / (axis.high - axis.low)
        return numbers.coordinate(BOTTOM - (BOTTOM - TOP) * min(max(share, 0.0), 1.0))

    return Trend(
        height=HEIGHT,
        text=text,
        left=_per_cent(LEFT),
        right=_per_cent(RIGHT),
        values=tuple(
            Label(y(axis.low + (axis.high - axis.low) * i / steps), tick.label) for i, tick in enumerate(axis.ticks)
        ),
        dates=_dates(moments),
        tolerances=tuple(
            Segment(_x(first - 0.5, count), y(value), _x(last + 0.5, count), y(value))
            for first, last, value in _spans(moments)
        ),
        links=tuple(
            Segment(_x(i, count), y(a.value), _x(i + 1, count), y(b.value))
            for i, (a, b) in enumerate(pairwise(moments))
            if a.value is not None and b.value is not None
        ),
        marks=tuple(_mark(moment, _x(i, count), y) for i, moment in enumerate(moments) if _drawn(moment)),
        date_y=numbers.coordinate(DATES),
        unit="points" if unit is None else "",
    )


def _drawn(moment: Moment) -> bool:
    return moment.value is not None or moment.kind is not None


def _mark(moment: Moment, x: str, y: Callable[[float], str]) -> Mark:
    """The point of an audit; at the foot where it has no value."""
    kind = moment.kind or "plain"
    if moment.value is None:
        return Mark(x, numbers.coordinate(BOTTOM), "", "", kind, moment.waived)
    low, high = ("" if bound is None else y(bound) for bound in (moment.low, moment.high))
    return Mark(x, y(moment.value), low, high, kind, moment.waived)


def _x(place: float, count: int) -> str:
    return _per_cent(LEFT + (RIGHT - LEFT) * (place + 0.5) / count)


def _per_cent(share: float) -> str:
    return f"{numbers.coordinate(share)}%"


def _spans(moments: Sequence[Moment]) -> list[tuple[int, int, float]]:
    """Stretches of audits with one tolerance: first, last, tolerance."""
    spans: list[tuple[int, int, float]] = []
    for i, moment in enumerate(moments):
        if moment.tolerance is None:
            continue
        if spans and spans[-1][1] == i - 1 and spans[-1][2] == moment.tolerance:
            spans[-1] = (spans[-1][0], i, moment.tolerance)
        else:
            spans.append((i, i, moment.tolerance))
    return spans


def _dates(moments: Sequence[Moment]) -> tuple[Label, ...]:
    """The first and the last date; one where they are the same."""
    first, last = moments[0].date, moments[-1].date
    if first == last:
        return (Label(_per_cent(LEFT), first),)
    return Label(_per_cent(LEFT), first), Label(_per_cent(RIGHT), last, "end")
