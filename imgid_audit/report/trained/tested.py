"""What a search's choice changed: on test against the settings as given, and on val with other seeds."""

from __future__ import annotations

from imgid_audit.core.comparison import MethodChange, MethodEstimate
from imgid_audit.core.fit import Search
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.compared import wording as compared
from imgid_audit.report.compared.tables import change_cell, side
from imgid_audit.report.figures.axis import Axis
from imgid_audit.report.tables import MAX_ROWS, Methods, capped
from imgid_audit.report.trained import wording
from imgid_audit.report.trained.view import DASH, difference_axis, difference_strip, mean

UNITS = {"percent": 0, "decimal": 1}

ORDER = {"overall": 1, "worst_group": 2, "gap": 3, "worst_class": 4, "group": 5}


def tested(search: Search) -> Table | None:
    """Chosen against given on the same test rows and seeds, the objective first."""
    found = [
        one for one in search.changes if one.method == "chosen" and one.selected == "declared" and not one.recalibrated
    ]
    if not found:
        return None
    judged = search.judged
    ordered = sorted(found, key=lambda one: (one is not judged, UNITS[words.unit(one.metric)], ORDER[one.quantity]))
    shown, left_out = capped(ordered, MAX_ROWS, "changes")
    axis = difference_axis([(one.value, one.interval) for one in shown if words.unit(one.metric) == "percent"])
    methods = Methods([one.interval for one in shown])
    rows = tuple(_tested_row(search, one, axis, methods, judged=one is judged) for one in shown)
    columns = (
        Column("On test", "name"),
        Column("As given", "number"),
        Column("Chosen", "number"),
        Column("Change", "number"),
        Column("", "plot", axis),
    )
    notes = (
        "Only the objective is judged; the other intervals stand for themselves and prove nothing.",
        *methods.notes,
        *left_out,
    )
    caption = "Chosen less given settings, on the same test rows and the same seeds, after the choice was frozen"
    return Table(caption, columns, rows, notes, "What the choice changed on test", "compared")


def _tested_row(
    search: Search, one: MethodChange, axis: Axis | None, methods: Methods, *, judged: bool
) -> tuple[Cell, ...]:
    said = words.sentence(_what(search, one))
    verdict = compared.judged(one) if judged else None
    detail = "" if verdict is None else f"objective: {compared.VERDICT_WORDS[verdict].lower()}"
    sides = [
        _side(one, value, _interval(search, method, one))
        for method, value in (("given", one.before), ("chosen", one.after))
    ]
    drawn = None
    if words.unit(one.metric) == "percent":
        drawn = difference_strip(one.value, one.interval, axis, 0.0)
    reason = one.value.reason if isinstance(one.value, Undefined) and one.value.kind != "suppressed" else ""
    return (name(said, detail), *sides, change_cell(one, methods), Cell(reason, "plot", strip=drawn))


def _what(search: Search, one: MethodChange) -> str:
    """The quantity in words; a group by its level."""
    if one.quantity == "group":
        return f"{words.series(one.metric, one.class_name, multiclass=True)}, {words.group(one.slice)}"
    across = search.objective.across
    return compared.quantity(one.quantity, one.metric, one.class_name, across)


def _side(one: MethodChange, value: float | Undefined, interval: Interval | None) -> Cell:
    if isinstance(value, Undefined):
        return Cell(numbers.undefined(value), "undefined")
    detail = "" if interval is None or one.quantity == "gap" else numbers.interval(interval, words.unit(one.metric))
    return number(side(value, one.quantity, one.metric), numbers.sort_key(value), detail)


def _interval(search: Search, method: str, of: MethodChange) -> Interval | None:
    """The interval of one side: that of the mean over seeds."""

    def same(one: MethodEstimate) -> bool:
        alike = (one.method, one.quantity, one.metric, one.class_name) == (
            method,
            of.quantity,
            of.metric,
            of.class_name,
        )
        return (
            alike and one.seed is None and (one.slice == of.slice or one.quantity != "group") and not one.recalibrated
        )

    return next((one.interval for one in search.estimates if same(one)), None)


def fresh(search: Search) -> Table | None:
    """The objective on val, of networks with other seeds than the search's."""
    if not search.val or search.chosen in (None, 0):
        return None
    rows = []
    for place, (key, label) in enumerate((("given", "As given"), ("chosen", "Chosen"))):
        values = search.val.get(key, ())
        trial = wording.trial_named(search, 0 if key == "given" else search.chosen)
        cells = [Cell(wording.on_val(search, value), "number") for value in values]
        found = wording.reached(trial)
        rows.append(
            (
                name(label),
                Cell(wording.on_val(search, found), "number"),
                *cells,
                Cell(wording.on_val(search, mean([pair[place] for pair in wording.shared(search)])), "number"),
            )
        )
    seeds = tuple(Column(f"Seed {numbers.count(seed)}", "number") for seed in search.seeds)
    widest = max(len(row) for row in rows)
    rows = [(*row[:-1], *([DASH] * (widest - len(row))), row[-1]) for row in rows]
    columns = (Column("Settings", "name"), Column("In the search", "number"), *seeds, Column("Mean of seeds", "number"))
    note = (
        "A best value of many tries on one val split is too high. The other seeds show what is left of it; they still "
        "speak of the same val rows. Means are of the seeds that both have a value for."
    )
    caption = f"{words.sentence(search.criterion)}: in the search, and of networks with seeds of their own"
    return Table(caption, columns, tuple(rows), (note,), "What the choice is worth with other seeds", "compared")
