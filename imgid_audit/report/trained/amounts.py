"""The ladder of training rows: whether more would help, and whose."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.fit import Flattening, Step, Study, Variant
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name
from imgid_audit.report.figures.axis import Axis
from imgid_audit.report.figures.chart import Datum, Frame, Line, chart
from imgid_audit.report.tables import MAX_ROWS, capped
from imgid_audit.report.trained import answers
from imgid_audit.report.trained.study import StudyPart, line, made, share
from imgid_audit.report.trained.view import (
    DASH,
    Figure,
    average,
    count_cell,
    difference_axis,
    difference_cell,
    difference_strip,
    estimate_cell,
    estimates_note,
    groups_of,
    mean,
    methods_note,
    percent_cell,
    ran,
    where,
)

MOST_LINES = 7
"""Groups that a drawing has: those of the lowest accuracy at its right end."""


def data_ladder(study: Study) -> StudyPart:
    """The part of a ladder of training rows."""
    shares = tuple(one for one in ran(study) if "without_half_of" not in one.parameters)
    halved = {one.name: one for one in ran(study) if "without_half_of" in one.parameters}
    ends = tuple(one.name for one in shares[-2:])
    last = {
        step.slice: step for step in study.steps
        if (step.before, step.after) == ends and step.quantity in ("overall", "group", "class")
    }  # fmt: skip
    own = {
        step.slice: step for step in study.steps
        if step.after in halved and step.quantity == "group" and _of_group(halved[step.after], step.slice)
    }  # fmt: skip
    said = answers.of_data(study, last, own)
    lost = [one for one in study.variants if one.status == "not_run"]
    said += tuple(words.statement(f"{one.name} was not run: {one.reason}") for one in lost)
    return made(
        study, said, _data_figure(study, shares),
        (_shares(study, shares), _flat(study, last), _halved(study, own)),
    )  # fmt: skip


def _of_group(one: Variant, of: Slice) -> bool:
    """Whether it is this group's rows that a variant goes without."""
    return bool(one.parameters["without_half_of"] == ", ".join(of.levels))


def _data_figure(study: Study, shares: Sequence[Variant]) -> Figure | None:
    places = [(float(one.train_rows), one) for one in shares if one.train_rows]
    if not places:
        return None
    end = places[-1][1].name

    def low(of: Slice) -> float:
        found = average(study, end, "group", of)
        return 2.0 if found is None or isinstance(found.value, Undefined) else found.value

    groups = sorted(groups_of(study), key=low)
    lines = [line(study, places, "overall", "main", TOTAL, "all rows")]
    lines += [_bare(line(study, places, "group", "other", of, words.group(of))) for of in groups[:MOST_LINES]]
    ticks = tuple((x, numbers.count(round(x))) for x, _ in places)
    drawn = chart(lines, Frame("training rows, all groups (logarithmic)", "accuracy on val", log=True, places=ticks))
    if drawn is None:
        return None
    rest = len(groups) - MOST_LINES
    more = f" {numbers.plural(rest, 'more group')} not drawn." if rest > 0 else ""
    said = "; ".join(f"{numbers.count(one.train_rows)} rows {share(study, one, 'overall')}" for one in shares)
    return Figure(
        "Accuracy by number of training rows", drawn, f"Accuracy over all val rows by training rows: {said}.",
        f"Solid: all rows, with intervals. Dashed: groups.{more}",
    )  # fmt: skip


def _bare(line: Line) -> Line:
    """Without intervals, which would hide each other."""
    data = tuple(Datum(one.x, one.value, text=one.text, shape=one.shape) for one in line.data)
    return Line(data, line.look, line.marked, name=line.name)


def _shares(study: Study, shares: Sequence[Variant]) -> Table:
    rows = []
    for one in shares:
        row = [
            name(answers.fraction(one)),
            count_cell(one.train_rows),
            percent_cell(mean(one.train)),
            estimate_cell(average(study, one.name, "overall")),
        ]
        if study.across:
            row.append(estimate_cell(average(study, one.name, "worst_group")))
        rows.append(tuple(row))
    columns = [
        Column("Share", "name"),
        Column("Training rows", "number"),
        Column("Train", "number"),
        Column("Val", "number"),
    ]
    columns += [Column("Val, worst group", "number")] if study.across else []
    found = [average(study, one.name, quantity) for one in shares for quantity in ("overall", "worst_group")]
    note = "Train: accuracy on its own training rows, images as they are."
    return Table(
        "Accuracy, means over the seeds",
        tuple(columns),
        tuple(rows),
        (note, *estimates_note(found)),
        "Shares of the training rows",
        "compared",
    )


def _flat(study: Study, last: dict[Slice, Step]) -> Table | None:
    """Where each slice's curve flattens, and what its last step says."""
    if not study.flattening:
        return None
    shown, left_out = capped(study.flattening, MAX_ROWS, "groups")
    steps = [last.get(one.slice) for one in shown]
    axis = difference_axis([(step.value, step.interval) for step in steps if step is not None])
    rows = tuple(_flat_row(one, step, axis) for one, step in zip(shown, steps, strict=True))
    columns = (
        Column("Group", "name"), Column("Its training rows", "number"), Column("Flat from", "number"),
        Column("Last step", "text"), Column("Change", "number"), Column("", "plot", axis),
    )  # fmt: skip
    notes = tuple(
        note.replace("audit.json", "fit.json")
        for note in (*methods_note([step for step in steps if step is not None]), *left_out)
    )
    caption = (
        "Where accuracy stops rising; the last step is from the last but one share to the last, all groups together"
    )
    return Table(caption, columns, rows, notes, "Where the curves flatten", "compared")


def _flat_row(one: Flattening, step: Step | None, axis: Axis | None) -> tuple[Cell, ...]:
    at = Cell("not seen", "undefined") if one.at is None else count_cell(one.at)
    change = DASH if step is None else difference_cell(step.value, step.interval)
    drawn = None if step is None else difference_strip(step.value, step.interval, axis, 0.0)
    return (
        name(answers.group(one.slice)), count_cell(one.rows), at,
        Cell(answers.ANSWERS[one.last], "text", status=answers.ANSWER_KINDS[one.last]), change,
        Cell("", "plot", strip=drawn),
    )  # fmt: skip


def _halved(study: Study, own: dict[Slice, Step]) -> Table | None:
    """Each group without half of its own rows: what that does to itself."""
    if not own:
        return None
    shown, left_out = capped(tuple(own.items()), MAX_ROWS, "groups")
    axis = difference_axis([(step.value, step.interval) for _, step in shown])
    rows = tuple(
        (
            name(words.group(of)),
            _plain_answer(step),
            difference_cell(step.value, step.interval),
            Cell("", "plot", strip=difference_strip(step.value, step.interval, axis, 0.0)),
        )
        for of, step in shown
    )
    columns = (
        Column(where(study.across), "name"),
        Column("Its accuracy", "text"),
        Column("Change", "number"),
        Column("", "plot", axis),
    )
    note = (
        "Worse: its own images matter, so that more of them may help. No change: images of other groups may serve "
        "as well. Better: fewer of its own images raised it."
    )
    caption = "Half of one group's training rows removed, all others kept; its own accuracy on val"
    return Table(
        caption,
        columns,
        rows,
        (note, *methods_note([step for _, step in shown]), *left_out),
        "Whose images matter",
        "compared",
    )


def _plain_answer(step: Step) -> Cell:
    return Cell(answers.ANSWERS[step.answer], "text", status=answers.ANSWER_KINDS[step.answer])
