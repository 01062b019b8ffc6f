"""A panel of estimates over one breakdown: forest plots of the leading metrics, a grid of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

from imgid_audit.core.result import Estimate, Gap, Undefined
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers, tables, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number, undefined
from imgid_audit.report.facts import Facts, Series, worst_first

T = TypeVar("T")

FORESTS = 3
"""Metrics that get a forest plot; those that a rule names come first."""

P_VALUES = "p: that all groups are equal, not that these two are; adjusted for all the gaps of the audit (Holm)."
"""What the p-value beside the best and the worst group of a gap is."""

GRID_COLUMNS = 3
"""Metrics side by side in a grid that still fits a printed page."""


def is_calibration(metric: str) -> bool:
    """Metrics of the scores as probabilities: they need scores and have no class."""
    return metric in METRICS and METRICS[metric].needs == "scores" and not METRICS[metric].per_class


def suppressed(facts: Facts, attributes: tuple[str, ...]) -> bool:
    """Whether the numbers of a breakdown are hidden: then one table says so for all metrics."""
    privacy = facts.result.privacy
    return privacy is not None and "*".join(attributes) in privacy.suppressed


def leading(facts: Facts, series: Sequence[Series], most: int = FORESTS) -> tuple[Series, ...]:
    """The series to draw: those whose metric a rule names, then the others as they were asked for.

    Of series that are the same number by another name (balanced accuracy is the mean recall) the
    first is drawn; the others stay in the grid.
    """
    ruled = {str(rule["metric"]) for rule in facts.rules.values()}
    ranked = sorted(series, key=lambda s: s[0] not in ruled)
    distinct: dict[object, Series] = {}
    for one in ranked:
        distinct.setdefault(_values(facts, one), one)
    return tuple(distinct.values())[:most]


def _values(facts: Facts, series: Series) -> object:
    """The series' values over all rows and every group; two series that share them all are one number.

    Series of classes have no value of their own under class None and are told apart by name.
    """
    breakdowns = [(), *((attribute,) for attribute in facts.attributes)]
    found = [e.value for attributes in breakdowns for e in facts.estimates(series, attributes)]
    values = tuple(v.kind if isinstance(v, Undefined) else round(v, 12) for v in found)
    return values or series


def forests(facts: Facts, series: Sequence[Series], attributes: tuple[str, ...]) -> tuple[Table, ...]:
    """A forest plot a series, groups from worst to best."""
    where = " × ".join(attributes)
    return tuple(
        tables.forest(
            worst_first(facts.estimates(one, attributes)),
            words.unit(one[0]),
            facts.total(one),
            caption="Worst group first",
            heading=f"{words.sentence(facts.say(one))} by {where}",
            first=where,
            label=lambda e: words.group(e.slice),
        )
        for one in series
        if facts.estimates(one, attributes)
    )


def grids(
    caption: str,
    first: str,
    series: Sequence[tuple[str, Sequence[Estimate]]],
    label: Callable[[Estimate], str],
) -> tuple[Table, ...]:
    """Tables of groups by metrics, each cell a value over its interval; a few metrics a table.

    `series` are (title, estimates) whose estimates are of the same groups in the same order.
    """
    made = []
    for part in _parts(series):
        shown = [estimates[: tables.MAX_ROWS] for _, estimates in part]
        methods = tables.Methods([e.interval for estimates in shown for e in estimates])
        rows = [
            (
                name(label(row[0])),
                tables.count_cell(row[0].n),
                *(_grid_cell(e, methods) for e in row),
            )
            for row in zip(*shown, strict=True)
        ]
        columns = [Column(first, "name"), Column("n", "number")]
        columns += [Column(words.sentence(title), "number") for title, _ in part]
        _, left_out = tables.capped(part[0][1], tables.MAX_ROWS, "groups")
        made.append(Table(caption, tuple(columns), tuple(rows), (*methods.notes, *left_out)))
    return tuple(made)


def _parts(series: Sequence[T]) -> list[Sequence[T]]:
    """The series in as few tables as fit, of about equal width."""
    tables_needed = -(-len(series) // GRID_COLUMNS)
    ends = [len(series) * i // tables_needed for i in range(tables_needed + 1)] if series else [0]
    return [series[start:end] for start, end in pairwise(ends)]


def _grid_cell(estimate: Estimate, methods: tables.Methods) -> Cell:
    unit = words.unit(estimate.metric)
    if isinstance(estimate.value, Undefined):
        return undefined(numbers.undefined(estimate.value))
    detail = "" if estimate.interval is None else numbers.interval(estimate.interval, unit)
    value = numbers.metric_value(estimate.value, unit)
    mark = methods.mark(estimate.interval)
    held = f"support {numbers.count(estimate.support)}"
    if estimate.subjects is not None:
        held += f", {numbers.plural(estimate.subjects, 'subject')}"
    return Cell(value, "number", numbers.sort_key(estimate.value), mark, f"{detail} {held}")


def gap_table(
    facts: Facts, gaps: Sequence[Gap], ratios: Sequence[Gap], caption: str, say: Callable[[Gap], str]
) -> Table:
    """Differences beside the ratios of the same series, with best and worst group and adjusted p-value."""
    by_series = {(g.metric, g.class_name, g.attribute): g for g in ratios}
    rows = tuple(
        _gap_row(facts, gap, by_series.get((gap.metric, gap.class_name, gap.attribute)), say(gap)) for gap in gaps
    )
    columns = (
        Column("Metric", "name"),
        Column("Difference", "number"),
        Column("Ratio", "number"),
        Column("Best", "text"),
        Column("Worst", "text"),
        Column("Adjusted p", "number"),
    )
    methods = dict.fromkeys(
        f"{numbers.level(g.interval.level)} {g.interval.method}" for g in (*gaps, *ratios) if g.interval is not None
    )
    notes = (f"Intervals hold for all compared groups at once: {'; '.join(methods)}.",) if methods else ()
    tested = any(g.p_adjusted is not None for g in gaps)
    return Table(caption, columns, rows, (*notes, P_VALUES) if tested else notes, kind="gaps")


def _gap_row(facts: Facts, gap: Gap, ratio: Gap | None, title: str) -> tuple[Cell, ...]:
    p = Cell("–", "number")
    if gap.p_adjusted is not None:
        p = number(numbers.p_value(gap.p_adjusted), numbers.sort_key(gap.p_adjusted))
    return (
        name(words.sentence(title)),
        _gap_cell(gap),
        Cell("–", "number") if ratio is None else _gap_cell(ratio),
        Cell(words.group(gap.best), detail=facts.size(gap.best, (gap.metric, gap.class_name))),
        Cell(words.group(gap.worst), detail=facts.size(gap.worst, (gap.metric, gap.class_name))),
        p,
    )


def _gap_cell(gap: Gap) -> Cell:
    if isinstance(gap.value, Undefined):
        return undefined(tables.gap_value(gap))
    return number(tables.gap_value(gap), numbers.sort_key(gap.value), tables.gap_interval(gap))
