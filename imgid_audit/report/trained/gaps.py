"""Generalisation gaps: accuracy on train less that on val, by group, widest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imgid_audit.core.fit import GeneralisationGap
from imgid_audit.core.result import Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.figures.axis import Axis
from imgid_audit.report.numbers import Unit
from imgid_audit.report.tables import MAX_ROWS, Methods, capped
from imgid_audit.report.trained.view import DASH, difference_axis, difference_cell, difference_strip, percent_cell

PERCENT: Unit = "percent"


def table(gaps: Sequence[GeneralisationGap], decided: str = "") -> Table | None:
    """All rows first, then the groups of all attributes, the widest gap first; None without any.

    `decided`: how rows were decided, where that is not as in the curves.
    """
    if not gaps:
        return None
    total = next((one for one in gaps if not one.slice.attributes), None)
    groups = sorted((one for one in gaps if one.slice.attributes), key=_order)
    listed, left_out = capped(groups, MAX_ROWS, "groups")
    shown = [*([] if total is None else [total]), *listed]
    axis = difference_axis([(one.value, one.interval) for one in shown])
    centre = None if total is None or isinstance(total.value, Undefined) else total.value
    methods = Methods([one.interval for one in shown])
    subjects = any(one.train_subjects is not None for one in shown)
    rows = tuple(_row(one, axis, centre, methods, subjects=subjects) for one in shown)
    columns = [Column("Group", "name"), Column("Gap", "number"), Column("Train", "number"), Column("Val", "number")]
    columns.append(Column("Rows train, val", "number"))
    line = () if centre is None else (f"Dashed line: all rows, {numbers.signed_difference(centre, PERCENT)}.",)
    return Table(
        "Accuracy on train less that on val, percentage points; widest gap first",
        (*columns, Column("", "plot", axis)),
        rows,
        (*filter(None, (decided,)), *line, *methods.notes, *_of_sides(shown), *left_out),
        "Generalisation gap by group",
        "forest compared",
    )


def _of_sides(gaps: Sequence[GeneralisationGap]) -> tuple[str, ...]:
    """Levels and methods of the intervals of train and of val by themselves."""
    both = [one for gap in gaps for one in (gap.train_interval, gap.val_interval) if one is not None]
    found = dict.fromkeys(f"{numbers.level(one.level)} {one.method}" for one in both)
    return (f"Of train and of val alone: {'; '.join(found)}.",) if found else ()


def _order(one: GeneralisationGap) -> float:
    return float("inf") if isinstance(one.value, Undefined) else -one.value


def _row(
    one: GeneralisationGap, axis: Axis | None, centre: float | None, methods: Methods, *, subjects: bool
) -> tuple[Cell, ...]:
    gap = difference_cell(one.value, one.interval)
    gap = replace(gap, detail=gap.detail.removesuffix(f"{numbers.NBSP}points"))  # the value above it has the unit
    if isinstance(one.value, Undefined):
        gap = Cell("suppressed" if one.value.kind == "suppressed" else "undefined", "undefined")
    elif mark := methods.mark(one.interval):
        gap = replace(gap, mark=mark)
    where = " × ".join(one.slice.attributes)
    sides = [
        DASH if isinstance(value, Undefined) else percent_cell(value, interval)
        for value, interval in ((one.train, one.train_interval), (one.val, one.val_interval))
    ]
    held = _subjects(one) if subjects else ""
    rows = number(f"{numbers.count(one.train_n)}, {numbers.count(one.val_n)}", str(one.val_n), held)
    drawn = difference_strip(one.value, one.interval, axis, 0.0 if centre is None else centre)
    told = (
        Cell(one.value.reason or words.UNDEFINED_WORDS[one.value.kind], "plot")
        if isinstance(one.value, Undefined)
        else (Cell("", "plot", strip=drawn))
    )
    return (name(words.group(one.slice), where), gap, *sides, rows, told)


def _subjects(one: GeneralisationGap) -> str:
    return f"{numbers.count(one.train_subjects)}, {numbers.count(one.val_subjects)} subjects"
