"""Trends: what one rule, or one metric over all rows, came to from audit to audit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imgid_audit.core.history import RunRecord
from imgid_audit.core.result import Estimate, Undefined, Verdict
from imgid_audit.report import bounds, numbers, waivers, words
from imgid_audit.report.blocks import Cell, Column, Table, number, undefined
from imgid_audit.report.facts import Series
from imgid_audit.report.figures.trend import Moment, Trend, trend

DRAWN = 120
"""The latest audits that are drawn and listed beside a drawing; all of them are in the table of audits."""

OTHER = "another requirement then"


@dataclass(frozen=True, slots=True)
class TrendBlock:
    """A rule or a metric: what it asks, its drawing, and the same numbers as a table."""

    heading: str
    detail: str
    code: bool
    trend: Trend | None
    none: str
    table: Table


def rule_trends(runs: Sequence[RunRecord]) -> tuple[TrendBlock, ...]:
    """One block for each rule that the drawn audits had, those of the latest audit first, in its order."""
    drawn = runs[-DRAWN:]
    names = _in_order(tuple(v.rule for v in run.verdicts) for run in reversed(drawn))
    return tuple(_rule(rule, drawn) for rule in names)


def _in_order(lists: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
    """Every entry once, in the order of its first appearance."""
    return tuple(dict.fromkeys(entry for one in lists for entry in one))


def _rule(rule: str, runs: Sequence[RunRecord]) -> TrendBlock:
    found = [(run, _verdict(run, rule)) for run in runs]
    latest = next(run for run, verdict in reversed(found) if verdict is not None)
    settings = latest.rules.get(rule) or {}
    asked = _question(settings)
    moments, rows = [], []
    for run, verdict in found:
        same = verdict is not None and _question(run.rules.get(rule) or {}) == asked
        moments.append(_moment(run, verdict if same else None))
        if verdict is not None:
            rows.append(_rule_row(run, verdict, run.rules.get(rule) or {}, same))
    requirement = words.rule(settings, multiclass=latest.multiclass) if settings else ""
    gone = "" if latest is runs[-1] else f" The rule is not in the audits after {numbers.stamp(latest.epoch)}."
    text = f"Observed values of {rule} between their bounds, {numbers.plural(len(rows), 'audit')}, oldest on the left"
    columns = (
        Column("Date (UTC)", "name"),
        Column("Verdict"),
        Column("Observed", "number"),
        Column("Lower bound", "number"),
        Column("Upper bound", "number"),
        Column("Tolerance", "number"),
    )
    table = Table(f"{rule}, the latest first", columns, tuple(reversed(rows)))
    drawing = trend(moments, bounds.axis_unit(settings), text)
    return TrendBlock(rule, requirement + gone, True, drawing, "No audit has a value to draw.", table)


def _verdict(run: RunRecord, rule: str) -> Verdict | None:
    return next((verdict for verdict in run.verdicts if verdict.rule == rule), None)


def _question(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a rule compares, its tolerance apart: values of two questions belong in no one line."""
    if not settings:
        return ()
    across = settings.get("across") or ()
    return (
        words.rule_kind(settings),
        settings.get("metric"),
        words.rule_class(settings),
        (across,) if isinstance(across, str) else tuple(across),
        tuple(settings.get("ignore") or ()),
    )


def _moment(run: RunRecord, verdict: Verdict | None) -> Moment:
    date = numbers.stamp(run.epoch)[:10]
    if verdict is None:
        return Moment(date, None)
    kind = words.STATUS_KINDS[verdict.status]
    low, high = (verdict.low, verdict.high) if verdict.observed is not None else (None, None)
    return Moment(date, verdict.observed, low, high, verdict.tolerance, kind, verdict.waived)


def _rule_row(run: RunRecord, verdict: Verdict, settings: Mapping[str, Any], same: bool) -> tuple[Cell, ...]:
    write, digits = bounds.writing(settings)

    def told(value: float | None) -> Cell:
        if value is None:
            return Cell("–", "number")
        return number(numbers.apart(value, verdict.tolerance, write, digits), numbers.sort_key(value))

    return (
        _date_cell(run, "" if same else OTHER),
        Cell(waivers.status(verdict), "text", status=words.STATUS_KINDS[verdict.status]),
        told(verdict.observed),
        told(verdict.low),
        told(verdict.high),
        number(bounds.tolerance(settings, verdict.tolerance), numbers.sort_key(verdict.tolerance)),
    )


def _date_cell(run: RunRecord, detail: str = "") -> Cell:
    return Cell(numbers.stamp(run.epoch), "name", str(int(run.epoch.timestamp())), detail=detail)


def metric_trends(runs: Sequence[RunRecord]) -> tuple[TrendBlock, ...]:
    """One block for each metric over all rows that the drawn audits have."""
    drawn = runs[-DRAWN:]
    found: tuple[Series, ...] = _in_order(tuple(_series(total) for total in run.totals) for run in reversed(drawn))
    return tuple(_metric(series, drawn) for series in found)


def _series(total: Estimate) -> Series:
    return total.metric, total.class_name


def _metric(series: Series, runs: Sequence[RunRecord]) -> TrendBlock:
    unit = words.unit(series[0])
    moments, rows, latest = [], [], runs[-1]
    for run in runs:
        total = next((one for one in run.totals if _series(one) == series), None)
        moments.append(_total_moment(run, total))
        if total is not None:
            rows.append(_total_row(run, total))
            latest = run
    title = words.sentence(words.series(*series, multiclass=latest.multiclass))
    columns = (
        Column("Date (UTC)", "name"),
        Column("Estimate", "number"),
        Column("Interval", "interval"),
        Column("Level", "number"),
        Column("Method"),
        Column("n", "number"),
    )
    text = f"{title} over all rows with its interval, {numbers.plural(len(rows), 'audit')}, oldest on the left"
    table = Table(f"{title} over all evaluated rows, the latest first", columns, tuple(reversed(rows)))
    return TrendBlock(title, "", False, trend(moments, unit, text), "No audit has a value to draw.", table)


def _total_moment(run: RunRecord, total: Estimate | None) -> Moment:
    date = numbers.stamp(run.epoch)[:10]
    if total is None or isinstance(total.value, Undefined):
        return Moment(date, None)
    interval = total.interval
    return Moment(date, total.value, *((None, None) if interval is None else (interval.low, interval.high)))


def _total_row(run: RunRecord, total: Estimate) -> tuple[Cell, ...]:
    unit = words.unit(total.metric)
    rows = undefined("–") if total.n is None else number(numbers.count(total.n), str(total.n))
    nothing = Cell("–", "number")
    if isinstance(total.value, Undefined):
        return _date_cell(run), undefined(numbers.undefined(total.value)), nothing, nothing, Cell("–"), rows
    value = number(numbers.metric_value(total.value, unit), numbers.sort_key(total.value))
    if total.interval is None:
        return _date_cell(run), value, nothing, nothing, Cell("–"), rows
    return (
        _date_cell(run),
        value,
        Cell(numbers.interval(total.interval, unit), "interval"),
        number(numbers.level(total.interval.level)),
        Cell(total.interval.method),
        rows,
    )
