"""Calibration: do scores mean what they say, over all rows and in each group."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgid_audit.core.result import ReliabilityCurve
from imgid_audit.report import numbers, panels, tables, words
from imgid_audit.report.blocks import Column, Table, name, number
from imgid_audit.report.calibration import (
    calibration_metrics,
    change,
    envelope_notes,
    estimates_of,
    leading,
    reading,
    recalibrated,
    title,
)
from imgid_audit.report.facts import Facts, worst_first
from imgid_audit.report.figures.reliability import Diagram, diagram
from imgid_audit.report.section import Section

MAX_DIAGRAMS = 13
"""All rows and a dozen groups."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram with its title, its text alternative, and its bins as a table."""

    title: str
    alternative: str
    diagram: Diagram
    bins: Table


@dataclass(frozen=True, slots=True)
class Calibration:
    """Payload: what was recalibrated, diagrams, and the calibration metrics of every group."""

    lead: str
    recalibrated: str
    change: tuple[Table, ...]
    note: str
    diagrams: tuple[Reliability, ...]
    forests: tuple[Table, ...]
    reading: str
    grids: tuple[Table, ...]


def build(facts: Facts) -> Calibration | None:
    """Payload of the section; None where there are no scores to look at."""
    curves = [c for c in facts.result.evaluation.reliability if c.count.sum() > 0]
    metrics = calibration_metrics(facts)
    hidden = facts.result.privacy.curves if facts.result.privacy is not None else ()
    if not curves and not (hidden and metrics):
        return None
    shown = curves[:MAX_DIAGRAMS]
    note = ""
    if len(curves) > len(shown):
        note = f"{numbers.count(len(curves) - len(shown))} more diagrams are left out; their bins are in audit.json."
    if hidden:
        named = ", ".join(words.breakdown(name) or "all rows" for name in hidden)
        note = f"{note} Diagrams of {named} are suppressed: their bins are cells that are too small.".lstrip()
    drawn = leading(facts, metrics)
    forests = [_forest(facts, drawn, attribute) for attribute in facts.attributes if drawn]
    grids = [table for attribute in facts.attributes for table in _grids(facts, metrics, attribute)]
    grids += [] if facts.attributes else _whole(facts, metrics)
    found = facts.result.evaluation.calibration
    return Calibration(
        _lead(facts),
        "" if found is None else recalibrated(found),
        () if found is None else change(found),
        note,
        tuple(_reliability(c) for c in shown),
        tuple(table for table in forests if table is not None),
        reading(metrics) if grids else "",
        tuple(grids),
    )


def _lead(facts: Facts) -> str:
    says, seen = "the score of the positive class", "a bin's observed frequency"
    if facts.multiclass:
        says, seen = "the score of the top label", "how often a bin's top labels are right,"
    told = (
        f"Rows are binned by {says}; a dot is {seen} at its mean score. On the diagonal, scores "
        "mean what they say; beneath it the model is too sure of itself. Bars show how many rows each bin has."
    )
    if not facts.multiclass or facts.result.evaluation.costs is None:
        return told
    aside = "The top label has the highest score; decisions follow the costs, so this is not their accuracy."
    return f"{told} {aside}"


def _forest(facts: Facts, metric: str, attribute: str) -> Table | None:
    found = estimates_of(facts, metric, (attribute,))
    if not found:
        return None
    total = next(iter(estimates_of(facts, metric, ())), None)
    return tables.forest(
        worst_first(found),
        words.unit(metric),
        total,
        caption="Worst group first",
        heading=f"{title(metric)} by {attribute}",
        first=attribute,
        label=lambda e: words.group(e.slice),
    )


def _grids(facts: Facts, metrics: tuple[str, ...], attribute: str) -> tuple[Table, ...]:
    """The metrics of the attribute's groups beneath those of all rows, with the noise envelope as a note."""
    rows = [
        (title(metric), (*estimates_of(facts, metric, ()), *estimates_of(facts, metric, (attribute,))))
        for metric in metrics
    ]
    longest = max((len(found) for _, found in rows), default=0)
    whole = [(head, found) for head, found in rows if len(found) == longest]
    if panels.suppressed(facts, (attribute,)) or longest < 2:
        return ()
    made = panels.grids(f"Calibration by {attribute}", attribute, whole, lambda e: words.group(e.slice))
    notes = envelope_notes(facts, attribute)
    return (replace(made[0], notes=(*notes, *made[0].notes)), *made[1:]) if made else ()


def _whole(facts: Facts, metrics: tuple[str, ...]) -> tuple[Table, ...]:
    """The metrics of all rows, where there are no groups."""
    rows = [(title(metric), estimates_of(facts, metric, ())) for metric in metrics]
    shown = [(head, found) for head, found in rows if found]
    return panels.grids("Calibration of all rows", "Rows", shown, lambda e: words.group(e.slice))


def _reliability(curve: ReliabilityCurve) -> Reliability:
    said = [_bin(curve, i) for i in range(len(curve.count))]
    sentences = [f"{where}: {n} rows, mean score {score}, observed {seen}" for where, n, score, seen in said]
    full = [i for i in range(len(curve.count)) if curve.count[i] > 0]
    total = int(curve.count.sum())
    bins = Table(
        f"Bins of {curve.slice}",
        (Column("Score", "name"), Column("n", "number"), Column("Mean score", "number"), Column("Observed", "number")),
        tuple((name(said[i][0]), *(number(text) for text in said[i][1:])) for i in full),
        (f"{numbers.plural(len(curve.count) - len(full), 'bin')} without rows not listed.",),
        kind="plain",
    )
    heading = f"{words.sentence(str(curve.slice))} (n{numbers.NBSP}={numbers.NBSP}{numbers.count(total)})"
    alternative = f"Reliability diagram of {curve.slice}, {numbers.plural(len(full), 'bin')} with rows."
    return Reliability(heading, alternative, diagram(curve, sentences), bins)


def _bin(curve: ReliabilityCurve, i: int) -> tuple[str, str, str, str]:
    n = int(curve.count[i])
    where = f"{numbers.decimal(curve.edges[i])} to {numbers.decimal(curve.edges[i + 1])}"
    if not n:
        return where, "0", "–", "–"
    score, seen = float(curve.mean_score[i]), float(curve.frequency[i])
    return where, numbers.count(n), numbers.decimal(score), numbers.percent(seen)


SECTION = Section("calibration", "Calibration", "Reliability diagrams and calibration metrics by group.", build)
