"""Tables that several sections share: a forest plot of estimates, methods as footnotes, capped lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from imgid_audit.core.result import Estimate, Gap, Interval, Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number, undefined
from imgid_audit.report.figures.axis import Axis, axis_over, strip
from imgid_audit.report.numbers import Unit

MAX_ROWS = 30
"""Rows that a printed table has at most; the rest is said to be in the data files."""

ELSEWHERE = "All of them are in audit.json and in the CSV tables."

T = TypeVar("T")


class Methods:
    """Footnote letters for interval methods: where a table has one method, no letter is needed."""

    def __init__(self, intervals: Sequence[Interval | None]) -> None:
        said = dict.fromkeys(_method(i) for i in intervals if i is not None)
        self._letters = {text: chr(ord("a") + i) for i, text in enumerate(said)}

    def mark(self, interval: Interval | None) -> str:
        """The letter behind an interval; '' where the table has one method only."""
        if interval is None or len(self._letters) < 2:
            return ""
        return self._letters[_method(interval)]

    @property
    def notes(self) -> tuple[str, ...]:
        """The footnotes."""
        if len(self._letters) < 2:
            return tuple(f"Intervals: {text}." for text in self._letters)
        return ("Intervals: " + "; ".join(f"{letter} {text}" for text, letter in self._letters.items()) + ".",)


def _method(interval: Interval) -> str:
    return f"{numbers.level(interval.level)} {interval.method}"


def capped(rows: Sequence[T], most: int, what: str) -> tuple[tuple[T, ...], tuple[str, ...]]:
    """The first `most` rows, and a note that says how many are left out and where they are."""
    if len(rows) <= most:
        return tuple(rows), ()
    note = f"Shown: the first {numbers.count(most)} of {numbers.plural(len(rows), *_forms(what))}. {ELSEWHERE}"
    return tuple(rows[:most]), (note,)


def _forms(what: str) -> tuple[str, str]:
    return what.removesuffix("s"), what


def forest(
    estimates: tuple[Estimate, ...],
    unit: Unit,
    reference: Estimate | None,
    *,
    caption: str,
    heading: str,
    first: str,
    label: Callable[[Estimate], str],
) -> Table:
    """A forest plot as a table: a row an estimate with n, value, interval, and the interval drawn.

    `estimates` are in the order that is to be shown, undefined ones last; they are listed with
    their reason and not drawn. The dashed line is the `reference`.
    """
    shown, left_out = capped(estimates, MAX_ROWS, "groups")
    ends = [e.interval for e in shown if e.interval is not None]
    centre = None if reference is None or isinstance(reference.value, Undefined) else reference.value
    inside = [] if centre is None else [centre]
    axis = axis_over([i.low for i in ends] + inside, [i.high for i in ends] + inside, unit) if ends else None
    methods = Methods([e.interval for e in shown])
    with_subjects = any(e.subjects is not None for e in shown)
    rows = []
    for estimate in shown:
        # what is read first stands first: a phone shows the columns on the left
        row = [name(label(estimate)), *value_cells(estimate, unit, methods)]
        row += [count_cell(estimate.n), count_cell(estimate.support)]
        if with_subjects:
            row.append(subjects_cell(estimate))
        rows.append((*row, _plot(estimate, unit, axis, centre)))
    columns = [Column(first, "name"), Column("Estimate", "number"), Column("Interval", "interval")]
    columns += [Column("n", "number"), Column("Support", "number")]
    if with_subjects:
        columns.append(Column("Subjects", "number"))
    columns.append(Column("", "plot", axis))
    line = () if centre is None or axis is None else (f"Dashed line: all rows, {numbers.metric_value(centre, unit)}.",)
    return Table(caption, tuple(columns), tuple(rows), (*line, *methods.notes, *left_out), heading, "forest")


def value_cells(estimate: Estimate, unit: Unit, methods: Methods) -> tuple[Cell, Cell]:
    """The value and the interval of an estimate; an undefined one says so, and its reason stands beside it."""
    if isinstance(estimate.value, Undefined):
        what = "suppressed" if estimate.value.kind == "suppressed" else "undefined"
        return undefined(what), Cell("–", "interval")
    value = number(numbers.metric_value(estimate.value, unit), numbers.sort_key(estimate.value))
    return value, interval_cell(estimate.interval, unit, methods)


def interval_cell(interval: Interval | None, unit: Unit, methods: Methods) -> Cell:
    """An interval with its footnote letter, sorted by its lower end."""
    if interval is None:
        return Cell("–", "interval")
    text = numbers.interval(interval, unit)
    return Cell(text, "interval", numbers.sort_key(interval.low), methods.mark(interval))


def count_cell(count: int | None) -> Cell:
    """A count of rows; a dash where it is hidden."""
    return number(numbers.count(count), "" if count is None else str(count))


def subjects_cell(estimate: Estimate) -> Cell:
    """The number of subjects; a dash where rows are independent."""
    if estimate.subjects is None:
        return Cell("–", "number")
    return number(numbers.count(estimate.subjects), str(estimate.subjects))


def _plot(estimate: Estimate, unit: Unit, axis: Axis | None, centre: float | None) -> Cell:
    """The interval drawn along the axis, or the reason why there is nothing to draw."""
    if isinstance(estimate.value, Undefined):
        return Cell(estimate.value.reason or words.UNDEFINED_WORDS[estimate.value.kind], "plot")
    if axis is None or estimate.interval is None:
        return Cell("", "plot")
    said = f"{numbers.metric_value(estimate.value, unit)}, interval {numbers.interval(estimate.interval, unit)}"
    return Cell("", "plot", strip=strip(axis, estimate, centre, said))


def gap_value(gap: Gap) -> str:
    """A gap's value in its own unit, or why it has none."""
    if isinstance(gap.value, Undefined):
        return numbers.undefined(gap.value)
    if gap.kind == "ratio":
        return numbers.decimal(gap.value)
    return numbers.difference(gap.value, words.unit(gap.metric))


def gap_interval(gap: Gap) -> str:
    """A gap's simultaneous interval, or a dash."""
    if gap.interval is None:
        return "–"
    if gap.kind == "ratio":
        return numbers.ratio_interval(gap.interval)
    return numbers.difference_interval(gap.interval, words.unit(gap.metric))
