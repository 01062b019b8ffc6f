"""What every study of training has in the report: its frame, its answers, and one line of a drawing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.core.fit import Step, Study, Variant
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Fact, Table, name
from imgid_audit.report.figures.chart import Datum, Line, Look
from imgid_audit.report.tables import MAX_ROWS, capped
from imgid_audit.report.trained import answers as told
from imgid_audit.report.trained.view import (
    DASH,
    Figure,
    average,
    methods_note,
    ran,
    where,
)


@dataclass(frozen=True, slots=True)
class StudyPart:
    """One study: its question, what it answers, and what supports that."""

    title: str
    said: tuple[str, ...]
    warnings: tuple[str, ...]
    facts: tuple[Fact, ...]
    figure: Figure | None
    tables: tuple[Table, ...]
    legend: str
    notes: tuple[str, ...]


def made(
    study: Study,
    said: tuple[str, ...],
    figure: Figure | None,
    tables: Sequence[Table | None],
    warnings: tuple[str, ...] = (),
) -> StudyPart:
    """The part of a study, with what all of them say of how they were made."""
    seeds = numbers.plural(len(study.seeds), "seed")
    facts = (
        Fact("Judged by", f"accuracy on {numbers.plural(study.rows, 'val row')}; test rows took no part"),
        Fact("Networks", f"{numbers.plural(len(ran(study)), 'variant')}, each trained with {seeds}; numbers are means"),
        *((Fact("Groups", where(study.across)),) if study.across else ()),
    )
    kept = tuple(table for table in tables if table is not None)
    title, legend = told.STUDIES[study.kind], told.legend(study)
    return StudyPart(title, (*said, *study.conclusion), warnings, facts, figure, kept, legend, study.notes)


def place(step: Step) -> tuple[str, Slice]:
    """What a step is of: all rows, a group, a class, or the worst of them, whichever that is."""
    return step.quantity, TOTAL if step.quantity.startswith("worst") else step.slice


def row_name(study: Study, quantity: str, of: Slice) -> str:
    """What a row of steps is of, in words; groups as they are called."""
    if quantity == "worst_group":
        return f"worst group of {where(study.across)}"
    return "worst class" if quantity == "worst_class" else told.group(of)


def answer(step: Step | None) -> Cell:
    """The answer as a pill, with the change beneath."""
    if step is None:
        return DASH
    return Cell(told.ANSWERS[step.answer], "text", status=told.ANSWER_KINDS[step.answer], detail=told.changed(step))


def share(study: Study, one: Variant, quantity: str, of: Slice | None = None) -> str:
    """The mean accuracy of a variant, or that there is none."""
    found = average(study, one.name, quantity, of)
    if found is None or isinstance(found.value, Undefined):
        return "undefined"
    return numbers.percent(found.value)


def line(
    study: Study,
    variants: Sequence[tuple[float, Variant]],
    quantity: str,
    look: Look,
    of: Slice | None = None,
    called: str = "",
) -> Line:
    """Mean accuracy by place, with intervals where the line is one of few."""
    data = []
    for x, one in variants:
        found = average(study, one.name, quantity, of)
        if found is None or isinstance(found.value, Undefined):
            data.append(Datum(x, None))
            continue
        low, high = (None, None) if found.interval is None else (found.interval.low, found.interval.high)
        said = f"{one.name}, {called or words.metric('accuracy')}: {numbers.percent(found.value)}"
        data.append(Datum(x, found.value, low, high, said, "hollow" if look == "other" else "dot"))
    ordered = tuple(sorted(data, key=lambda one: one.x))
    return Line(ordered, look, marked=True, name=called)


def step_table(
    study: Study, pairs: Sequence[tuple[str, str]], heads: Sequence[str], caption: str, heading: str = "Steps"
) -> Table:
    """Pairs of variants as columns under `heads`, what a step is of as rows; every cell has its answer."""
    found = {
        ((step.before, step.after), place(step)): step for step in study.steps if (step.before, step.after) in pairs
    }
    places = list(dict.fromkeys(asked for _, asked in found))
    shown, left_out = capped(places, MAX_ROWS, "groups")
    rows = tuple((name(row_name(study, *one)), *(answer(found.get((pair, one))) for pair in pairs)) for one in shown)
    columns = (Column("Accuracy on val", "name"), *(Column(head) for head in heads))
    notes = tuple(note.replace("audit.json", "fit.json") for note in (*methods_note(tuple(found.values())), *left_out))
    return Table(caption, columns, rows, notes, heading, "compared")
