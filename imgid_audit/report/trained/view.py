"""What several parts of the section share: drawn figures, strips, means, and finding one number of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.core.comparison import MethodEstimate
from imgid_audit.core.fit import Step, Study, Variant
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, number, undefined
from imgid_audit.report.figures.axis import Axis, Strip, axis_over
from imgid_audit.report.figures.chart import Chart
from imgid_audit.report.numbers import Unit

DASH = Cell("–", "number")


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with its title, what it is in words, and what its marks mean."""

    title: str
    chart: Chart
    alternative: str
    caption: str = ""


FAMILIES = {"all rows": ("overall",), "groups": ("group", "worst_group"), "classes": ("class", "worst_class")}
"""Quantities whose intervals hold together, by what they are called."""


def methods_note(steps: Sequence[Step]) -> tuple[str, ...]:
    """Levels and methods of the intervals of steps, of each family that holds together by itself."""
    told = []
    for label, family in FAMILIES.items():
        found = dict.fromkeys(
            f"{numbers.level(round(step.interval.level, 4))} {step.interval.method}"
            for step in steps
            if step.interval is not None and step.quantity in family
        )
        told += [f"{label} {'; '.join(found)}"] if found else []
    return (f"Intervals: {'; '.join(told)}.",) if told else ()


def estimates_note(found: Sequence[MethodEstimate | None]) -> tuple[str, ...]:
    """Levels and methods of the intervals of estimates."""
    methods = dict.fromkeys(
        f"{numbers.level(one.interval.level)} {one.interval.method}"
        for one in found
        if one is not None and one.interval is not None
    )
    return (f"Intervals: {'; '.join(methods)}.",) if methods else ()


def mean(values: Sequence[float | None]) -> float | None:
    """The mean of the values that are there; None without any."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def percent_cell(value: float | Undefined | None, interval: Interval | None = None) -> Cell:
    """A share above its interval; why there is none; a dash where none was measured."""
    if value is None:
        return DASH
    if isinstance(value, Undefined):
        return undefined(numbers.undefined(value))
    detail = "" if interval is None else numbers.interval(interval, "percent")
    return number(numbers.percent(value), numbers.sort_key(value), detail)


def count_cell(count: int) -> Cell:
    """A count that sorts as one."""
    return number(numbers.count(count), str(count))


def difference_cell(value: float | Undefined, interval: Interval | None, unit: Unit = "percent") -> Cell:
    """A difference with its sign above its interval, or why there is none."""
    if isinstance(value, Undefined):
        return undefined(numbers.undefined(value))
    detail = "" if interval is None else numbers.difference_interval(interval, unit)
    return number(numbers.signed_difference(value, unit), numbers.sort_key(value), detail)


def difference_axis(found: Sequence[tuple[float | Undefined, Interval | None]]) -> Axis | None:
    """The axis of differences in points that holds all intervals and 0; None without any interval."""
    ends = [end for _, one in found if one is not None for end in (one.low, one.high)]
    return axis_over([*ends, 0.0], [*ends, 0.0], None, least=0.04) if ends else None


def difference_strip(value: float | Undefined, interval: Interval | None, axis: Axis | None, at: float) -> Strip | None:
    """The interval of a difference along the axis, with a dashed line `at`; None where there is nothing to draw."""
    if isinstance(value, Undefined) or interval is None or axis is None:
        return None
    said = f"{numbers.signed_difference(value, 'percent')}, {numbers.difference_interval(interval, 'percent')}"
    grid = tuple(tick.x for tick in axis.ticks)
    return Strip(axis.x(interval.low), axis.x(value), axis.x(interval.high), axis.x(at), grid, said)


def average(study: Study, variant: str, quantity: str, of: Slice | None = None) -> MethodEstimate | None:
    """The mean over seeds of a variant's accuracy; `of` None: whatever slice it has (of the worst it is picked)."""
    return next(
        (
            one
            for one in study.estimates
            if one.method == variant
            and one.seed is None
            and one.quantity == quantity
            and (of is None or one.slice == of)
            and not one.recalibrated
        ),
        None,
    )


def estimate_cell(one: MethodEstimate | None) -> Cell:
    """A mean over seeds above its interval."""
    return DASH if one is None else percent_cell(one.value, one.interval)


def ran(study: Study) -> tuple[Variant, ...]:
    """The variants that have numbers."""
    return tuple(one for one in study.variants if one.status == "ran")


def groups_of(study: Study) -> tuple[Slice, ...]:
    """The groups that a study speaks of, in its own order."""
    found = [one.slice for one in study.estimates if one.quantity == "group"]
    found += [step.slice for step in study.steps if step.quantity == "group"]
    return tuple(dict.fromkeys(found))


def where(across: Sequence[str]) -> str:
    """The attributes of a group in words, ``sex × view``."""
    return words.breakdown("*".join(across))
