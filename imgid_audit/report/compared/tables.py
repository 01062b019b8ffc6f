"""Tables of what a comparison measured: the answer, other changes, groups, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from imgid_audit.core.comparison import MethodChange, MethodEstimate, MethodRecord, Quantity
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number, undefined
from imgid_audit.report.compared import wording
from imgid_audit.report.compared.view import Asked, View, difference_unit, direction
from imgid_audit.report.figures.axis import Axis, Strip, axis_over
from imgid_audit.report.figures.dumbbell import dumbbell, inward
from imgid_audit.report.numbers import Unit
from imgid_audit.report.tables import Methods, capped

MOST_GROUPS = 12
"""Groups that are drawn for each method: those that were worst before."""

MOST_OTHERS = 10
"""Other quantities that get a column."""

WIDE = 5
"""Columns of other changes side by side, as fit a printed page."""

DASH = Cell("–", "number")

ASIDE = "†"
"""Marks methods that learnt from rows set aside."""


def side(value: float | Undefined, quantity: Quantity, metric: str) -> str:
    """A value before or after: a gap as a difference, all else in the metric's unit."""
    if isinstance(value, Undefined):
        return numbers.undefined(value)
    unit = words.unit(metric)
    return numbers.difference(value, unit) if quantity == "gap" else numbers.metric_value(value, unit)


def change_cell(change: MethodChange | None, methods: Methods | None = None) -> Cell:
    """The change with its sign over its interval; why there is none; a dash where it was not measured."""
    if change is None:
        return DASH
    if isinstance(change.value, Undefined):
        return undefined(numbers.undefined(change.value))
    unit = words.unit(change.metric)
    detail = "" if change.interval is None else numbers.difference_interval(change.interval, unit)
    text = numbers.signed_difference(change.value, unit)
    mark = "" if methods is None else methods.mark(change.interval)
    return Cell(text, "number", numbers.sort_key(change.value), mark, detail)


def answer(view: View) -> Table:
    """The primary quantity: a row a method, with its verdict, the change, and what it is uncertain by."""
    comparison = view.comparison
    found = [view.verdict_of(record.name) for record in view.tried]
    known = [change for change in found if change is not None]
    axis = _change_axis(known)
    methods = Methods([change.interval for change in known])
    rows = tuple(_answer_row(record, change, axis) for record, change in zip(view.tried, found, strict=True))
    columns = (
        Column("Method", "name"),
        Column("Verdict", "text"),
        Column("Change", "number"),
        Column("Standard errors", "number"),
        Column("Adjusted p", "number"),
        Column("", "plot", axis),
    )
    caption = (
        f"Change of the {wording.primary(comparison.primary)}, each method less {comparison.baseline}, "
        "on the same test rows and the same seeds"
    )
    way = direction(comparison.primary.quantity, comparison.primary.metric)
    better = {1: "Above 0 is better.", -1: "Below 0 is better.", 0: ""}[way]
    tested = any(change.p_adjusted is not None for change in known)
    notes = (
        better,
        "Standard errors: from the scatter of the seeds, and from the sampling of the test rows; interval and verdict "
        "combine both.",
        "p: that the change is 0; adjusted for all methods (Holm)." if tested else "",
        f"{ASIDE} {said}" if (said := wording.aside(comparison)) else "",
        *methods.notes,
        next((one.value.reason for one in known if _suppressed(one) and isinstance(one.value, Undefined)), ""),
    )
    return Table(caption, columns, rows, tuple(filter(None, notes)), "What each method changed", "compared answer")


def _answer_row(record: MethodRecord, change: MethodChange | None, axis: Axis | None) -> tuple[Cell, ...]:
    head = replace(name(record.name), mark=ASIDE if record.uses_adjust and record.status == "ran" else "")
    if record.status == "not_run" or change is None:
        told = Cell(words.statement(record.reason) or "Not measured.", "plot")
        return (head, Cell("Not run", "text", status="off"), DASH, DASH, DASH, told)
    unit = words.unit(change.metric)
    ends = [side(value, change.quantity, change.metric) for value in (change.before, change.after)]
    p = DASH
    if change.p_adjusted is not None:
        p = number(numbers.p_value(change.p_adjusted), numbers.sort_key(change.p_adjusted))
    plotted = _strip(change, axis)
    told = Cell(_untold(change), "plot", strip=plotted)
    detail = "" if _suppressed(change) else _two(ends)
    return (replace(head, detail=detail), _verdict(change), change_cell(change), _errors(change, unit), p, told)


def _errors(change: MethodChange, unit: Unit) -> Cell:
    """The two standard errors, one above the other."""
    if change.seed_error is None or change.test_error is None:
        return DASH
    seeds, rows = (numbers.difference(error, unit) for error in (change.seed_error, change.test_error))
    return number(f"seeds {seeds}", numbers.sort_key(change.seed_error), f"test rows {rows}")


def _two(ends: Sequence[str]) -> str:
    """One text where both are undefined for the same reason."""
    before, after = ends
    return before if before == after and before.startswith("undefined") else f"{before} → {after}"


def _suppressed(change: MethodChange) -> bool:
    return isinstance(change.value, Undefined) and change.value.kind == "suppressed"


def _untold(change: MethodChange) -> str:
    return change.value.reason if isinstance(change.value, Undefined) and not _suppressed(change) else ""


def _verdict(change: MethodChange) -> Cell:
    levelled = wording.LEVELLING if change.levelling_down else ""
    said = wording.judged(change)
    if said is None:
        return Cell("No verdict", "text", status="off", detail=levelled)
    return Cell(wording.VERDICT_WORDS[said], "text", status=wording.VERDICT_KINDS[said], detail=levelled)


def _change_axis(changes: Sequence[MethodChange]) -> Axis | None:
    ends = [end for one in changes if one.interval is not None for end in (one.interval.low, one.interval.high)]
    if not ends:
        return None
    return axis_over([*ends, 0.0], [*ends, 0.0], difference_unit(words.unit(changes[0].metric)), least=0.04)


def _strip(change: MethodChange, axis: Axis | None) -> Strip | None:
    if isinstance(change.value, Undefined) or change.interval is None or axis is None:
        return None
    unit = words.unit(change.metric)
    said = f"{numbers.signed_difference(change.value, unit)}, {numbers.difference_interval(change.interval, unit)}"
    grid = tuple(tick.x for tick in axis.ticks)
    return Strip(
        axis.x(change.interval.low), axis.x(change.value), axis.x(change.interval.high), axis.x(0.0), grid, said
    )


def others(view: View) -> tuple[Table, ...]:
    """Changes that were not declared: every other quantity, with intervals and without verdicts."""
    tried = [record for record in view.tried if record.status == "ran"]
    asked = sorted(_asked(view), key=_place)
    shown, rest = asked[:MOST_OTHERS], len(asked) - MOST_OTHERS
    made = []
    parts = [shown[i : i + WIDE] for i in range(0, len(shown), WIDE)]
    for place, part in enumerate(parts):
        found = {(r.name, one): view.changes.get((r.name, *one)) for r in tried for one in part}
        methods = Methods([one.interval for one in found.values() if one is not None])
        rows = tuple((name(r.name), *(change_cell(found[r.name, one], methods) for one in part)) for r in tried)
        columns = (Column("Method", "name"), *(Column(_head(one), "number") for one in part))
        notes = methods.notes
        if rest > 0 and place == len(parts) - 1:
            more = f"{numbers.plural(rest, 'more quantity', 'more quantities')} in comparison.json and the CSV table."
            notes = (*notes, more)
        heading = "Other changes, without verdicts" if not place else ""
        made.append(Table(CHANGES, columns, rows, notes, heading, "compared"))
    return tuple(made)


CHANGES = (
    "Method less baseline; these were not declared beforehand, so each interval stands for itself and proves nothing"
)


def _asked(view: View) -> list[Asked]:
    primary = view.primary
    found = dict.fromkeys((one[1], one[2], one[3]) for one in view.changes)
    return [one for one in found if one != primary]


RANKS: dict[Quantity, int] = {"overall": 0, "worst_group": 1, "gap": 2, "worst_class": 3, "group": 4}


def _place(one: Asked) -> tuple[bool, bool, int, int]:
    """Rates before scores, accuracy first, overall before worst."""
    quantity, metric, _ = one
    known = METRICS.names.index(metric) if metric in METRICS else len(METRICS.names)
    return words.unit(metric) == "decimal", known != 0 and quantity == "overall", RANKS[quantity], known


def _head(one: Asked) -> str:
    quantity, metric, class_name = one
    said = words.sentence(wording.series(quantity, metric, class_name))
    where = {"overall": "all rows", "worst_group": "worst group", "worst_class": "worst class", "gap": "gap"}
    lower = ", lower is better" if direction(quantity, metric) < 0 else ""
    return f"{said}, {where.get(quantity, quantity)}{lower}"


def dumbbells(view: View) -> tuple[Table, ...]:
    """Every group before and after, a table a method, all along one axis."""
    tried = [record for record in view.tried if record.status == "ran" and view.groups(record.name)]
    every = [change for record in tried for change in view.groups(record.name)]
    ends = [v for one in every for v in (one.before, one.after) if not isinstance(v, Undefined)]
    axis = inward(axis_over(ends, ends, difference_unit(words.unit(every[0].metric)))) if ends else None
    return tuple(_dumbbell_table(view, record, axis) for record in tried)


def _dumbbell_table(view: View, record: MethodRecord, axis: Axis | None) -> Table:
    changes = view.groups(record.name)
    shown, left_out = capped(_worst_before(changes), MOST_GROUPS, "groups")
    rows = tuple(_dumbbell_row(one, axis) for one in shown)
    where = " × ".join(view.comparison.primary.across)
    columns = (Column(where, "name"), Column("Change", "number"), Column("", "plot", axis))
    series = words.series(changes[0].metric, changes[0].class_name, multiclass=True)
    rates = ", per cent" if words.unit(changes[0].metric) == "percent" else ""
    caption = f"{words.sentence(series)}{rates}; worst before first"
    return Table(caption, columns, rows, left_out, record.name, "compared")


def _worst_before(changes: Sequence[MethodChange]) -> tuple[MethodChange, ...]:
    sign = -1 if direction(changes[0].quantity, changes[0].metric) < 0 else 1

    def order(one: MethodChange) -> float:
        return float("inf") if isinstance(one.before, Undefined) else sign * one.before

    return tuple(sorted(changes, key=order))


def _dumbbell_row(one: MethodChange, axis: Axis | None) -> tuple[Cell, ...]:
    ends = [side(value, one.quantity, one.metric) for value in (one.before, one.after)]
    drawn = None if axis is None else dumbbell(axis, one.before, one.after, f"from {ends[0]} to {ends[1]}")
    return (
        name(words.group(one.slice), _two(ends)),
        change_cell(one),
        Cell(_untold(one), "plot", pair=drawn),
    )


def calibration(view: View) -> Table | None:
    """Methods that shift the prior: calibration before and after their scores were brought back; None without any."""
    metrics = [m for m in METRICS.names if any(key[2] == m for key in view.recalibrated)][:3]
    asked: list[tuple[str, Quantity]] = [(metric, "overall") for metric in metrics]
    shown = [r for r in view.ran if any((r.name, q, m, None) in view.recalibrated for m, q in asked)]
    if not shown:
        return None
    base = next((r for r in view.ran if r.name == view.comparison.baseline), None)
    found: list[Interval | None] = []
    rows = []
    for record in ([base] if base is not None and base not in shown else []) + shown:
        cells = []
        for metric, quantity in asked:
            for where in (view.means, view.recalibrated):
                one = where.get((record.name, quantity, metric, None))
                found.append(None if one is None else one.interval)
                cells.append(estimate_cell(one))
        rows.append((name(record.name), *cells))
    columns = [Column("Method", "name")]
    for metric in metrics:
        title = words.sentence(words.metric(metric))
        columns += [Column(f"{title} as trained", "number"), Column(f"{title} recalibrated", "number")]
    note = (
        "These methods train for another frequency of classes than the data's, so their scores speak of that one. "
        "Recalibrated: scores brought back to the natural frequency on val. Lower is better."
    )
    caption = "Means over the seeds, all test rows"
    heading = "Calibration before and after recalibration"
    return Table(caption, tuple(columns), tuple(rows), (note, *Methods(found).notes), heading, "compared")


def estimate_cell(one: MethodEstimate | None) -> Cell:
    """A mean over seeds above its interval."""
    if one is None:
        return DASH
    if isinstance(one.value, Undefined):
        return undefined(numbers.undefined(one.value))
    unit = words.unit(one.metric)
    detail = "" if one.interval is None else numbers.interval(one.interval, unit)
    return number(side(one.value, one.quantity, one.metric), numbers.sort_key(one.value), detail)
