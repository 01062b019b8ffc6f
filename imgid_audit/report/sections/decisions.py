"""How scores became decisions: the operating point with its own uncertainty, or the table of costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.core.predictions import Costs, OperatingPoint
from imgid_audit.core.result import AtThreshold, Estimate
from imgid_audit.report import audited, numbers, tables, words
from imgid_audit.report.blocks import Cell, Column, Fact, Table, name, number
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section

COST_CLASSES = 12
"""Classes whose table of costs still fits a printed page."""


@dataclass(frozen=True, slots=True)
class DecisionsMade:
    """Payload: the rule and its uncertainty as facts; groups at the deployed threshold, or the costs."""

    facts: tuple[Fact, ...]
    tables: tuple[Table, ...]


def build(facts: Facts) -> DecisionsMade | None:
    """Payload of the section; None where neither a threshold nor costs decided."""
    evaluation = facts.result.evaluation
    said = (words.statement(audited.operating_point(facts)), _ties(evaluation.operating_point))
    rule = Fact("Decision", " ".join(filter(None, said)))
    if evaluation.costs is not None:
        return DecisionsMade((rule,), (_costs(evaluation.costs, evaluation.task.labels),))
    point = evaluation.operating_point
    if point is None:
        return None
    by_attribute: dict[tuple[str, ...], list[AtThreshold]] = {}
    for one in evaluation.at_threshold:
        by_attribute.setdefault(one.slice.attributes, []).append(one)
    total = by_attribute.pop((), [])
    shown = [_table("all rows", total, ())] if total and not by_attribute else []
    shown += [_table(names[0], total, groups) for names, groups in by_attribute.items()]
    return DecisionsMade((rule, *_uncertainty(point)), tuple(shown))


def _ties(point: OperatingPoint | None) -> str:
    if point is None or point.source == "given":
        return ""
    which = "largest" if point.criterion.startswith("sensitivity") else "smallest"
    what = "that maximise the criterion" if point.criterion.startswith("max ") else "that meet the criterion"
    return f"Of the thresholds {what} it is the {which}."


def _uncertainty(point: OperatingPoint) -> list[Fact]:
    told = []
    if point.draws is not None and point.found is not None and point.level is not None:
        every = numbers.count(point.draws)
        draws = every if point.found == point.draws else f"{numbers.count(point.found)} of {every}"
        lost = "" if point.found == point.draws else " The others lacked the rows that the criterion counts."
        if point.low is None or point.high is None:
            text = f"No interval: only {draws} draws of the {point.source} split could meet the criterion."
        else:
            interval = audited.threshold_interval(point)
            text = f"{interval}, were the {point.source} split drawn again ({point.method}, {draws} draws).{lost}"
        told.append(Fact("Threshold", text))
    if point.achieved_low is not None and point.achieved_high is not None and point.level is not None:
        bounds = f"[{audited.reached(point, point.achieved_low)}, {audited.reached(point, point.achieved_high)}]"
        value = audited.reached(point, point.achieved or 0.0)
        text = (
            f"{value} {bounds} at this threshold on the {point.source} split ({numbers.level(point.level)} "
            f"{point.achieved_method}); not corrected for the threshold having been chosen there."
        )
        told.append(Fact("Criterion reached", text))
    return told


def _table(first: str, total: Sequence[AtThreshold], groups: Sequence[AtThreshold]) -> Table:
    """Sensitivity and specificity of the groups of one attribute, and of all rows, at the one threshold."""
    kept, left_out = tables.capped(tuple(groups), tables.MAX_ROWS, "groups")
    shown = (*total, *kept)
    methods = tables.Methods([e.interval for one in shown for e in (one.sensitivity, one.specificity)])
    ends = any(one.sensitivity_at or one.specificity_at for one in shown)
    rows = tuple(
        (
            name(words.group(one.slice)),
            *_cells(one.sensitivity, one.sensitivity_at, methods, ends=ends),
            *_cells(one.specificity, one.specificity_at, methods, ends=ends),
        )
        for one in shown
    )
    columns = [Column(first if groups else "", "name")]
    for metric, what in (("Sensitivity", "Positives"), ("Specificity", "Negatives")):
        columns += [Column(what, "number"), Column(metric, "number")]
        columns += [Column("Drawn again", "number")] if ends else []
    again = (
        ("Drawn again: what the rate would be with the threshold at the low and at the high end of its interval.",)
        if ends
        else ()
    )
    heading = f"At the deployed threshold by {first}" if groups else "At the deployed threshold"
    return Table("One threshold for all groups", tuple(columns), rows, (*again, *methods.notes, *left_out), heading)


def _cells(
    estimate: Estimate, at: tuple[float, float] | None, methods: tables.Methods, *, ends: bool
) -> tuple[Cell, ...]:
    value, interval = tables.value_cells(estimate, "percent", methods)
    whole = Cell(value.text, value.kind, value.sort, interval.mark, "" if interval.text == "–" else interval.text)
    support = number(numbers.count(estimate.support), str(estimate.support))
    if not ends:
        return support, whole
    if at is None:
        return support, whole, Cell("–", "number")
    return support, whole, number(f"{numbers.percent(at[0])} to {numbers.percent(at[1])}", numbers.sort_key(at[0]))


def _costs(costs: Costs, labels: Sequence[str]) -> Table:
    note = "A row is decided for the label of least expected cost by its scores, the first of equal ones."
    if len(labels) > COST_CLASSES:
        more = f"The table of {numbers.count(len(labels))} classes is in audit.json."
        return Table("Too many classes to show", (Column("Costs", "name"),), (), (note, more), "Costs")
    rows = tuple(
        (name(label), *(number(numbers.setting(cost), numbers.sort_key(cost)) for cost in row))
        for label, row in zip(labels, costs.table, strict=True)
    )
    columns = (Column("True label", "name"), *(Column(label, "number") for label in labels))
    return Table("Rows are true labels, columns what was decided", columns, rows, (note,), "Costs")


SECTION = Section("decisions", "Decisions", "The operating point with its uncertainty, or the costs.", build)
