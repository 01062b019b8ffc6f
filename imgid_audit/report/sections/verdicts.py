"""The first page: verdicts in plain words, what was audited, and the widest gaps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from imgid_audit.core.result import Gap, Undefined, Verdict
from imgid_audit.core.slices import Slice
from imgid_audit.report import audited, bounds, numbers, panels, tables, waivers, words
from imgid_audit.report.blocks import Fact, StatusKind
from imgid_audit.report.facts import Facts
from imgid_audit.report.figures.axis import Axis, Strip, axis_over
from imgid_audit.report.numbers import Unit
from imgid_audit.report.section import Section

WIDEST = 3

ORDER = ("fail", "not_evaluated", "inconclusive", "pass")
"""Verdicts by urgency; those of one status keep the order of the policy."""


@dataclass(frozen=True, slots=True)
class VerdictLine:
    """One rule: what it asks, how it came out, why, its waiver, and the numbers that decided, also drawn.

    `glance` is the line of the first page: the numbers, or the reason where the data do not decide.
    """

    rule: str
    status: str
    kind: StatusKind
    requirement: str
    reason: str
    glance: str
    numbers: tuple[Fact, ...]
    axis: Axis | None
    strip: Strip | None
    waiver: str = ""


@dataclass(frozen=True, slots=True)
class GapLine:
    """One of the widest gaps: what differs, by how much, and between whom."""

    title: str
    value: str
    interval: str
    ends: str
    p_value: str


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Payload of the first page."""

    headline: str
    kind: StatusKind
    explanation: str
    notes: tuple[str, ...]
    verdicts: tuple[VerdictLine, ...]
    audited: tuple[Fact, ...]
    gaps: tuple[GapLine, ...]
    gaps_note: str


def build(facts: Facts) -> Verdicts:
    """Payload of the first page; an audit always has one."""
    policy = facts.result.settings.get("policy") or {}
    warns = policy.get("on_inconclusive") == "warn"
    headline, kind, explanation = conclusion(facts.result.evaluation.verdicts, warns=warns)
    verdicts = sorted(facts.result.evaluation.verdicts, key=lambda v: ORDER.index(v.status))
    widest = widest_gaps(facts.result.evaluation.gaps)
    hidden = facts.result.privacy is not None and any(facts.result.privacy.suppressed)
    note = (
        "Ranked by the lower end of the interval: the difference that the data vouch for. "
        f"The intervals hold for all compared groups at once. {panels.P_VALUES}"
    )
    return Verdicts(
        headline,
        kind,
        explanation,
        facts.result.notes,
        tuple(_line(facts, verdict) for verdict in verdicts),
        audited.facts(facts),
        tuple(_gap_line(facts, gap) for gap in widest),
        f"{note}{' Suppressed gaps are not among them.' if hidden else ''}" if widest else _no_gap(hidden=hidden),
    )


def _no_gap(*, hidden: bool) -> str:
    if hidden:
        return "No gap is shown: all that could be estimated are suppressed, see the note above."
    return "No gap could be estimated: it takes two groups in which a metric is defined."


def conclusion(verdicts: Sequence[Verdict], *, warns: bool) -> tuple[str, StatusKind, str]:
    """Headline, colour and explanation of a whole policy; `warns` where it lets inconclusive rules pass."""
    tally: Counter[str] = Counter(v.status for v in verdicts)
    counted: Counter[str] = Counter(v.status for v in verdicts if not v.waived)
    total = tally.total()
    if not total:
        return "Nothing was judged", "off", "No policy was set: this report describes, it does not decide."
    if tally["pass"] == total:
        return "The policy is met", "good", f"{_rules(total, total)} met."
    split = " ".join(filter(None, (tally_sentence(tally, total), waivers.tally(verdicts))))
    if counted["fail"] or counted["not_evaluated"]:
        kind: StatusKind = "bad" if counted["fail"] else "off"
        return "The policy is not met", kind, split
    let_off = any(v.waived and not (warns and v.status == "inconclusive") for v in verdicts)
    if let_off and (warns or not counted["inconclusive"]):
        return "The policy is not met, and this is waived", "open", f"{split} A waived rule is not a rule that is met."
    if warns:
        return "The policy is met, with open questions", "open", f"{split} This policy lets inconclusive rules pass."
    return "The data cannot settle the policy", "open", f"{split} This policy counts an inconclusive rule as not met."


def _rules(some: int, total: int) -> str:
    if some == total:
        return "The only rule is" if total == 1 else f"All {numbers.count(total)} rules are"
    return f"{numbers.count(some)} of {numbers.count(total)} rules {'is' if some == 1 else 'are'}"


def tally_sentence(tally: Counter[str], total: int) -> str:
    """``1 of 4 rules is broken, 1 inconclusive, 2 met.``; `total` is above 0."""
    said = {"fail": "broken", "inconclusive": "inconclusive", "not_evaluated": "not evaluated", "pass": "met"}
    parts = [(tally[status], word) for status, word in said.items() if tally[status]]
    (first, word), *rest = parts
    more = "".join(f", {numbers.count(some)} {other}" for some, other in rest)
    return f"{_rules(first, total)} {word}{more}."


def _line(facts: Facts, verdict: Verdict) -> VerdictLine:
    settings = facts.rules.get(verdict.rule) or {}
    requirement = words.rule(settings, multiclass=facts.multiclass) if settings else ""
    deciding = tuple(_deciding_numbers(facts, verdict))
    glance = "; ".join(f"{fact.term.lower()} {fact.text}" for fact in deciding)
    return VerdictLine(
        verdict.rule,
        waivers.status(verdict),
        words.STATUS_KINDS[verdict.status],
        requirement,
        words.statement(verdict.reason),
        words.statement(glance if verdict.status in ("pass", "fail") and glance else verdict.reason),
        deciding,
        *_drawn(verdict, bounds.axis_unit(settings)),
        waivers.text(verdict),
    )


def _drawn(verdict: Verdict, unit: Unit | None) -> tuple[Axis | None, Strip | None]:
    """The bounds that decided, beside the tolerance; nothing where a bound is absent."""
    low, observed, high = verdict.low, verdict.observed, verdict.high
    if low is None or observed is None or high is None:
        return None, None
    least, most = min(low, observed, verdict.tolerance), max(high, observed, verdict.tolerance)
    axis = axis_over([least], [most], unit)
    grid = tuple(tick.x for tick in axis.ticks)
    text = "Observed value between the bounds that decided; the dashed line is the tolerance"
    return axis, Strip(axis.x(low), axis.x(observed), axis.x(high), axis.x(verdict.tolerance), grid, text)


def _deciding_numbers(facts: Facts, verdict: Verdict) -> list[Fact]:
    """Observed value, the very bounds that decided, the worst group, and what would settle it.

    Bounds carry as many decimals as it takes to tell them from the tolerance.
    """
    write, digits = bounds.writing(facts.rules.get(verdict.rule) or {})
    shown = [("Observed", verdict.observed), ("Lower bound", verdict.low), ("Upper bound", verdict.high)]
    found = [
        Fact(term, numbers.apart(value, verdict.tolerance, write, digits)) for term, value in shown if value is not None
    ]
    if verdict.worst is not None and verdict.worst.levels:
        found.append(Fact("Deciding group", words.group(verdict.worst)))
    if verdict.subjects_needed:
        ranges = verdict.subjects_needed_range or {}
        needed = "; ".join(
            f"{name} {numbers.needed(more, ranges.get(name))}" for name, more in sorted(verdict.subjects_needed.items())
        )
        found.append(Fact(f"More {facts.unit_of_sampling}s to settle it", needed))
    return found


def widest_gaps(gaps: tuple[Gap, ...], most: int = WIDEST) -> tuple[Gap, ...]:
    """The differences with the highest lower bounds, each difference once.

    A metric and its complement (recall and false negative rate) are the same difference, as is a
    composite and the part that it equals: of gaps with one value over one breakdown the first counts.
    """
    ranked = sorted(
        (g for g in gaps if g.kind == "difference" and not isinstance(g.value, Undefined) and g.interval is not None),
        key=lambda g: (-_low(g), -_size(g)),
    )
    seen: set[tuple[str, float]] = set()
    chosen = []
    for gap in ranked:
        key = (gap.attribute, round(_size(gap), 9))
        if key not in seen and words.unit(gap.metric) == "percent":
            seen.add(key)
            chosen.append(gap)
    return tuple(chosen[:most])


def _size(gap: Gap) -> float:
    assert not isinstance(gap.value, Undefined)
    return gap.value


def _low(gap: Gap) -> float:
    assert gap.interval is not None
    return gap.interval.low


def _gap_line(facts: Facts, gap: Gap) -> GapLine:
    series = words.sentence(facts.say((gap.metric, gap.class_name)))
    best, worst = words.ends(gap.metric)
    level = "" if gap.interval is None else f"{numbers.level(gap.interval.level)} interval "
    return GapLine(
        f"{series} across {words.breakdown(gap.attribute)}",
        tables.gap_value(gap),
        level + tables.gap_interval(gap),
        f"{best} {_sized(facts, gap.best, gap)}, {worst} {_sized(facts, gap.worst, gap)}",
        "" if gap.p_adjusted is None else f"adjusted {numbers.p_value(gap.p_adjusted)}",
    )


def _sized(facts: Facts, of: Slice | None, gap: Gap) -> str:
    size = facts.size(of, (gap.metric, gap.class_name))
    return f"{words.group(of)} ({size})" if size else words.group(of)


SECTION = Section("verdicts", "Verdicts", "The verdicts in plain words, what was audited, the widest gaps.", build)
