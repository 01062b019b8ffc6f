"""The difference of two runs in words: a sentence a change, the flips, the verdicts that moved."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imgid_audit.core.result import AuditResult, Interval, Undefined
from imgid_audit.evaluation.changes import Change, Changes
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers, words

MOST_ALONE = 10
"""Changes that are not beyond chance once all are counted: at most so many are said."""


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


def beyond_chance(change: Change) -> bool:
    """Whether a change is shown once all comparisons are counted: its adjusted p is below 1 - level."""
    return _apart(change) and change.p_adjusted is not None and change.p_adjusted < 1 - _level(change)


def _apart(change: Change) -> bool:
    """Whether the change's own interval excludes 0, as if it were the only comparison."""
    return change.interval is not None and not change.interval.low <= 0 <= change.interval.high


def _level(change: Change) -> float:
    assert change.interval is not None
    return change.interval.level


def sentence(change: Change, *, multiclass: bool) -> str:
    """``sex = F: recall of “yes” lost 3.1 points [1.2, 5.0]``, or that there is no evidence of a change."""
    if isinstance(change.value, Undefined):
        return f"{_what(change, multiclass)} cannot be compared: {change.value.reason}"
    if change.interval is None:
        return _what(change, multiclass)
    unit, better = words.unit(change.metric), METRICS[change.metric].better
    if not beyond_chance(change):
        aside = "not beyond chance once all comparisons are counted" if _apart(change) else "which may be no change"
        return f"{_moved(change, multiclass)}, {aside}"
    rose = change.value > 0
    amount = change.interval if rose else Interval(-change.interval.high, -change.interval.low, 0.0, "")
    if better is None:
        verb = "rose by" if rose else "fell by"
    elif better == "higher":
        verb = "gained" if rose else "lost"
    else:
        verb = "got worse by" if rose else "got better by"
    return f"{_what(change, multiclass)} {verb} {numbers.difference(abs(change.value), unit)} {_bounds(amount, unit)}"


def _what(change: Change, multiclass: bool) -> str:
    return f"{change.slice}: {words.series(change.metric, change.class_name, multiclass=multiclass)}"


def _moved(change: Change, multiclass: bool) -> str:
    """The change with its sign and interval, without a claim; it must be defined."""
    assert not isinstance(change.value, Undefined)
    assert change.interval is not None
    unit = words.unit(change.metric)
    moved = f"{numbers.signed_difference(change.value, unit)} {_bounds(change.interval, unit)}"
    return f"{_what(change, multiclass)} moved by {moved}"


def _bounds(interval: Interval, unit: numbers.Unit) -> str:
    """``[1.2, 5.0]``: the unit has just been said."""
    return numbers.difference_interval(interval, unit).removesuffix(f"{numbers.NBSP}points")


def verdict_line(one: VerdictChange) -> str:
    """``device-gap: pass before, fail now``."""
    before = "not a rule before" if one.before is None else f"{one.before.replace('_', ' ')} before"
    after = "no longer a rule" if one.after is None else f"{one.after.replace('_', ' ')} now"
    return f"{one.rule}: {before}, {after}"


def lines(difference: RunDifference) -> Iterator[str]:
    """The findings as sentences: losses, gains, what is not beyond chance, what may be none, verdicts."""
    found = difference.found.changes
    multiclass = difference.task == "multiclass"
    shown = sorted((one for one in found if beyond_chance(one)), key=_order)
    alone = sorted((one for one in found if _apart(one) and not beyond_chance(one)), key=lambda one: -_size(one))
    yield from (sentence(one, multiclass=multiclass) for one in shown)
    if alone:
        counted = f"once all {_comparisons(found)} comparisons are counted"
        yield f"not beyond chance {counted}, though each by itself would be:"
        yield from (f"  {_moved(one, multiclass)}" for one in alone[:MOST_ALONE])
        if len(alone) > MOST_ALONE:
            yield f"  and {numbers.count(len(alone) - MOST_ALONE)} more, see the table"
    yield from _rest(found, len(shown) + len(alone))
    for one in difference.verdicts:
        yield verdict_line(one)


def _order(change: Change) -> int:
    """Losses before gains before changes of metrics where neither way is better."""
    better = METRICS[change.metric].better
    if better is None:
        return 2
    return 0 if (_signed(change) < 0) == (better == "higher") else 1


def _signed(change: Change) -> float:
    return 0.0 if isinstance(change.value, Undefined) else change.value


def _size(change: Change) -> float:
    return abs(_signed(change))


def _comparisons(found: Sequence[Change]) -> str:
    """The number of hypotheses that adjusted p-values count; complements share one."""
    tested = (one for one in found if one.p_value is not None)
    return numbers.count(len({(METRICS[one.metric].hypothesis, one.class_name, one.slice) for one in tested}))


def _rest(found: Sequence[Change], before: int) -> Iterator[str]:
    """How many changes are left that may be none, are none, or cannot be compared."""
    undefined = sum(isinstance(one.value, Undefined) for one in found)
    left = len(found) - undefined - before
    same = sum(not isinstance(one.value, Undefined) and one.value == 0 for one in found)
    other = "other " if before else ""
    if left and left == same:
        yield f"{numbers.plural(same, f'{other}value')} did not change"
    elif left:
        yield f"{numbers.plural(left, f'{other}change')} may be none"
    if undefined:
        yield f"{numbers.plural(undefined, 'value')} cannot be compared"


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
