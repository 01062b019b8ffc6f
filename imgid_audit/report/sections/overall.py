"""Performance over all evaluated rows, and the confusion matrix."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.report import numbers, tables, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.facts import Facts
from imgid_audit.report.figures.shade import SHARES, shade
from imgid_audit.report.section import Section

MATRIX_CLASSES = 12
"""Classes whose confusion matrix still fits a printed page."""

CONFUSIONS = 20


@dataclass(frozen=True, slots=True)
class Overall:
    """Payload: metrics over all rows, and which labels are taken for which."""

    lead: str
    metrics: Table
    confusion: Table


def build(facts: Facts) -> Overall:
    """Payload of the section; an audit always has one."""
    task = facts.result.evaluation.task
    about = (
        f"Metrics with a class speak of “{task.positive}”." if task.positive else "Class metrics are means of classes."
    )
    rows = "the evaluated rows" if facts.evaluated is None else numbers.plural(facts.evaluated, "evaluated row")
    lead = f"Over {rows} of the test split. {about}"
    small = len(task.labels) <= MATRIX_CLASSES
    if not facts.result.evaluation.confusion.size:
        return Overall(lead, _metrics(facts), _hidden_matrix())
    return Overall(lead, _metrics(facts), _matrix(facts) if small else _pairs(facts))


def _hidden_matrix() -> Table:
    said = Cell("suppressed: some entry is a small cell, or would let one be computed", "undefined")
    return Table("Rows are true labels", (Column("All labels", "name"),), ((said,),), (), "Confusion matrix", "plain")


def _metrics(facts: Facts) -> Table:
    totals = [e for series in facts.series if (e := facts.total(series)) is not None]
    methods = tables.Methods([e.interval for e in totals])
    with_subjects = any(e.subjects is not None for e in totals)
    rows = [
        (
            name(words.sentence(facts.say((e.metric, e.class_name))), _reason(e)),
            *tables.value_cells(e, words.unit(e.metric), methods),
            tables.count_cell(e.n),
            tables.count_cell(e.support),
            *((tables.subjects_cell(e),) if with_subjects else ()),
        )
        for e in totals
    ]
    columns = [
        Column("Metric", "name"),
        Column("Estimate", "number"),
        Column("Interval", "interval"),
        Column("n", "number"),
        Column("Support", "number"),
    ]
    if with_subjects:
        columns.append(Column("Subjects", "number"))
    return Table("Over all evaluated rows", tuple(columns), tuple(rows), methods.notes, "Metrics")


def _reason(estimate: Estimate) -> str:
    return numbers.undefined(estimate.value) if isinstance(estimate.value, Undefined) else ""


def _matrix(facts: Facts) -> Table:
    evaluation = facts.result.evaluation
    labels, counts = evaluation.task.labels, evaluation.confusion
    totals = counts.sum(axis=1)
    rows = []
    for label, row, total in zip(labels, counts, totals, strict=True):
        cells = [_matrix_cell(int(n), int(total)) for n in row]
        rows.append((name(label), *cells, number(numbers.count(int(total)))))
    columns = (
        Column("True label", "name"),
        *(Column(label, "heat") for label in labels),
        Column("All", "number"),
    )
    return Table(
        "Rows are true labels, columns what the model said",
        columns,
        tuple(rows),
        (f"Second line and shade: share of the true label's rows. {SHARES}",),
        "Confusion matrix",
        "heat",
    )


def _matrix_cell(n: int, total: int) -> Cell:
    step = shade(n / total, 0.0, 1.0) if total else None
    return Cell(numbers.count(n), "heat", str(n), detail=numbers.share(n, total), shade=step)


def _pairs(facts: Facts) -> Table:
    """Many classes: the most frequent confusions instead of a matrix that would not fit."""
    evaluation = facts.result.evaluation
    labels = evaluation.task.labels
    counts = evaluation.confusion.copy()
    totals = counts.sum(axis=1)
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts.ravel(), kind="stable")[:CONFUSIONS]
    pairs = [divmod(int(flat), len(labels)) for flat in order if counts.ravel()[flat] > 0]
    rows = tuple(
        (
            name(labels[true]),
            Cell(labels[said]),
            number(numbers.count(int(counts[true, said])), str(int(counts[true, said]))),
            number(numbers.share(int(counts[true, said]), int(totals[true]))),
        )
        for true, said in pairs
    )
    columns = (
        Column("True label", "name"),
        Column("Taken for", "text"),
        Column("Rows", "number"),
        Column("Share of the true label", "number"),
    )
    note = f"The matrix of {numbers.count(len(labels))} classes is in audit.json; these are its largest errors."
    return Table("The most frequent ones", columns, rows, (note,), "Confusions")


SECTION = Section("overall", "Overall performance", "Every metric over all rows, and the confusion matrix.", build)
