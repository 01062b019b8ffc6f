"""Calibration: do scores mean what they say, over all rows and in each group."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.result import ReliabilityCurve
from imgid_audit.report import numbers, panels, words
from imgid_audit.report.blocks import Column, Table, name, number
from imgid_audit.report.facts import Facts
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
    """Payload: diagrams, and forest plots of the calibration metrics by attribute."""

    lead: str
    note: str
    diagrams: tuple[Reliability, ...]
    forests: tuple[Table, ...]
    grids: tuple[Table, ...]


def build(facts: Facts) -> Calibration | None:
    """Payload of the section; None where there are no scores to look at."""
    curves = [c for c in facts.result.evaluation.reliability if c.count.sum() > 0]
    series = [one for one in facts.series if panels.is_calibration(one[0])]
    if not curves:
        return None
    says = "the score of the positive class" if not facts.multiclass else "the score of the class that was chosen"
    lead = (
        f"Rows are binned by {says}; a dot is a bin's observed frequency at its mean score. On the diagonal, scores "
        "mean what they say; beneath it the model is too sure of itself. Bars show how many rows each bin has."
    )
    shown = curves[:MAX_DIAGRAMS]
    note = ""
    if len(curves) > len(shown):
        note = f"{numbers.count(len(curves) - len(shown))} more diagrams are left out; their bins are in audit.json."
    drawn = panels.leading(facts, series, 1)
    others = [one for one in series if one not in drawn]
    forests = [table for attribute in facts.attributes for table in panels.forests(facts, drawn, (attribute,))]
    grids = [
        table
        for attribute in facts.attributes
        for table in panels.grids(
            f"Other calibration metrics by {attribute}",
            attribute,
            [(facts.say(one), facts.estimates(one, (attribute,))) for one in others],
            lambda e: words.group(e.slice),
        )
    ]
    return Calibration(lead, note, tuple(_reliability(c) for c in shown), tuple(forests), tuple(grids))


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
    title = f"{words.sentence(str(curve.slice))} (n{numbers.NBSP}={numbers.NBSP}{numbers.count(total)})"
    alternative = f"Reliability diagram of {curve.slice}, {numbers.plural(len(full), 'bin')} with rows."
    return Reliability(title, alternative, diagram(curve, sentences), bins)


def _bin(curve: ReliabilityCurve, i: int) -> tuple[str, str, str, str]:
    n = int(curve.count[i])
    where = f"{numbers.decimal(curve.edges[i])} to {numbers.decimal(curve.edges[i + 1])}"
    if not n:
        return where, "0", "–", "–"
    score, seen = float(curve.mean_score[i]), float(curve.frequency[i])
    return where, numbers.count(n), numbers.decimal(score), numbers.percent(seen)


SECTION = Section("calibration", "Calibration", "Reliability diagrams and calibration metrics by group.", build)
