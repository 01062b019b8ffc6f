"""What a search's choice changed: on test against the settings as given, and on val with other seeds."""

from __future__ import annotations

from collections.abc import Sequence

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


def tested(search: Search) -> tuple[Table, ...]:
    """Chosen against given on the same test rows and seeds: the objective first, then all else of its unit.

    What is in another unit has a table of its own: scores (losses, ECE, AUROC) are not drawn, for they have no common
    axis.
    """
    found = [
        one for one in search.changes if one.method == "chosen" and one.selected == "declared" and not one.recalibrated
    ]
    judged = search.judged
    ordered = sorted(found, key=lambda one: (one is not judged, UNITS[words.unit(one.metric)], ORDER[one.quantity]))
    units = dict.fromkeys(words.unit(one.metric) for one in ordered)
    parts = [[one for one in ordered if words.unit(one.metric) == unit] for unit in units]
    return tuple(_tested(search, part, first=not place) for place, part in enumerate(parts))


def _tested(search: Search, found: Sequence[MethodChange], *, first: bool) -> Table:
    """A table of changes in one unit; `first` has the heading, the caption and, where it is judged, the objective."""
    shown, left_out = capped(found, MAX_ROWS, "changes")
    axis = None
    if words.unit(shown[0].metric) == "percent":
        axis = difference_axis([(one.value, one.interval) for one in shown])
    methods = Methods([one.interval for one in shown])
    rows = [_tested_row(search, one, axis, methods) for one in shown]
    columns = [
        Column("On test", "name"),
        Column("As given", "number"),
        Column("Chosen", "number"),
        Column("Change", "number"),
        Column("", "plot", axis),
    ]
    if axis is None and not any(row[-1].text for row in rows):  # nothing is drawn, and nothing told in its place
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    notes = (*methods.notes, *(note.replace("audit.json", "fit.json") for note in left_out))
    if not first:
        return Table("The same of the other metrics", tuple(columns), tuple(rows), notes, "", "compared")
    note = "Only the objective is judged; the other intervals stand for themselves and prove nothing."
    caption = "Chosen less given settings, on the same test rows and the same seeds, after the choice was frozen"
    heading = "What the choice changed on test"
    return Table(caption, tuple(columns), tuple(rows), (note, *notes), heading, "compared")


def _tested_row(search: Search, one: MethodChange, axis: Axis | None, methods: Methods) -> tuple[Cell, ...]:
    said = words.sentence(_what(search, one))
    verdict = compared.judged(one) if one is search.judged else None
    detail = "" if verdict is None else f"objective: {compared.VERDICT_WORDS[verdict].lower()}"
    sides = [
        _side(one, value, _interval(search, method, one))
        for method, value in (("given", one.before), ("chosen", one.after))
    ]
    drawn = difference_strip(one.value, one.interval, axis, 0.0)
    change, reason = change_cell(one, methods), ""
    if isinstance(one.value, Undefined) and one.value.kind != "suppressed":  # the reason once, where it has room
        change, reason = Cell("undefined", "undefined"), one.value.reason
    return (name(said, detail), *sides, change, Cell(reason, "plot", strip=drawn))


def _what(search: Search, one: MethodChange) -> str:
    """The quantity in words; a group by its level."""
    if one.quantity == "group":
        return f"{words.series(one.metric, one.class_name, multiclass=True)}, {words.group(one.slice)}"
    said = compared.quantity(one.quantity, one.metric, one.class_name, groups_of(search))
    return said.removesuffix(" of ").removesuffix(" across ")


def groups_of(search: Search) -> tuple[str, ...]:
    """The attributes of the groups that were compared on test, beside an objective over all rows too."""
    beside = next((one.slice.attributes for one in search.changes if one.quantity == "group"), ())
    return search.objective.across or beside


def _side(one: MethodChange, value: float | Undefined, interval: Interval | None) -> Cell:
    if isinstance(value, Undefined):
        told = isinstance(one.value, Undefined) and one.value.reason == value.reason and value.kind != "suppressed"
        return Cell("undefined" if told else numbers.undefined(value), "undefined")
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
    caption = f"{words.sentence(wording.criterion(search))}: in the search, and of networks with seeds of their own"
    return Table(caption, columns, tuple(rows), (note,), "What the choice is worth with other seeds", "compared")
