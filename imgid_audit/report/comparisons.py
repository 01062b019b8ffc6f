"""Gaps drawn beside what chance alone would show, and groups against the best, all rows or a reference."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.result import Against, Contrast, Envelope, Gap, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.report import numbers, tables, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number, undefined
from imgid_audit.report.facts import Facts, Series, worst_first
from imgid_audit.report.figures.axis import Axis, axis_over, gap_strip
from imgid_audit.report.numbers import Unit

AGAINST: tuple[Against, ...] = ("best", "overall", "reference")


def beside_chance(facts: Facts, series: Sequence[Series], attributes: tuple[str, ...]) -> tuple[Table, ...]:
    """The differences of `series` drawn with their noise envelope; a table for each unit of measurement."""
    units: dict[Unit, list[Gap]] = {}
    for gap in facts.gaps("*".join(attributes)):
        known = gap.envelope is not None and not isinstance(gap.value, Undefined)
        if known and (gap.metric, gap.class_name) in series:
            units.setdefault(words.unit(gap.metric), []).append(gap)
    return tuple(_chance_table(facts, part, unit, " × ".join(attributes)) for unit, part in units.items())


def _chance_table(facts: Facts, gaps: Sequence[Gap], unit: Unit, where: str) -> Table:
    ends = [0.0]
    for gap in gaps:
        ends += [gap.interval.high] if gap.interval is not None else []
        ends += [gap.envelope.upper] if gap.envelope is not None else []
        ends += [gap.value] if not isinstance(gap.value, Undefined) else []
    axis = axis_over(ends, ends, None if unit == "percent" else unit)
    rows = tuple(_chance_row(gap, unit, axis, facts.say((gap.metric, gap.class_name))) for gap in gaps)
    columns = (
        Column("Metric", "name"),
        Column("Difference", "number"),
        Column("By chance", "number"),
        Column("", "plot", axis),
    )
    levels = dict.fromkeys(
        f"{numbers.level(gap.envelope.level)} of such draws, {gap.envelope.method}" for gap in gaps if gap.envelope
    )
    note = (
        "Shaded: what groups of these sizes would show by chance, were they all equal; it ends where it holds "
        f"{'; '.join(levels)}. The other metrics' are in tables/gaps.csv."
    )
    what = "Gaps" if unit == "percent" else "Gaps in scores"
    caption = "Highest less lowest group" + (", percentage points" if unit == "percent" else "")
    return Table(caption, columns, rows, (note,), f"{what} across {where} beside chance", "forest")


def _chance_row(gap: Gap, unit: Unit, axis: Axis, title: str) -> tuple[Cell, ...]:
    noise = gap.envelope
    if noise is None or isinstance(gap.value, Undefined):
        return (name(words.sentence(title)), undefined(tables.gap_value(gap)), Cell("–", "number"), Cell("", "plot"))
    return (
        name(words.sentence(title)),
        number(tables.gap_value(gap), numbers.sort_key(gap.value), tables.gap_interval(gap)),
        _noise_cell(noise, unit),
        Cell("", "plot", strip=gap_strip(axis, gap, _said(gap, noise, unit))),
    )


def _noise_cell(noise: Envelope, unit: Unit) -> Cell:
    average = numbers.difference(noise.mean, unit)
    return number(
        f"up to {numbers.difference(noise.upper, unit)}", numbers.sort_key(noise.upper), f"{average} on average"
    )


def _said(gap: Gap, noise: Envelope, unit: Unit) -> str:
    return (
        f"{tables.gap_value(gap)}, interval {tables.gap_interval(gap)}; "
        f"equal groups would show up to {numbers.difference(noise.upper, unit)}"
    )


def contrast_table(facts: Facts, series: Series, attributes: tuple[str, ...]) -> Table | None:
    """Differences of each group from the best, all rows and the reference, worst group first; None without any."""
    found = {
        (one.slice, one.against): one
        for one in facts.result.evaluation.contrasts
        if (one.metric, one.class_name, one.attribute, one.kind) == (*series, "*".join(attributes), "difference")
    }
    kinds = [kind for kind in AGAINST if any(against == kind for _, against in found)]
    if not kinds:
        return None
    references: dict[Against, Slice] = {one.against: one.reference for one in found.values()}
    estimates = worst_first(facts.estimates(series, attributes))
    shown, left_out = tables.capped(estimates, tables.MAX_ROWS, "groups")
    rows = tuple((name(words.group(e.slice)), *(_cell(found.get((e.slice, kind))) for kind in kinds)) for e in shown)
    where = " × ".join(attributes)
    columns = (Column(where, "name"), *(Column(_title(kind, references[kind]), "number") for kind in kinds))
    methods = dict.fromkeys(
        f"{numbers.level(one.interval.level)} {one.interval.method}" for one in found.values() if one.interval
    )
    notes = (f"Intervals: {'; '.join(methods)}.",) if methods else ()
    heading = f"{words.sentence(facts.say(series))}: each group of {where} against others"
    return Table("Worst group first", columns, rows, (*notes, *left_out), heading)


def _title(kind: Against, reference: Slice) -> str:
    if kind == "overall":
        return "Against all rows"
    return f"Against {'the best, ' if kind == 'best' else ''}{words.group(reference)}"


def _cell(one: Contrast | None) -> Cell:
    if one is None:
        return Cell("–", "number")
    if isinstance(one.value, Undefined):
        return undefined(numbers.undefined(one.value))
    unit = words.unit(one.metric)
    detail = "" if one.interval is None else numbers.difference_interval(one.interval, unit)
    return number(numbers.signed_difference(one.value, unit), numbers.sort_key(one.value), detail)
