"""Intersections of attributes: heat maps of two, forest plots of more, with n in every cell."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.report import comparisons, numbers, panels, tables, words
from imgid_audit.report.blocks import Cell, Column, Table, name
from imgid_audit.report.facts import Facts, Series
from imgid_audit.report.figures.shade import scale, shade
from imgid_audit.report.section import Section
from imgid_audit.report.sections.groups import GroupPanel, gaps_of

HEAT_COLUMNS = 6
HEAT_ROWS = 30


@dataclass(frozen=True, slots=True)
class Intersections:
    """Payload: a panel an intersection."""

    lead: str
    panels: tuple[GroupPanel, ...]


def build(facts: Facts) -> Intersections | None:
    """Payload of the section; None where no intersection was asked for."""
    if not facts.intersections:
        return None
    lead = (
        "Combinations that some evaluated row has; a blank cell has no rows. Small cells have wide intervals: "
        "read n before the colour."
    )
    if any(panels.suppressed(facts, attributes) for attributes in facts.intersections):
        lead += " Where numbers are suppressed, all combinations are listed, whether any row has them or not."
    return Intersections(lead, tuple(_panel(facts, attributes) for attributes in facts.intersections))


def _panel(facts: Facts, attributes: tuple[str, ...]) -> GroupPanel:
    series = [one for one in facts.series if facts.estimates(one, attributes) and not panels.is_calibration(one[0])]
    leading = panels.leading(facts, series)
    drawn: list[Table] = []
    for one in leading:
        heat = _heat(facts, one, attributes)
        drawn += [heat] if heat is not None else panels.forests(facts, (one,), attributes)
    others = [one for one in series if one not in leading]
    if panels.suppressed(facts, attributes):
        drawn, others = drawn[:1], []
    return GroupPanel(
        " × ".join(attributes),
        gaps_of(facts, "*".join(attributes)),
        tuple(drawn),
        panels.grids(
            f"Other metrics by {' × '.join(attributes)}",
            " × ".join(attributes),
            [(facts.say(one), facts.estimates(one, attributes)) for one in others],
            lambda e: words.group(e.slice),
        ),
        comparisons.beside_chance(facts, leading, attributes),
    )


def _heat(facts: Facts, series: Series, attributes: tuple[str, ...]) -> Table | None:
    """The heat map of two attributes; None where it would not fit a page or there are more than two."""
    estimates = facts.estimates(series, attributes)
    if len(attributes) != 2:
        return None
    by_levels = {e.slice.levels: e for e in estimates}
    first, second = (_levels(facts, attribute, estimates, i) for i, attribute in enumerate(attributes))
    if len(second) > HEAT_COLUMNS and len(first) <= HEAT_COLUMNS:
        first, second, attributes = second, first, attributes[::-1]
        by_levels = {levels[::-1]: e for levels, e in by_levels.items()}
    if len(second) > HEAT_COLUMNS or len(first) > HEAT_ROWS:
        return None
    unit = words.unit(series[0])
    values = [e.value for e in estimates if not isinstance(e.value, Undefined)]
    low, high = scale(values or [0.0])
    methods = tables.Methods([e.interval for e in estimates])
    rows = tuple(
        (name(row), *(_cell(by_levels.get((row, column)), low, high, methods) for column in second)) for row in first
    )
    said = words.sentence(facts.say(series))
    where = " × ".join(attributes)
    legend = f"Shade: light {numbers.metric_value(low, unit)}, dark {numbers.metric_value(high, unit)}."
    legend = legend if values else "No cell has a value, so none is shaded."
    return Table(
        f"Rows: {attributes[0]}; columns: {attributes[1]}",
        (Column(attributes[0], "name"), *(Column(level, "heat") for level in second)),
        rows,
        (legend, *methods.notes),
        f"{said} by {where}",
        "heat",
    )


def _levels(facts: Facts, attribute: str, estimates: tuple[Estimate, ...], place: int) -> tuple[str, ...]:
    """Levels that occur in the intersection, in the order of the attribute."""
    present = {e.slice.levels[place] for e in estimates}
    known = tuple(facts.result.data.attributes.get(attribute, ()))
    ordered = tuple(level for level in known if level in present)
    return ordered + tuple(sorted(present - set(ordered)))


def _cell(estimate: Estimate | None, low: float, high: float, methods: tables.Methods) -> Cell:
    if estimate is None:
        return Cell("", "heat", detail="no rows")
    unit = words.unit(estimate.metric)
    n = f"n{numbers.NBSP}={numbers.NBSP}{numbers.count(estimate.n)}"
    if isinstance(estimate.value, Undefined):
        return Cell(numbers.undefined(estimate.value), "undefined", detail="" if estimate.n is None else n)
    interval = "" if estimate.interval is None else f"{numbers.interval(estimate.interval, unit)} "
    mark = methods.mark(estimate.interval)
    value = numbers.metric_value(estimate.value, unit)
    step = shade(estimate.value, low, high)
    return Cell(value, "heat", numbers.sort_key(estimate.value), mark, f"{interval}{n}", shade=step)


SECTION = Section("intersections", "Intersections", "Heat maps over combinations of attributes.", build)
