"""The parts that every section is made of: text that is ready to be placed, and nothing else.

Templates place these and do no arithmetic. A figure is geometry (percentages and coordinates as
text) that a template draws as SVG, so that every word in it is escaped like any other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from imgid_audit.report.figures.axis import Axis, Strip
from imgid_audit.report.figures.dumbbell import Dumbbell

CellKind = Literal["name", "text", "number", "interval", "undefined", "note", "plot", "heat"]
StatusKind = Literal["good", "bad", "open", "off"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One table cell.

    - `text`: what is shown, also in the place of a strip where there is none to draw
    - `mark`: a footnote letter behind it; `detail`: a second, smaller line
    - `sort`: the full number for sorting, '' to sort by the text; undefined cells sort last
    - `strip`: the drawn interval of a forest plot; `bar`: a drawn share, a width in per cent
    - `status`: a verdict or finding pill
    - `pair`: a value before and after, drawn
    - `shade`: step 0 to 8 of a heat map, None for no shade
    """

    text: str = ""
    kind: CellKind = "text"
    sort: str = ""
    mark: str = ""
    detail: str = ""
    strip: Strip | None = None
    bar: str = ""
    status: StatusKind | None = None
    shade: int | None = None
    pair: Dumbbell | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A table column; `axis` is drawn in the head of a forest plot's column."""

    title: str
    kind: CellKind = "text"
    axis: Axis | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A table with its caption, the rows' heads in the first cell, and notes beneath.

    `heading` is the short title that contents and bookmarks show; '' where the table needs none.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    heading: str = ""
    kind: Literal[
        "list",
        "forest",
        "heat",
        "gaps",
        "plain",
        "methods",
        "compared",
        "compared answer",
        "compared trials",
        "forest compared",
    ] = "list"


@dataclass(frozen=True, slots=True)
class Fact:
    """A term and what it is; `code` sets it in a fixed-width face."""

    term: str
    text: str
    code: bool = False


def name(text: str, detail: str = "") -> Cell:
    """The head of a row."""
    return Cell(text, "name", detail=detail)


def number(text: str, sort: str = "", detail: str = "") -> Cell:
    """A number, aligned to the right; `sort` is its full value."""
    return Cell(text, "number", sort, detail=detail)


def undefined(text: str) -> Cell:
    """A cell that says that there is no number, and why."""
    return Cell(text, "undefined")
