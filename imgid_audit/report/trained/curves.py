"""Learning curves: loss and accuracy by epoch, one panel a group, and the same as tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.core.fit import Curves, SliceCurve
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.figures.chart import Datum, Frame, Line, chart, span
from imgid_audit.report.tables import capped
from imgid_audit.report.trained.view import DASH, Figure, count_cell, percent_cell

MOST_PANELS = 9
"""Groups of one attribute that are drawn: those that are worst on val at the kept epoch."""

MOST_EPOCHS = 12
"""Epochs that the table lists; of more, evenly chosen ones, the first, the kept and the last among them."""

MARKED = 20
"""With so many epochs or fewer every epoch has its mark."""

READING = "Solid, filled: val. Dashed, hollow: train, as seen while learning (augmented, weights still changing)."


@dataclass(frozen=True, slots=True)
class Panels:
    """The groups of one attribute: a panel each, and the same in numbers."""

    title: str
    figures: tuple[Figure, ...]
    caption: str
    table: Table


AVERAGED = " Val is of the averaged weights, once the average has begun; train is of the weights that learn."


def reading(of: Curves) -> str:
    """What the lines are; with an average of weights the two are of different weights."""
    return READING if of.best_averaged is None else f"{READING}{AVERAGED}"


def overall(of: Curves) -> tuple[Figure, ...]:
    """Loss, and accuracy over all rows, by epoch."""
    kept = (float(of.best_epoch), "kept")
    made = []
    loss = [_line(of.val_loss), _line(of.train_loss, other=True)]
    drawn = chart(loss, Frame("epoch", "loss (nats)", "decimal", upright=kept))
    if drawn is not None:
        made.append(Figure("Loss by epoch", drawn, _loss_said(of), f"{reading(of)} Upright: the epoch kept."))
    total = next((one for one in of.slices if not one.slice.attributes), None)
    if total is not None:
        drawn = chart([_line(total.val), _line(total.train, other=True)], Frame("epoch", "accuracy", upright=kept))
        if drawn is not None:
            said = _accuracy_said(total, of.best_epoch)
            made.append(Figure("Accuracy over all rows by epoch", drawn, said, ""))
    return tuple(made)


def panels(of: Curves) -> tuple[Panels, ...]:
    """A block for each attribute, in the order of the curves."""
    attributes = dict.fromkeys(one.slice.attributes for one in of.slices if one.slice.attributes)
    return tuple(_panels(of, names) for names in attributes)


def _panels(of: Curves, attributes: tuple[str, ...]) -> Panels:
    total = next((one for one in of.slices if not one.slice.attributes), None)
    curves = sorted(
        (one for one in of.slices if one.slice.attributes == attributes), key=lambda one: _kept(one.val, of.best_epoch)
    )
    shown = curves[:MOST_PANELS]
    ends = span([value for one in shown for value in (*one.val, *one.train)])
    figures = []
    for one in shown:
        lines = [_line(one.val), _line(one.train, other=True)]
        lines += [] if total is None else [_aside(total)]
        frame = Frame("epoch", "accuracy", upright=(float(of.best_epoch), ""), ends=ends, panel=True)
        drawn = chart(lines, frame)
        if drawn is not None:
            figures.append(Figure(words.group(one.slice), drawn, _accuracy_said(one, of.best_epoch)))
    where = " × ".join(attributes)
    rest = len(curves) - len(shown)
    more = f" {numbers.plural(rest, 'more group')} not drawn." if rest else ""
    caption = f"{reading(of)} Grey: val of all rows. Upright: the epoch kept. Worst first.{more}"
    return Panels(f"Learning curves by {where}", tuple(figures), caption, _table(curves, of, where))


def _kept(values: Sequence[float | None], epoch: int) -> float:
    """For sorting: what is not known comes last."""
    found = values[epoch - 1] if epoch <= len(values) else None
    return float("inf") if found is None else found


def _line(values: Sequence[float | None], *, other: bool = False) -> Line:
    data = tuple(Datum(float(i), value, shape="hollow" if other else "dot") for i, value in enumerate(values, 1))
    return Line(data, "other" if other else "main", marked=len(values) <= MARKED)


def _aside(total: SliceCurve) -> Line:
    """Val of all rows, thin; one epoch alone would be a mark like any other, so it is left out."""
    values = total.val if len(total.val) > 1 else ()
    return Line(tuple(Datum(float(i), value) for i, value in enumerate(values, 1)), "aside")


def _loss_said(of: Curves) -> str:
    at = of.best_epoch - 1
    val = of.val_loss[at]
    told = "none on val" if val is None else f"{numbers.decimal(val)} on val"
    return (
        f"Mean cross-entropy by epoch, {numbers.plural(len(of.train_loss), 'epoch')}. Train from "
        f"{numbers.decimal(of.train_loss[0])} to {numbers.decimal(of.train_loss[-1])}; at the kept epoch "
        f"{numbers.count(of.best_epoch)} it is {numbers.decimal(of.train_loss[at])} on train, {told}."
    )


def _accuracy_said(of: SliceCurve, epoch: int) -> str:
    ends = [
        f"{split} {_share(values, 1)} after the first epoch, {_share(values, epoch)} after epoch "
        f"{numbers.count(epoch)}, {_share(values, len(values))} after the last"
        for split, values in (("val", of.val), ("train", of.train))
    ]
    return f"Accuracy of {of.slice} by epoch: {'; '.join(ends)}."


def _share(values: Sequence[float | None], epoch: int) -> str:
    found = values[epoch - 1] if values else None
    return "undefined" if found is None else numbers.percent(found)


def _table(curves: Sequence[SliceCurve], of: Curves, where: str) -> Table:
    shown, left_out = capped(curves, 30, "groups")
    rows = tuple(_row(one, of.best_epoch) for one in shown)
    columns = (
        Column(where, "name"),
        Column("Val, kept epoch", "number"),
        Column("Val, best", "number"),
        Column("Val, last", "number"),
        Column("Train, kept epoch", "number"),
        Column("Rows val", "number"),
        Column("Rows train", "number"),
    )
    note = "Train: as seen while learning. Best: the highest of all epochs, each group's own."
    return Table("Accuracy; worst on val first", columns, rows, (note, *left_out), kind="compared")


def _row(one: SliceCurve, epoch: int) -> tuple[Cell, ...]:
    known = [(value, -i) for i, value in enumerate(one.val, 1) if value is not None]
    best = DASH
    if known:
        value, place = max(known)
        best = number(numbers.percent(value), numbers.sort_key(value), f"epoch {numbers.count(-place)}")
    return (
        name(words.group(one.slice)),
        percent_cell(one.val[epoch - 1]),
        best,
        percent_cell(one.val[-1]),
        percent_cell(one.train[epoch - 1]),
        count_cell(one.val_rows),
        count_cell(one.train_rows),
    )


def epochs(of: Curves) -> Table:
    """Losses, accuracies over all rows and learning rate by epoch."""
    count = len(of.train_loss)
    total = next((one for one in of.slices if not one.slice.attributes), None)
    picked = _picked(count, of.best_epoch)
    columns = [Column("Epoch", "name"), Column("Train loss", "number"), Column("Val loss", "number")]
    columns += [] if total is None else [Column("Train accuracy", "number"), Column("Val accuracy", "number")]
    rows = []
    for epoch in picked:
        val = of.val_loss[epoch - 1]
        row = [
            name(numbers.count(epoch), "kept" if epoch == of.best_epoch else ""),
            number(numbers.decimal(of.train_loss[epoch - 1]), numbers.sort_key(of.train_loss[epoch - 1])),
            DASH if val is None else number(numbers.decimal(val), numbers.sort_key(val)),
        ]
        if total is not None:
            row += [percent_cell(total.train[epoch - 1]), percent_cell(total.val[epoch - 1])]
        rows.append((*row, number(numbers.rate(of.lr[epoch - 1]), numbers.sort_key(of.lr[epoch - 1]))))
    columns.append(Column("Learning rate", "number"))
    left_out: tuple[str, ...] = ()
    if len(picked) < count:
        left_out = (
            f"Shown: {numbers.count(len(picked))} of {numbers.count(count)} epochs; all of them are in fit.json.",
        )
    return Table(
        "All rows; loss is mean cross-entropy a row, in nats", tuple(columns), tuple(rows), left_out, kind="compared"
    )


def _picked(count: int, kept: int) -> list[int]:
    """At most about `MOST_EPOCHS` epochs from 1 to `count`."""
    if count <= MOST_EPOCHS:
        return list(range(1, count + 1))
    even = {1 + round(i * (count - 1) / (MOST_EPOCHS - 1)) for i in range(MOST_EPOCHS)}
    return sorted(even | {kept})
