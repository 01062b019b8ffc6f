"""Data composition: the account of every row, splits, labels, and each attribute's levels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgid_audit.core.factor import MISSING
from imgid_audit.report import numbers, tables
from imgid_audit.report.blocks import Cell, Column, Table, name, number
from imgid_audit.report.facts import Facts
from imgid_audit.report.numbers import coordinate
from imgid_audit.report.section import Section


@dataclass(frozen=True, slots=True)
class Data:
    """Payload: where every row went, and what the evaluated rows are."""

    lead: str
    tables: tuple[Table, ...]


def build(facts: Facts) -> Data:
    """Payload of the section; an audit always has one."""
    data = facts.result.data
    subjects = (
        "No subject column was declared: every row counts as independent."
        if data.subjects is None
        else f"The rows come from {numbers.plural(data.subjects, 'subject')}; no subject is in two splits."
    )
    lead = f"Every row of the table is accounted for. {subjects} Estimates speak of the evaluated rows alone."
    composition = [_account(facts), _shares("Splits", "Rows of each split that were not excluded", data.splits)]
    composition.append(_shares("Labels", "Evaluated rows of each label", data.labels))
    composition += [
        _shares(attribute, "Evaluated rows of each level", levels) for attribute, levels in data.attributes.items()
    ]
    return Data(lead, tuple(composition))


def _account(facts: Facts) -> Table:
    data = facts.result.data
    rows = [
        _row("Rows in the table", data.rows, data.rows),
        _row("Predicted", data.predicted, data.rows),
        _row("Failed", data.failed, data.rows),
        _row("Excluded", data.excluded, data.rows),
    ]
    reasons, left_out = tables.capped(sorted(data.reasons.items(), key=lambda r: (-r[1], r[0])), 20, "reasons")
    rows += [_row(f"Reason: {reason}", n, data.rows) for reason, n in reasons]
    columns = (
        Column("What became of it", "name"),
        Column("n", "number"),
        Column("Share", "number"),
        Column("", "plot"),
    )
    return Table(
        "Every row of the table ends in one of three ways", columns, tuple(rows), left_out, "Account of rows", "plain"
    )


def _shares(heading: str, caption: str, levels: Mapping[str, int]) -> Table:
    whole = sum(levels.values())
    shown, left_out = tables.capped(tuple(levels.items()), tables.MAX_ROWS, "levels")
    rows = tuple(_row(level, n, whole) for level, n in shown)
    columns = (Column(heading, "name"), Column("n", "number"), Column("Share", "number"), Column("", "plot"))
    unknown = levels.get(MISSING, 0)
    if not levels:
        hidden = Cell("suppressed: see the note on the first page", "undefined")
        return Table(caption, (Column(heading, "name"),), ((hidden,),), (), heading, "list")
    notes = (f"{numbers.plural(unknown, 'row')} without a value ({numbers.share(unknown, whole)}).",) if unknown else ()
    return Table(caption, columns, rows, (*notes, *left_out), heading, "list")


def _row(label: str, n: int, whole: int) -> tuple[Cell, ...]:
    width = f"{coordinate(100 * n / whole)}%" if whole else "0%"
    share = number(numbers.share(n, whole), numbers.sort_key(n / whole) if whole else "")
    return name(label), number(numbers.count(n), str(n)), share, Cell("", "plot", bar=width)


SECTION = Section("data", "Data", "The account of every row, splits, labels and attribute levels.", build)
