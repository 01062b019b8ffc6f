"""A reliability diagram: observed frequency against mean score, with the counts beneath."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgid_audit.core.result import ReliabilityCurve
from imgid_audit.report.numbers import coordinate

SIDE = 200.0
LEFT = 44.0
TOP = 8.0
BARS = 34.0
"""Height of the counts' bars, in the drawing's own units."""


@dataclass(frozen=True, slots=True)
class Dot:
    """A bin with rows: where it is drawn, and its numbers in words."""

    x: str
    y: str
    text: str


@dataclass(frozen=True, slots=True)
class Bar:
    """The count of a bin, as a rectangle."""

    x: str
    y: str
    width: str
    height: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick of both axes: `x` along the bottom, `y` up the side, `text_y` the label's base line."""

    x: str
    y: str
    text_y: str
    label: str


TICKS = tuple(
    Tick(coordinate(LEFT + SIDE * v), coordinate(TOP + SIDE * (1 - v)), coordinate(TOP + SIDE * (1 - v) + 3.5), label)
    for v, label in ((0.0, "0"), (0.25, "0.25"), (0.5, "0.5"), (0.75, "0.75"), (1.0, "1"))
)


@dataclass(frozen=True, slots=True)
class Diagram:
    """Geometry of one diagram; `path` joins the dots; empty bins are neither drawn nor joined over."""

    width: str
    height: str
    dots: tuple[Dot, ...]
    path: str
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...] = TICKS


def diagram(curve: ReliabilityCurve, say: list[str]) -> Diagram:
    """Geometry of a curve; `say[i]` describes bin i."""
    full = np.flatnonzero(curve.count > 0)
    xs = LEFT + SIDE * np.clip(curve.mean_score[full], 0, 1)
    ys = TOP + SIDE * (1 - np.clip(curve.frequency[full], 0, 1))
    dots = tuple(Dot(coordinate(x), coordinate(y), say[i]) for x, y, i in zip(xs, ys, full.tolist(), strict=True))
    floor = TOP + SIDE + 34 + BARS
    heights = BARS * curve.count / max(int(curve.count.max(initial=0)), 1)
    bars = tuple(
        Bar(
            coordinate(LEFT + SIDE * curve.edges[i] + 0.5),
            coordinate(floor - heights[i]),
            coordinate(max(SIDE * (curve.edges[i + 1] - curve.edges[i]) - 1, 0.5)),
            coordinate(heights[i]),
        )
        for i in full.tolist()
    )
    path = " ".join(f"{dot.x},{dot.y}" for dot in dots)
    return Diagram(coordinate(LEFT + SIDE + 8), coordinate(floor + 4), dots, path, bars)
