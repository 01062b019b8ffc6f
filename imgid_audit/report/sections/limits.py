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

MOST_GROUPS = 60
"""Groups that are listed; the rest is counted."""


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
        Limit("Checks that the data cannot answer", _checks(facts, "inconclusive")),
        Limit("Checks that did not run", _checks(facts, "skipped", "not_applicable")),
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
    """Undefined estimates gathered by group, with their reasons and the metrics that they concern."""
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for e in facts.result.evaluation.estimates:
        if isinstance(e.value, Undefined):
            places[str(e.slice)].append((_reason(e.value), words.metric(e.metric)))
    return _gathered(places, len(facts.metrics))


def _undefined_gaps(facts: Facts) -> tuple[str, ...]:
    places: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for gap in facts.result.evaluation.gaps:
        if isinstance(gap.value, Undefined):
            where = f"{words.breakdown(gap.attribute)} ({gap.kind})"
            places[where].append((_reason(gap.value), words.metric(gap.metric)))
    return _gathered(places, 0)


def _reason(value: Undefined) -> str:
    return value.reason or words.UNDEFINED_WORDS[value.kind]


def _gathered(places: dict[str, list[tuple[str, str]]], metrics: int) -> tuple[str, ...]:
    """A line a place; `metrics` is how many make "every metric"."""
    items = []
    for where, found in places.items():
        reasons = _named([reason for reason, _ in found], 0, "; ")
        concerned = _named([metric for _, metric in found], metrics, ", ")
        items.append(f"{where}: {reasons} ({concerned}; {numbers.plural(len(found), 'number')}).")
    if len(items) > MOST_GROUPS:
        rest = numbers.count(len(items) - MOST_GROUPS)
        items = [*items[:MOST_GROUPS], f"{rest} more groups. {tables.ELSEWHERE}"]
    return tuple(items)


def _named(found: list[str], every: int, between: str) -> str:
    """Each of the found once; the first dozen where there are more, and how many are not named."""
    names = tuple(dict.fromkeys(found))
    if len(names) == every > 1:
        return "every metric"
    more = f"{between}{numbers.count(len(names) - MOST)} more" if len(names) > MOST else ""
    return between.join(names[:MOST]) + more


def _checks(facts: Facts, *statuses: str) -> tuple[str, ...]:
    open_ones = [f for f in facts.result.findings if f.status in statuses]
    said = ((f, words.FINDING_WORDS[f.status].lower()) for f in open_ones)
    return tuple(words.ended(f"{f.code} {f.title}: {status}, {f.reason}") for f, status in said)


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
