"""Tables of a comparison about the methods themselves: settings, other ways of choosing, needs, cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgid_audit.core.comparison import MethodRecord, Trial
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.compared import wording
from imgid_audit.report.compared.tables import DASH, change_cell, side
from imgid_audit.report.compared.view import View


def chosen(view: View) -> Table:
    """The setting of each method, and the criterion that it reached on val."""
    rows = []
    for record in view.ran:
        trial = _at(record.trials, record.chosen)
        known = [value for value in record.val if value is not None]
        val = DASH
        if known and len(known) == len(record.val):
            mean = sum(known) / len(known)
            val = number(numbers.percent(mean), numbers.sort_key(mean))
        failed = sum(bool(one.failed) for one in record.trials)
        text = wording.parameters(record.parameters if trial is None else trial.parameters, record.methods)
        tried = numbers.count(len(record.trials)) + (f", {numbers.count(failed)} failed" if failed else "")
        rows.append((name(record.name), Cell(text), Cell(tried, "number"), val))
    columns = (
        Column("Method", "name"),
        Column("Chosen setting", "text"),
        Column("Tried", "number"),
        Column("Criterion on val", "number"),
    )
    caption = f"Picked by {view.comparison.criterion}, of which the mean over the seeds is shown"
    return Table(caption, columns, tuple(rows), (), "Settings that were chosen", "compared")


def otherwise(view: View) -> Table | None:
    """What another way of choosing would have given: by plain accuracy on val, and, not usable, by the test rows.

    None where none of it is known.
    """
    if not view.average and all(trial.test is None for record in view.ran for trial in record.trials):
        return None
    unit: Callable[[float], str] = lambda value: side(  # noqa: E731
        value, view.comparison.primary.quantity, view.comparison.primary.metric
    )
    rows = []
    for record in view.ran:
        at = _at(record.trials, record.chosen)
        best = _at(record.trials, record.chosen_by_test)
        rows.append(
            (
                name(record.name),
                DASH if record.name == view.comparison.baseline else change_cell(view.verdict_of(record.name)),
                _average(view, record),
                _tested(at, unit),
                _tested(best, unit),
            )
        )
    columns = (
        Column("Method", "name"),
        Column("Change, as declared", "number"),
        Column("Change, by average accuracy", "number"),
        Column("Test at the chosen setting", "number"),
        Column("Best on test: not usable", "number"),
    )
    notes = (
        "The last two columns are of the tuning seed alone. The last one picked its setting on the very rows that it "
        "is judged on: it shows what tuning may have left unfound, it is no result, and nothing here used it.",
    )
    caption = f"{words.sentence(wording.primary(view.comparison.primary))}: other ways of choosing, as a diagnostic"
    return Table(caption, columns, tuple(rows), notes, "Had the settings been chosen otherwise", "compared")


def _average(view: View, record: MethodRecord) -> Cell:
    if record.chosen_by_average is not None and record.chosen_by_average == record.chosen:
        return Cell("same setting", "number")
    found = view.average.get((record.name, *view.primary))
    return (
        Cell("other setting", "number")
        if found is None and record.chosen_by_average is not None
        else change_cell(found)
    )


def _tested(trial: Trial | None, write: Callable[[float], str]) -> Cell:
    if trial is None or trial.test is None:
        return DASH
    return number(write(trial.test), numbers.sort_key(trial.test))


def _at(trials: Sequence[Trial], place: int | None) -> Trial | None:
    return trials[place] if place is not None and place < len(trials) else None


NEEDS = (
    ("class labels", "Class labels"),
    ("group labels in training", "Groups in training"),
    ("group labels in validation", "Groups in validation"),
    ("group labels at inference", "Groups at inference"),
)
INFERENCE = "group labels at inference"

UNLAWFUL = (
    "A method that needs group labels at inference decides differently for people of different groups. Using group "
    "membership in decisions may be unlawful; ask counsel before you use it."
)


def needs(view: View) -> Table:
    """Who needs which labels, and where each method acts."""
    rows = tuple(
        (
            name(record.name, record.source),
            Cell(", ".join(record.acts_on) or "nothing"),
            *(Cell(wording.needs(record, need), "text") for need, _ in NEEDS),
        )
        for record in view.comparison.records
    )
    columns = (
        Column("Method", "name"),
        Column("Acts on", "text"),
        *(Column(title, "text") for _, title in NEEDS),
    )
    legal = (UNLAWFUL,) if any(INFERENCE in record.needs for record in view.comparison.records) else ()
    return Table("What each method must be told", columns, rows, legal, "Who needs which labels", "compared")


def cost(view: View) -> Table:
    """Images through the backbone and rows through the head, of one network, as numbers and bars; never seconds."""
    ran = view.ran
    most_images = max((record.images_seen for record in ran), default=0)
    most_rows = max((record.rows_seen for record in ran), default=0)
    rows = tuple(
        (
            name(record.name),
            number(numbers.count(record.images_seen), str(record.images_seen)),
            _bar(record.images_seen, most_images),
            number(numbers.count(record.rows_seen), str(record.rows_seen)),
            _bar(record.rows_seen, most_rows),
        )
        for record in ran
    )
    columns = (
        Column("Method", "name"),
        Column("Images through the network", "number"),
        Column("", "plot"),
        Column("Rows through the head", "number"),
        Column("", "plot"),
    )
    head = view.comparison.scope == "head"
    shared = "Images are embedded once and shared by all methods that see the same views." if head else ""
    caption = f"One {wording.TRAINED.get(view.comparison.scope, 'network')} of each method"
    return Table(caption, columns, rows, tuple(filter(None, (shared,))), "Cost", "compared")


def _bar(part: int, whole: int) -> Cell:
    return Cell("", "plot", bar=f"{numbers.coordinate(100 * part / whole)}%" if whole and part else "0%")
