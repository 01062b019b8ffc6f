"""Method: how estimates, intervals, gaps and verdicts were made; taken from the result itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgid_audit.metrics import METRICS
from imgid_audit.report import audited, numbers, words
from imgid_audit.report.blocks import Cell, Column, Fact, Table, name, number
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section
from imgid_audit.stats.methods import BOUND, CHOICES, COMPARED, GAP, METHODS, OTHERS, PROPORTION
from imgid_audit.stats.methods import Method as Chosen

DIRECTIONS = {"higher": "higher is better", "lower": "lower is better", None: "no better direction"}


@dataclass(frozen=True, slots=True)
class Method:
    """Payload: how to read the report, interval methods in use, how they are chosen, and definitions."""

    reading: tuple[Fact, ...]
    intervals: Table
    choice: Table
    definitions: tuple[Fact, ...]


def build(facts: Facts) -> Method:
    """Payload of the section; an audit always has one."""
    return Method(_reading(facts), _intervals(facts), _choice(facts), _definitions(facts))


def _reading(facts: Facts) -> tuple[Fact, ...]:
    policy = facts.result.settings.get("policy") or {}
    support = policy.get("min_support")
    needs = "" if support is None else f" A group with a support below {support} is not judged and is named."
    unit = facts.unit_of_sampling
    accounts = (
        "Intervals account for images of one subject being alike."
        if unit == "subject"
        else "Every row counts as independent of the others."
    )
    return (
        Fact("Decisions", words.sentence(audited.operating_point(facts)) + "."),
        Fact("n and support", "n counts the rows of a group; support counts those that the metric divides by."),
        Fact("Unit of sampling", f"The {unit}. {accounts}"),
        Fact("Gap", "Highest minus lowest group (difference), or lowest over highest (ratio), where defined."),
        Fact(
            "Verdicts",
            "Met: every compared pair's one-sided bound is inside the tolerance. Broken: a bound that allows for all "
            "comparisons is outside it. Otherwise inconclusive: the data cannot tell. The bounds printed with a rule "
            f"are the very ones that decided.{needs}",
        ),
        Fact("p-values", "Test that all groups are equal, adjusted over the whole audit (Holm 1979)."),
        Fact("Rounding", "0 % and 100 % are printed only where they are exact; halves are rounded to the even digit."),
    )


def _intervals(facts: Facts) -> Table:
    tally: Counter[tuple[str, str, str]] = Counter()
    for what, items in (("estimates", facts.result.evaluation.estimates), ("gaps", facts.result.evaluation.gaps)):
        for item in items:
            if item.interval is not None:
                tally[item.interval.method, numbers.level(item.interval.level), what] += 1
    rows = tuple(
        (name(method), Cell(level, "number"), Cell(what), number(numbers.count(n), str(n)))
        for (method, level, what), n in tally.items()
    )
    columns = (
        Column("Method", "name"),
        Column("Level", "number"),
        Column("Used for", "text"),
        Column("Intervals", "number"),
    )
    return Table("As the results record them", columns, rows, heading="Interval methods")


def _choice(facts: Facts) -> Table:
    """The rows of the table of methods that this audit's data and settings can come to."""
    asked = facts.result.settings.get("intervals") or {}
    found = facts.result.evaluation
    recorded = {e.interval.method for e in found.estimates if e.interval is not None}
    recorded |= {g.envelope.method for g in found.gaps if g.envelope is not None}
    rows = tuple(
        (name(words.sentence(one.quantity)), Cell(one.name), Cell(words.sentence(one.situation)), Cell(one.source))
        for one in METHODS
        if _concerns(one, "rows" if facts.result.data.subjects is None else "subjects", asked, recorded)
    )
    columns = (Column("Limits of", "name"), Column("Method"), Column("Used"), Column("Source"))
    note = "The whole table, with what can be asked for instead: imgid-audit list methods."
    return Table("Before any result is seen", columns, rows, (note,), "How methods are chosen", "methods")


def _concerns(one: Chosen, sampling: str, asked: Mapping[str, Any], recorded: set[str]) -> bool:
    if one.sampling not in (sampling, "either"):
        return False
    if one.quantity in COMPARED.values():
        return bool(one.key == asked.get(CHOICES[one.quantity], one.key if one.default else ""))
    comparing = one.quantity in (PROPORTION, GAP, BOUND, *OTHERS.values())
    return (comparing and one.key != "outcomes") or any(one.name in method for method in recorded)


def _definitions(facts: Facts) -> tuple[Fact, ...]:
    """Every metric that the report names: estimated, judged, or compared."""
    named = dict.fromkeys((*facts.metrics, *(g.metric for g in facts.result.evaluation.gaps)))
    return tuple(_definition(metric) for metric in named)


def _definition(metric: str) -> Fact:
    if metric in METRICS:
        declared = METRICS[metric]
        meaning = words.sentence(f"{declared.summary}; {DIRECTIONS[declared.better]}.")
        return Fact(words.sentence(words.metric(metric)), meaning)
    return Fact(words.sentence(words.metric(metric)), words.statement(words.COMPOSITES.get(metric, "not registered")))


SECTION = Section("method", "Method", "Interval methods, operating point and definitions.", build)
