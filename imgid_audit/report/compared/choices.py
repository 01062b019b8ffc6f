"""Tables of a comparison about the methods themselves: settings, other ways of choosing, needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from imgid_audit.core.comparison import Trial
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
        text = wording.setting(record, record.parameters if trial is None else trial.parameters)
        tried = numbers.count(len(record.trials)) + (f", {numbers.count(failed)} failed" if failed else "")
        tried = tried if record.trials else "as given"
        rows.append((name(record.name), Cell(text, detail=wording.tuned(record)), Cell(tried, "number"), val))
    columns = (
        Column("Method", "name"),
        Column("Chosen setting", "text"),
        Column("Tried", "number"),
        Column("Criterion on val", "number"),
    )
    caption = f"Picked by {view.comparison.criterion}, of which the mean over the seeds is shown"
    if not any(record.trials for record in view.ran):
        caption = f"As given, nothing tried; {view.comparison.criterion}, as the mean over the seeds"
    return Table(caption, columns, tuple(rows), _tried_less(view), "Settings that were chosen", "compared")


def _tried_less(view: View) -> tuple[str, ...]:
    """Why some methods have fewer settings than others."""
    asked = view.comparison.trials
    fewer = [record for record in view.ran if len(record.trials) < asked and asked > 1]
    if not fewer:
        return ()
    anew = [record.name for record in fewer if wording.starts_over(record)]
    rest = [record.name for record in fewer if not wording.starts_over(record)]
    said = [f"Up to {numbers.count(asked)} settings were tried for each method."]
    if anew:
        said.append(
            f"Fewer: {', '.join(anew)}, where the last layer is fitted anew, so that the method's own parameters alone "
            "are tried; no others would act."
        )
    if rest:
        said.append(f"Fewer: {', '.join(rest)}, for there are no more.")
    return (" ".join(said),)


def otherwise(view: View) -> Table | None:
    """What another way of choosing would have given: by plain accuracy on val, and, not usable, by the test rows.

    None where none of it is known.
    """
    if not view.average and all(trial.test is None for record in view.ran for trial in record.trials):
        return None

    def unit(value: float) -> str:
        return side(value, view.comparison.primary.quantity, view.comparison.primary.metric)

    rows = []
    for record in view.ran:
        at = _at(record.trials, record.chosen)
        best = _at(record.trials, record.chosen_by_test)
        rows.append(
            (
                name(record.name),
                DASH if record.name == view.comparison.baseline else change_cell(view.verdict_of(record.name)),
                _average(view, record.name),
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
        "By average accuracy: settings and epochs picked by accuracy over all val rows instead.",
        "The last two columns are of the tuning seed alone. The last one picked its setting on the very rows that it "
        "is judged on: it shows what tuning may have left unfound, it is no result, and nothing here used it.",
    )
    caption = f"{words.sentence(wording.primary(view.comparison.primary))}: other ways of choosing, as a diagnostic"
    return Table(caption, columns, tuple(rows), notes, "Had the settings been chosen otherwise", "compared")


def _average(view: View, method: str) -> Cell:
    """The number wherever networks were picked by average accuracy; else why there is none."""
    if method == view.comparison.baseline:
        return DASH
    found = view.average.get((method, *view.primary))
    return Cell("not trained", "number") if found is None else change_cell(found)


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
    """Who needs which labels, who learns from rows set aside, and where each method acts."""
    rows = tuple(
        (
            name(record.name, record.source),
            Cell(", ".join(record.acts_on) or "nothing"),
            *(Cell(wording.needs(record, need), "text") for need, _ in NEEDS),
            Cell("yes" if record.uses_adjust else "–", "text"),
        )
        for record in view.comparison.records
    )
    columns = (
        Column("Method", "name"),
        Column("Acts on", "text"),
        *(Column(title, "text") for _, title in NEEDS),
        Column("Rows set aside", "text"),
    )
    legal = (UNLAWFUL,) if any(INFERENCE in record.needs for record in view.comparison.records) else ()
    return Table("What each method must be told", columns, rows, legal, "Who needs which labels", "compared")
