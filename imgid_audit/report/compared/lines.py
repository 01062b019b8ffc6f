"""What `compare` prints: the answer, a line a method, and a table."""

from __future__ import annotations

from imgid_audit.core.comparison import Comparison, MethodChange, MethodRecord
from imgid_audit.core.result import Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.compared import wording
from imgid_audit.report.compared.view import View

COLUMNS = ("Method", "Verdict", "Change", "Interval", "Before", "After", "Adjusted p")
"""Heads of `comparison_rows`."""


def comparison_lines(comparison: Comparison) -> list[str]:
    """The answer, what was declared, a line a method with change, interval and verdict, and the winner on val."""
    headline, _, explanation = wording.conclusion(comparison)
    view = View.of(comparison)
    lines = [
        f"{headline} ({wording.scope(comparison.scope)})",
        explanation,
        f"{words.sentence(wording.primary(comparison.primary))}, against {comparison.baseline}, "
        f"{numbers.plural(len(comparison.seeds), 'seed')}:",
    ]
    lines += [f"  {record.name}: {_line(record, view.verdict_of(record.name))}" for record in view.tried]
    lines.append(wording.aside(comparison))
    winner = comparison.winner
    if winner is not None:
        where = f", written to {winner.weights}" if winner.weights else f", not written as weights: {winner.reason}"
        lines.append(f"best on val: {winner.method}, seed {winner.seed}{where}")
    return [line for line in lines if line]


def _line(record: MethodRecord, change: MethodChange | None) -> str:
    if record.status == "not_run" or change is None:
        return f"not run: {record.reason}"
    said = wording.judged(change) or "no verdict"
    levelled = "; levelling down: the gap closed only because the best group lost" if change.levelling_down else ""
    if isinstance(change.value, Undefined):
        return f"{said}, {numbers.undefined(change.value)}{levelled}"
    unit = words.unit(change.metric)
    bounds = ""
    if change.interval is not None:  # the unit has just been said
        bounds = f" {numbers.difference_interval(change.interval, unit).removesuffix(f'{numbers.NBSP}points')}"
    p = "" if change.p_adjusted is None else f", adjusted {numbers.p_value(change.p_adjusted)}"
    return f"{said}, {numbers.signed_difference(change.value, unit)}{bounds}{p}{levelled}"


def comparison_rows(comparison: Comparison) -> tuple[tuple[str, ...], ...]:
    """A row a method beside the baseline, of texts under `COLUMNS`."""
    view = View.of(comparison)
    return tuple((record.name, *_cells(record, view.verdict_of(record.name))) for record in view.tried)


def _cells(record: MethodRecord, change: MethodChange | None) -> tuple[str, ...]:
    if record.status == "not_run" or change is None:
        return ("not run", record.reason, "–", "–", "–", "–")
    unit = words.unit(change.metric)
    sides = tuple(_side(value, change) for value in (change.before, change.after))
    said: str = wording.judged(change) or "no verdict"
    if change.levelling_down:
        said += " (levelling down)"
    if isinstance(change.value, Undefined):
        return (said, numbers.undefined(change.value), "–", *sides, "–")
    bounds = "–" if change.interval is None else numbers.difference_interval(change.interval, unit)
    p = "–" if change.p_adjusted is None else numbers.p_value(change.p_adjusted)
    return (said, numbers.signed_difference(change.value, unit), bounds, *sides, p)


def _side(value: float | Undefined, change: MethodChange) -> str:
    if isinstance(value, Undefined):
        return numbers.undefined(value)
    unit = words.unit(change.metric)
    return numbers.difference(value, unit) if change.quantity == "gap" else numbers.metric_value(value, unit)
