"""Limits: everything that was not checked, could not be computed or cannot be concluded, and why."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from imgid_audit.core.result import Undefined, Verdict
from imgid_audit.report import numbers, tables, words
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section

MOST = 12
"""Items of one kind that are named; the rest is counted."""

MOST_GROUPS = 40
"""Groups and reasons that are listed; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Limit:
    """One kind of limit with its items."""

    title: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Payload: limits by kind."""

    lead: str
    limits: tuple[Limit, ...]


def build(facts: Facts) -> Limits:
    """Payload of the section; every audit has limits."""
    kinds = (
        Limit("About the data", facts.result.notes),
        Limit("Rules that the data cannot settle", _verdicts(facts, "inconclusive")),
        Limit("Rules that were not evaluated", _verdicts(facts, "not_evaluated")),
        Limit("Estimates that have no value", _undefined_estimates(facts)),
        Limit("Gaps that have no value", _undefined_gaps(facts)),
        Limit("Checks that did not run", _checks(facts)),
        Limit("Rows that were not evaluated", _rows(facts)),
        Limit("What this audit does not look at", _standing(facts)),
    )
    lead = "What this report does not know is listed here, so that silence is not taken for a good sign."
    return Limits(lead, tuple(kind for kind in kinds if kind.items))


def _verdicts(facts: Facts, status: str) -> tuple[str, ...]:
    return tuple(_verdict(v) for v in facts.result.evaluation.verdicts if v.status == status)


def _verdict(verdict: Verdict) -> str:
    return words.ended(f"{verdict.rule}: {verdict.reason}")


def _undefined_estimates(facts: Facts) -> tuple[str, ...]:
    """Undefined estimates gathered by group and reason, with the metrics that they concern."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for e in facts.result.evaluation.estimates:
        if isinstance(e.value, Undefined):
            reason = e.value.reason or words.UNDEFINED_WORDS[e.value.kind]
            places[str(e.slice), reason].append(words.metric(e.metric))
    return _gathered(places, len(facts.metrics))


def _undefined_gaps(facts: Facts) -> tuple[str, ...]:
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for gap in facts.result.evaluation.gaps:
        if isinstance(gap.value, Undefined):
            reason = gap.value.reason or words.UNDEFINED_WORDS[gap.value.kind]
            where = f"{words.breakdown(gap.attribute)} ({gap.kind})"
            places[where, reason].append(words.metric(gap.metric))
    return _gathered(places, 0)


def _gathered(places: dict[tuple[str, str], list[str]], metrics: int) -> tuple[str, ...]:
    """A line a group and reason; `metrics` is how many make "every metric"."""
    items = [f"{where}: {reason} ({_listed(found, metrics)})." for (where, reason), found in places.items()]
    if len(items) > MOST_GROUPS:
        rest = numbers.count(len(items) - MOST_GROUPS)
        items = [*items[:MOST_GROUPS], f"{rest} more groups and reasons. {tables.ELSEWHERE}"]
    return tuple(items)


def _listed(found: list[str], metrics: int) -> str:
    names = tuple(dict.fromkeys(found))
    some = ", ".join(names[:MOST])
    if len(names) == metrics > 1:
        some = "every metric"
    elif len(names) > MOST:
        some = f"{some} and {numbers.count(len(names) - MOST)} more"
    return some if len(found) == len(names) else f"{some}; {numbers.plural(len(found), 'number')} in all"


def _checks(facts: Facts) -> tuple[str, ...]:
    idle = [f for f in facts.result.findings if f.status in ("skipped", "not_applicable")]
    return tuple(words.ended(f"{f.code} {f.title}: {words.FINDING_WORDS[f.status].lower()}, {f.reason}") for f in idle)


def _rows(facts: Facts) -> tuple[str, ...]:
    reasons = sorted(facts.result.data.reasons.items(), key=lambda r: (-r[1], r[0]))
    shown, left_out = tables.capped(reasons, MOST, "reasons")
    return (*(f"{numbers.plural(n, 'row')}: {reason}" for reason, n in shown), *left_out)


def _standing(facts: Facts) -> tuple[str, ...]:
    """What holds of this audit by its nature."""
    said = [
        "The labels are taken as true; an error in them counts as an error of the model.",
        "The audited data stand for the place where the model will be used only if they were drawn from it.",
        "Groups are compared as recorded. A difference is not yet a cause: attributes may go along with each other.",
    ]
    if facts.result.data.subjects is None:
        said.append(
            "Rows count as independent, for want of a subject column. If several images come from one person or "
            "device, the intervals are too narrow."
        )
    if facts.images is None:
        said.append("Pictures of errors were not asked for, so nobody is shown what the errors look like.")
    if not facts.result.evaluation.verdicts:
        said.append("No policy was set, so no requirement was tested.")
    if not facts.intersections:
        said.append("No intersection of attributes was asked for.")
    if not facts.attributes:
        said.append("No attribute was declared, so no groups were compared.")
    return tuple(said)


SECTION = Section("limits", "Limits", "All that was not checked, undefined or inconclusive, and why.", build)
