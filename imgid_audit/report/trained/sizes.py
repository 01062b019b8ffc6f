"""The ladder of architectures: where more weights stop paying."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.fit import Study, Variant
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name
from imgid_audit.report.figures.chart import Datum, Frame, Line, chart
from imgid_audit.report.trained import laddered
from imgid_audit.report.trained.study import StudyPart, line, made, share, step_table
from imgid_audit.report.trained.view import (
    DASH,
    Figure,
    average,
    count_cell,
    estimate_cell,
    estimates_note,
    mean,
    percent_cell,
    ran,
)


def ladder(study: Study) -> StudyPart:
    """The part of a ladder of architectures."""
    shown = ran(study)
    tables = (_rungs(study, shown), _between(study, "From one to the next"))
    figure = _ladder_figure(study, shown) if len(shown) > 1 else None
    return made(study, (laddered.of_ladder(study),), figure, tables)


def _ladder_figure(study: Study, shown: Sequence[Variant]) -> Figure | None:
    lines = [line(study, [(float(one.weights), one) for one in _by_size(shown)], "overall", "main")]
    if study.across:
        lines.append(line(study, [(float(one.weights), one) for one in _by_size(shown)], "worst_group", "other"))
    places = tuple((float(one.weights), numbers.short(one.weights)) for one in _by_size(shown))
    numbered = tuple(
        Line(
            tuple(
                Datum(d.x, d.value, d.low, d.high, d.text, d.shape, numbers.count(i + 1) if not at else "")
                for i, d in enumerate(line.data)
            ),
            line.look, line.marked, line.joined, line.steps, line.name,
        ) for at, line in enumerate(lines)
    )  # fmt: skip
    drawn = chart(numbered, Frame("trainable weights (logarithmic)", "accuracy on val", log=True, places=places))
    if drawn is None:
        return None
    said = "; ".join(f"{one.name} {share(study, one, 'overall')}" for one in shown)
    worst = " Dashed: the worst group." if study.across else ""
    return Figure(
        "Accuracy by number of weights", drawn, f"Accuracy over all val rows by architecture: {said}.",
        f"Solid: all rows.{worst} Upright: intervals. Numbers: as in the table.",
    )  # fmt: skip


def _by_size(shown: Sequence[Variant]) -> list[Variant]:
    """From few weights to many, as they are drawn and numbered."""
    return sorted(shown, key=lambda one: one.weights)


def _rungs(study: Study, shown: Sequence[Variant]) -> Table:
    """Each architecture with its size and its accuracies."""
    rows = []
    place = {one.name: i for i, one in enumerate(_by_size(shown), 1)}
    for one in study.variants:
        if one.status == "not_run":
            gap = [DASH] * (4 if study.across else 3)
            rows.append((name(one.name), *gap, Cell(words.statement(f"not run: {one.reason}"))))
            continue
        row = [
            name(f"{place[one.name]} · {one.name}"),
            count_cell(one.weights),
            percent_cell(mean(one.train)),
            estimate_cell(average(study, one.name, "overall")),
        ]
        if study.across:
            row.append(estimate_cell(average(study, one.name, "worst_group")))
        told = "enough" if one.name == study.enough else ""
        rows.append((*row, Cell(told)))
    columns = [
        Column("Architecture", "name"),
        Column("Weights", "number"),
        Column("Train", "number"),
        Column("Val", "number"),
    ]
    columns += [Column("Val, worst group", "number")] if study.across else []
    columns.append(Column("", "text"))
    found = [average(study, one.name, quantity) for one in shown for quantity in ("overall", "worst_group")]
    note = "Train: accuracy on its own training rows, images as they are."
    return Table(
        "Accuracy, means over the seeds",
        tuple(columns),
        tuple(rows),
        (note, *estimates_note(found)),
        "Architectures",
        "compared",
    )


def _between(study: Study, caption: str) -> Table | None:
    """Steps as columns, what they are of as rows."""
    pairs = list(dict.fromkeys((step.before, step.after) for step in study.steps))
    return step_table(study, pairs, [f"{before} → {after}" for before, after in pairs], caption) if pairs else None
