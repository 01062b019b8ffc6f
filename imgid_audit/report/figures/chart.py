"""Values along an axis as lines and marks: learning curves, the history of a search, ladders.

Places are in the drawing's own units. What colours tell, shapes and dashes tell too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from imgid_audit.report import numbers
from imgid_audit.report.figures.axis import axis_over
from imgid_audit.report.numbers import Unit, coordinate

Look = Literal["main", "other", "aside"]
"""A solid line, a dashed one, and a thin grey one that the others are seen beside."""

Shape = Literal["dot", "hollow", "cross", "square"]

WIDE, HIGH, PANEL_WIDE, PANEL_HIGH = 300.0, 168.0, 168.0, 96.0
"""The frame of a chart, and of one of many panels."""

LEFT, TOP, BELOW, RIGHT = 44.0, 8.0, 34.0, 14.0
LETTER, LINE = 5.2, 10.0
"""Width of a small letter, height of a small line."""

LABEL = 18
"""Letters of a line's name beside its end; the table has the whole of it."""

MANY = 50.0
"""Losses whose largest is so many times the median are drawn along a logarithmic axis."""


@dataclass(frozen=True, slots=True)
class Datum:
    """A value at a place along the width. `value` None: nothing there, and no line over it."""

    x: float
    value: float | None
    low: float | None = None
    high: float | None = None
    text: str = ""
    shape: Shape = "dot"
    label: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: its data from left to right; `marked` with a mark at each; `steps`: level until the next.

    `name` stands at its right end; '' for none.
    """

    data: tuple[Datum, ...]
    look: Look = "main"
    marked: bool = False
    joined: bool = True
    steps: bool = False
    name: str = ""


@dataclass(frozen=True, slots=True)
class Frame:
    """What surrounds the lines: axes' titles, units, and whether the width is logarithmic.

    - `unit` None: percentage points; `ceiling`: beyond it the axis goes only where values do
    - `places`: ticks along the width, as value and label; () for round ones
    - `upright`: a line from top to bottom, with its label; `level`: one from side to side
    """

    x_title: str
    y_title: str
    unit: Unit | None = "percent"
    log: bool = False
    places: tuple[tuple[float, str], ...] = ()
    upright: tuple[float, str] | None = None
    level: float | None = None
    ends: tuple[float, float] | None = None
    panel: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """A round value along an axis; `text_at` is where its label stands."""

    at: str
    text_at: str
    label: str


@dataclass(frozen=True, slots=True)
class Path:
    """A drawn line."""

    look: Look
    points: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A drawn mark: the ends of its interval ('' for none), its label, and the same in words."""

    x: str
    y: str
    low: str
    high: str
    shape: Shape
    look: Look
    label: str
    label_y: str
    text: str


@dataclass(frozen=True, slots=True)
class Name:
    """The name of a line at its end."""

    x: str
    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Chart:
    """Geometry of a chart, ready to be placed."""

    width: str
    height: str
    frame: tuple[str, str, str, str]
    right: str
    bottom: str
    tick_x: str
    tick_y: str
    title_y: str
    middle_x: str
    middle_y: str
    x_title: str
    y_title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    paths: tuple[Path, ...]
    marks: tuple[Mark, ...]
    names: tuple[Name, ...]
    upright: str
    upright_label: str
    level: str


@dataclass(frozen=True, slots=True)
class _Scale:
    """A value's place along one side of the frame."""

    low: float
    high: float
    start: float
    length: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high = self._of(self.low), self._of(self.high)
        share = (self._of(value) - low) / (high - low) if high > low else 0.5
        return self.start + self.length * min(max(share, 0.0), 1.0)

    def _of(self, value: float) -> float:
        return math.log10(max(value, 1e-12)) if self.log else value


def chart(lines: Sequence[Line], frame: Frame) -> Chart | None:
    """The chart of `lines`; None where none of them has a value."""
    data = [one for line in lines for one in line.data]
    known = [v for one in data for v in (one.value, one.low, one.high) if v is not None]
    if not known:
        return None
    wide, high = (PANEL_WIDE, PANEL_HIGH) if frame.panel else (WIDE, HIGH)
    named = max((len(_short(line.name)) for line in lines if line.name), default=0)
    margin = max(RIGHT, 10 + LETTER * named)
    up, y_ticks = _upwards(known, frame, high)
    across = _across([one.x for one in data], frame, wide)
    names = _names([line for line in lines if line.name], across, up, high)
    return Chart(
        width=coordinate(LEFT + wide + margin),
        height=coordinate(TOP + high + BELOW),
        frame=(coordinate(LEFT), coordinate(TOP), coordinate(wide), coordinate(high)),
        right=coordinate(LEFT + wide),
        bottom=coordinate(TOP + high),
        tick_x=coordinate(LEFT - 4),
        tick_y=coordinate(TOP + high + 12),
        title_y=coordinate(TOP + high + 27),
        middle_x=coordinate(LEFT + wide / 2),
        middle_y=coordinate(-(TOP + high / 2)),
        x_title=frame.x_title,
        y_title=frame.y_title,
        x_ticks=_x_ticks(across, frame),
        y_ticks=y_ticks,
        paths=tuple(path for line in lines if line.joined for path in _paths(line, across, up)),
        marks=tuple(mark for line in lines for mark in _marks(line, across, up)),
        names=names,
        upright="" if frame.upright is None else coordinate(across.at(frame.upright[0])),
        upright_label="" if frame.upright is None else frame.upright[1],
        level="" if frame.level is None else coordinate(up.at(frame.level)),
    )


def span(values: Sequence[float | None]) -> tuple[float, float] | None:
    """Lowest and highest of the values that are there, so that several charts share one scale."""
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None


def _upwards(known: Sequence[float], frame: Frame, high: float) -> tuple[_Scale, tuple[Tick, ...]]:
    ends = [*known, *(frame.ends or ()), *(() if frame.level is None else (frame.level,))]
    middle = sorted(ends)[len(ends) // 2]
    if frame.unit == "decimal" and min(ends) > 0 and max(ends) > MANY * middle:
        return _decades(ends, high)
    axis = axis_over(ends, ends, frame.unit, least=0.04)
    scale = _Scale(axis.low, axis.high, TOP + high, -high)
    steps = max(len(axis.ticks) - 1, 1)
    places = [TOP + high - high * i / steps for i in range(len(axis.ticks))]
    shown = axis.ticks[:: 2 if frame.panel and len(axis.ticks) > 4 else 1]
    at = places[:: 2 if frame.panel and len(axis.ticks) > 4 else 1]
    return scale, tuple(Tick(coordinate(y), coordinate(y + 3.2), tick.label) for y, tick in zip(at, shown, strict=True))


def _decades(ends: Sequence[float], high: float) -> tuple[_Scale, tuple[Tick, ...]]:
    low, top = math.floor(math.log10(min(ends))), math.ceil(math.log10(max(ends)))
    top = max(top, low + 1)
    scale = _Scale(10.0**low, 10.0**top, TOP + high, -high, log=True)
    every = -(-(top - low) // 5)
    marks = [10.0**power for power in range(low, top + 1, every)]
    return scale, tuple(Tick(coordinate(scale.at(v)), coordinate(scale.at(v) + 3.2), numbers.short(v)) for v in marks)


def _across(places: Sequence[float], frame: Frame, wide: float) -> _Scale:
    low, high = min(places), max(places)
    if high > low:
        inset = 10.0 if frame.log or frame.places else 5.0
        return _Scale(low, high, LEFT + inset, wide - 2 * inset, frame.log)
    return _Scale(low, low, LEFT, wide, frame.log)


def _x_ticks(across: _Scale, frame: Frame) -> tuple[Tick, ...]:
    """Ticks along the width, those left out whose labels would touch; the last stays."""
    asked = frame.places or tuple((v, numbers.count(round(v))) for v in _round(across.low, across.high))
    kept: list[tuple[float, str]] = []
    for value, label in reversed(asked):
        at = across.at(value)
        if kept and at + LETTER * len(label) / 2 + 5 > kept[-1][0] - LETTER * len(kept[-1][1]) / 2:
            continue
        kept.append((at, label))
    return tuple(Tick(coordinate(at), coordinate(at), label) for at, label in reversed(kept))


def _round(low: float, high: float) -> list[float]:
    """Whole round numbers from `low` to `high`, at most seven, the first of them `low` itself."""
    wide = max(high - low, 1.0)
    step = next(s * 10**p for p in range(10) for s in (1, 2, 5) if wide / (s * 10**p) <= 6)
    inner = [float(v) for v in range(math.ceil(low / step) * step, math.floor(high) + 1, step)]
    return inner if inner and inner[0] - low < step / 2 else [low, *inner]


def _paths(line: Line, across: _Scale, up: _Scale) -> list[Path]:
    """The line in as many pieces as its gaps leave."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for one in line.data:
        if one.value is None:
            pieces.append([])
            continue
        place = (across.at(one.x), up.at(one.value))
        if line.steps and pieces[-1]:
            pieces[-1].append((place[0], pieces[-1][-1][1]))
        pieces[-1].append(place)
    return [
        Path(line.look, " ".join(f"{coordinate(x)},{coordinate(y)}" for x, y in piece))
        for piece in pieces
        if len(piece) > 1
    ]


def _marks(line: Line, across: _Scale, up: _Scale) -> list[Mark]:
    """A mark for each value of a marked line; of another one for those that stand alone."""
    values = [one.value for one in line.data]
    found = []
    for i, one in enumerate(line.data):
        if one.value is None:
            continue
        alone = not any(values[j] is not None for j in (i - 1, i + 1) if 0 <= j < len(values))
        if line.marked or alone:
            found.append(_mark(one, line.look, across, up.at))
    return found


def _mark(one: Datum, look: Look, across: _Scale, up: Callable[[float], float]) -> Mark:
    assert one.value is not None
    low, high = ("" if end is None else coordinate(up(end)) for end in (one.low, one.high))
    y = up(one.value)
    above = y if one.high is None else up(one.high)
    return Mark(
        coordinate(across.at(one.x)), coordinate(y), low, high, one.shape, look, one.label,
        coordinate(above - 6 if above - 6 > TOP + LINE / 2 else y + 14), one.text,
    )  # fmt: skip


def _names(lines: Sequence[Line], across: _Scale, up: _Scale, high: float) -> tuple[Name, ...]:
    """Names at the lines' right ends, moved up and down until none touches another."""
    ends = [(line, next((d for d in reversed(line.data) if d.value is not None), None)) for line in lines]
    placed = sorted((up.at(d.value), line.name) for line, d in ends if d is not None and d.value is not None)
    ys = [y for y, _ in placed]
    for i in range(1, len(ys)):
        ys[i] = max(ys[i], ys[i - 1] + LINE)
    over = (ys[-1] - (TOP + high)) if ys else 0.0
    if over > 0:
        ys[-1] -= over
        for i in range(len(ys) - 2, -1, -1):
            ys[i] = min(ys[i], ys[i + 1] - LINE)
    x = coordinate(across.start + across.length + 14)
    return tuple(Name(x, coordinate(y + 3.2), _short(text)) for y, (_, text) in zip(ys, placed, strict=True))


def _short(text: str) -> str:
    return text if len(text) <= LABEL else f"{text[: LABEL - 1]}…"
