"""The difference of two runs in words: a sentence a change, the flips, the verdicts that moved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from imgid_audit.core.result import AuditResult, Interval, Undefined
from imgid_audit.evaluation.changes import Change, Changes
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers, words


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two runs: where it is, its name, the hash of its evaluated rows, rows predicted."""

    folder: str
    name: str
    cells: str
    predicted: int


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A rule that the two runs answer differently; None where a run does not have it."""

    rule: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class RunDifference:
    """What changed from the first run to the second. `notes` say how the rows were put together."""

    first: Side
    second: Side
    found: Changes
    notes: tuple[str, ...]
    verdicts: tuple[VerdictChange, ...]
    task: str


def verdict_changes(first: AuditResult, second: AuditResult) -> tuple[VerdictChange, ...]:
    """Rules whose status differs, and rules that only one run has, in the second run's order."""
    before = {verdict.rule: verdict.status for verdict in first.evaluation.verdicts}
    after = {verdict.rule: verdict.status for verdict in second.evaluation.verdicts}
    rules = dict.fromkeys([*after, *before])
    moved = [VerdictChange(rule, before.get(rule), after.get(rule)) for rule in rules]
    return tuple(one for one in moved if one.before != one.after)


def sentence(change: Change, *, multiclass: bool) -> str:
    """``sex = F: recall of “yes” lost 3.1 points [1.2, 5.0]``, or that there is no evidence of a change."""
    what = f"{change.slice}: {words.series(change.metric, change.class_name, multiclass=multiclass)}"
    if isinstance(change.value, Undefined) or change.interval is None:
        return f"{what} cannot be compared: {change.value.reason}" if isinstance(change.value, Undefined) else what
    unit, better = words.unit(change.metric), METRICS[change.metric].better
    if change.interval.low <= 0 <= change.interval.high:
        moved = numbers.signed_difference(change.value, unit)
        return f"{what} moved by {moved} {_bounds(change.interval, unit)}, which may be no change"
    rose = change.value > 0
    amount = change.interval if rose else Interval(-change.interval.high, -change.interval.low, 0.0, "")
    if better is None:
        verb = "rose by" if rose else "fell by"
    elif better == "higher":
        verb = "gained" if rose else "lost"
    else:
        verb = "got worse by" if rose else "got better by"
    return f"{what} {verb} {numbers.difference(abs(change.value), unit)} {_bounds(amount, unit)}"


def _bounds(interval: Interval, unit: numbers.Unit) -> str:
    """``[1.2, 5.0]``: the unit has just been said."""
    return numbers.difference_interval(interval, unit).removesuffix(f"{numbers.NBSP}points")


def verdict_line(one: VerdictChange) -> str:
    """``device-gap: pass before, fail now``."""
    before = "not a rule before" if one.before is None else f"{one.before.replace('_', ' ')} before"
    after = "no longer a rule" if one.after is None else f"{one.after.replace('_', ' ')} now"
    return f"{one.rule}: {before}, {after}"


def lines(difference: RunDifference) -> Iterator[str]:
    """The findings as sentences: changes that the data show, those that may be none counted, verdicts."""
    found = difference.found
    multiclass = difference.task == "multiclass"
    shown = [one for one in found.changes if one.interval and not one.interval.low <= 0 <= one.interval.high]
    yield from (sentence(one, multiclass=multiclass) for one in shown)
    rest = len(found.changes) - len(shown)
    undefined = sum(isinstance(one.value, Undefined) for one in found.changes)
    yield f"{numbers.plural(rest - undefined, 'other change')} may be none" + (
        f"; {numbers.count(undefined)} cannot be compared" if undefined else ""
    )
    for one in difference.verdicts:
        yield verdict_line(one)


def rows(difference: RunDifference) -> tuple[tuple[str, ...], ...]:
    """The table of changes: slice, metric, before, after, change, interval, p, adjusted p."""
    multiclass = difference.task == "multiclass"
    return tuple(
        (
            str(one.slice),
            words.series(one.metric, one.class_name, multiclass=multiclass),
            _value(one.first, one.metric),
            _value(one.second, one.metric),
            *_change(one),
        )
        for one in difference.found.changes
    )


def flip_rows(difference: RunDifference) -> tuple[tuple[str, ...], ...]:
    """The table of flips: slice, rows, right before alone, right now alone, p, adjusted p."""
    return tuple(
        (
            str(one.slice),
            numbers.count(one.rows),
            numbers.count(one.lost),
            numbers.count(one.gained),
            *("–" if p is None else numbers.p_value(p) for p in (one.p_value, one.p_adjusted)),
        )
        for one in difference.found.flips
    )


def _value(value: float | Undefined, metric: str) -> str:
    return "undefined" if isinstance(value, Undefined) else numbers.metric_value(value, words.unit(metric))


def _change(one: Change) -> tuple[str, ...]:
    if isinstance(one.value, Undefined) or one.interval is None:
        return ("undefined", "–", "–", "–")
    unit = words.unit(one.metric)
    adjusted = "–" if one.p_adjusted is None else numbers.p_value(one.p_adjusted)
    plain = "–" if one.p_value is None else numbers.p_value(one.p_value)
    return numbers.signed_difference(one.value, unit), _bounds(one.interval, unit), plain, adjusted
