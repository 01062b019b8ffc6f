"""The trade-off of a comparison: all rows against the worst group, drawn, in words, and as a table."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.comparison import MethodEstimate, MethodRecord
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Table, name
from imgid_audit.report.compared import wording
from imgid_audit.report.compared.tables import estimate_cell
from imgid_audit.report.compared.view import Asked, View, defined, direction
from imgid_audit.report.figures.pareto import Candidate, Pareto, pareto
from imgid_audit.report.tables import Methods


@dataclass(frozen=True, slots=True)
class TradeOff:
    """The plot with its axes' titles, the same in words, and as a table that says which number is which method."""

    title: str
    plot: Pareto
    x_axis: str
    y_axis: str
    alternative: str
    said: str
    key: Table


def trade_off(view: View) -> TradeOff | None:
    """Utility over all rows against the worst group (else the worst class); None where fewer than two can be drawn."""
    asked_x, asked_y = _utility(view), _worst(view)
    if asked_x is None or asked_y is None:
        return None
    better = (direction(asked_x[0], asked_x[1]) or 1, direction(asked_y[0], asked_y[1]) or 1)
    found = [(record, view.means.get((record.name, *asked_x)), view.means.get((record.name, *asked_y)))
             for record in view.ran]  # fmt: skip
    marks = {record.name: str(place) for place, (record, _, _) in enumerate(found)}
    drawn = [one for r, x, y in found if (one := _candidate(view, marks[r.name], r, x, y)) is not None]
    units = words.unit(asked_x[1]), words.unit(asked_y[1])
    plot = pareto(drawn, units, better)
    if plot is None or len(drawn) < 2:
        return None
    names = {mark: method for method, mark in marks.items()}
    front = [names[point.mark] for point in plot.points if point.on_front]
    said = _said(front, len(drawn), len(found) - len(drawn))
    titles = tuple(_title(view, asked, way) for asked, way in zip((asked_x, asked_y), better, strict=True))
    alternative = f"{titles[0]} against {titles[1][:1].lower()}{titles[1][1:]}. {said} The table has all numbers."
    where = words.breakdown("*".join(view.comparison.primary.across))
    what = f"worst group of {where}" if asked_y[0] == "worst_group" else "worst class"
    key = _key(found, marks, frozenset(front), (_short(asked_x), _short(asked_y)))
    x_axis, y_axis = _axis(asked_x, better[0]), _axis(asked_y, better[1])
    return TradeOff(f"All rows against the {what}", plot, x_axis, y_axis, alternative, said, key)


def _utility(view: View) -> Asked | None:
    """Accuracy over all rows where it was measured, else the primary metric."""
    primary = view.comparison.primary
    tries: tuple[Asked, ...] = (("overall", "accuracy", None), ("overall", primary.metric, primary.class_name))
    return next((one for one in tries if _known(view, one)), None)


def _worst(view: View) -> Asked | None:
    primary = view.comparison.primary
    tries: tuple[Asked, ...] = (
        ("worst_group", primary.metric, primary.class_name),
        ("worst_group", "accuracy", None),
        *((q, m, c) for _, q, m, c in view.means if q in ("worst_group", "worst_class")),
    )
    return next((one for one in tries if _known(view, one)), None)


def _known(view: View, one: Asked) -> bool:
    return any(key[1:] == one and defined(mean.value) is not None for key, mean in view.means.items())


def _candidate(
    view: View, mark: str, record: MethodRecord, x: MethodEstimate | None, y: MethodEstimate | None
) -> Candidate | None:
    across, up = (None if one is None else defined(one.value) for one in (x, y))
    if x is None or y is None or across is None or up is None:
        return None
    told = f"{record.name}: {numbers.metric_value(across, words.unit(x.metric))} over all rows, "
    told += f"{numbers.metric_value(up, words.unit(y.metric))} in the worst"
    return Candidate(mark, across, up, x.interval, y.interval, told, record.name == view.comparison.baseline)


def _title(view: View, asked: Asked, way: int) -> str:
    said = wording.quantity(*asked, view.comparison.primary.across)
    return f"{words.sentence(said)}{'' if way > 0 else ' (lower is better)'}"


def _axis(asked: Asked, way: int) -> str:
    """Short, whatever classes and attributes are called."""
    where = {"overall": "all rows", "worst_group": "worst group", "worst_class": "worst class"}
    return f"{words.metric(asked[1])}, {where.get(asked[0], asked[0])}{'' if way > 0 else ' (lower is better)'}"


def _short(asked: Asked) -> str:
    where = {"overall": "all rows", "worst_group": "worst group", "worst_class": "worst class"}
    return f"{words.sentence(wording.series(*asked))}, {where.get(asked[0], asked[0])}"


def _said(front: list[str], drawn: int, lost: int) -> str:
    more = f" {numbers.plural(lost, 'method')} cannot be drawn." if lost else ""
    beaten = drawn - len(front)
    others = f" The other {numbers.count(beaten)} {'is' if beaten == 1 else 'are'} not." if beaten else ""
    why = "no other method is as good in both and better in one"
    return f"On the front, where {why}: {', '.join(front)}.{others}{more}"


def _key(
    found: list[tuple[MethodRecord, MethodEstimate | None, MethodEstimate | None]],
    marks: dict[str, str],
    front: frozenset[str],
    titles: tuple[str, str],
) -> Table:
    rows = tuple(
        (
            name(f"{marks[record.name]} · {record.name}"),
            estimate_cell(x),
            estimate_cell(y),
            Cell("yes" if record.name in front else "–"),
        )
        for record, x, y in found
    )
    columns = (Column("Method", "name"), *(Column(title, "number") for title in titles), Column("On the front", "text"))
    intervals = [one.interval for _, x, y in found for one in (x, y) if one is not None]
    return Table("Means over the seeds", columns, rows, Methods(intervals).notes, kind="compared")
