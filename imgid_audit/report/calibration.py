"""What the calibration section says of metrics, noise and recalibration, in words and tables."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.result import Estimate, Recalibration, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.evaluation.recalibration import at_end
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.base import Enveloped
from imgid_audit.metrics.rows import BINS
from imgid_audit.report import numbers, panels, tables, words
from imgid_audit.report.blocks import Cell, Column, Table, name, number, undefined
from imgid_audit.report.facts import Facts

PLUG_IN = {"ece": "plug-in ECE"}
"""Names that tell metrics apart where they stand side by side."""

READINGS = {
    "ece": "The plug-in ECE counts noise as error and is too high in small groups.",
    "ece_debiased": "The debiased ECE is near 0 where scores are calibrated, whatever the size; gaps and rules on ECE "
    "compare it.",
    "calibration_slope": "A slope below 1 says that scores are too extreme, above 1 not extreme enough.",
    "calibration_intercept": "An intercept (on the logit scale) below 0 says that scores are too high, above 0 low.",
}
"""How to read each metric, for those that are shown."""


def calibration_metrics(facts: Facts) -> tuple[str, ...]:
    """Calibration metrics that there are estimates of, asked for or beside another, in the registry's order."""
    evaluation = facts.result.evaluation
    there = {e.metric for e in (*evaluation.estimates, *evaluation.beside)}
    return tuple(name for name in METRICS.names if name in there and panels.is_calibration(name))


def estimates_of(facts: Facts, metric: str, attributes: tuple[str, ...]) -> tuple[Estimate, ...]:
    """A calibration metric over a breakdown, whether it was asked for or stands beside another."""
    asked = facts.estimates((metric, None), attributes)
    beside = facts.result.evaluation.beside
    return asked or tuple(e for e in beside if e.metric == metric and e.slice.attributes == attributes)


def title(metric: str) -> str:
    """A metric's name as the head of a column."""
    return words.sentence(PLUG_IN.get(metric, words.metric(metric)))


def leading(facts: Facts, metrics: Sequence[str]) -> str | None:
    """The metric to draw: the first that a rule names, else the first asked for, as it is judged."""
    ruled = {str(rule["metric"]) for rule in facts.rules.values()}
    asked = [name for name in facts.metrics if name in metrics]
    first = next((name for name in asked if name in ruled), asked[0] if asked else None)
    judged = None if first is None else METRICS[first].judged_as
    return judged if judged in metrics else first


def reading(metrics: Sequence[str]) -> str:
    """How to read the numbers that are shown, with the bins and the norm."""
    said = [text for metric, text in READINGS.items() if metric in metrics]
    if "ece" in metrics or "ece_debiased" in metrics:
        said.insert(0, f"ECE is taken in {BINS} bins of equal width, in the L1 norm.")
    return " ".join(said)


def envelope_notes(facts: Facts, attribute: str) -> tuple[str, ...]:
    """The gap of the calibration error beside what equally calibrated groups would show."""
    own = (g for g in facts.gaps(attribute) if g.metric in METRICS and isinstance(METRICS[g.metric], Enveloped))
    gap = next((g for g in own if g.envelope is not None), None)
    if gap is None or gap.envelope is None or isinstance(gap.value, Undefined):
        return ()
    noise, unit = gap.envelope, words.unit(gap.metric)
    judged = words.metric(METRICS[gap.metric].judged_as)
    return (
        f"Between groups, {judged} differs by {numbers.difference(gap.value, unit)}. Noise alone: equally calibrated "
        f"groups of these sizes would differ by {numbers.difference(noise.mean, unit)} on average, and by up to "
        f"{numbers.difference(noise.upper, unit)} in {numbers.level(noise.level)} of draws ({noise.method}).",
    )


def recalibrated(found: Recalibration) -> str:
    """What was done to the scores, as a sentence or two."""
    rows = f"{numbers.plural(found.n, 'row')} of the {found.source} split"
    if found.temperature == 1:
        return (
            f"Temperature scaling was asked for and had nothing to fit: no temperature lowers the log loss of {rows}, "
            "so the temperature is 1 and scores are as they were."
        )
    softer = "softer" if found.temperature > 1 else "sharper"
    why = f"which makes the log loss of {rows} smallest"
    if at_end(found.temperature):
        why = f"an end of the range that was searched: the minimum of the log loss of {rows} was not reached"
    return (
        f"Scores were recalibrated before anything was decided: the softmax of log scores over the temperature "
        f"{numbers.decimal(found.temperature)} ({softer} scores, the same top labels), {why}. Every number of this "
        "report is of the recalibrated scores."
    )


def change(found: Recalibration) -> tuple[Table, ...]:
    """Before and after of every metric, over all rows and each group; a few metrics a table."""
    before = {(e.metric, e.slice): e for e in found.before}
    after = {(e.metric, e.slice): e for e in found.after}
    metrics = tuple(dict.fromkeys(metric for metric, _ in before))
    slices, left_out = tables.capped(tuple(dict.fromkeys(of for _, of in before)), tables.MAX_ROWS, "groups")
    made = []
    for start in range(0, len(metrics), panels.GRID_COLUMNS):
        part = metrics[start : start + panels.GRID_COLUMNS]
        rows = tuple(
            (name(_slice(of)), *(_change(before.get((m, of)), after.get((m, of))) for m in part)) for of in slices
        )
        columns = (Column("Group", "name"), *(Column(title(m), "number") for m in part))
        heading = "Before and after recalibration" if start == 0 else ""
        made.append(Table("Before → after recalibration", columns, rows, left_out, heading, kind="plain"))
    return tuple(made)


def _slice(of: Slice) -> str:
    return words.sentence(str(of)) if not of.attributes else str(of)


def _change(before: Estimate | None, after: Estimate | None) -> Cell:
    if before is None or after is None:
        return undefined("–")
    if isinstance(after.value, Undefined) and isinstance(before.value, Undefined):
        return undefined(numbers.undefined(after.value))
    sides = ["undefined" if isinstance(e.value, Undefined) else numbers.decimal(e.value) for e in (before, after)]
    sort = "" if isinstance(after.value, Undefined) else numbers.sort_key(after.value)
    return number(f"{sides[0]} → {sides[1]}", sort, _detail(after))


def _detail(after: Estimate) -> str:
    return "" if after.interval is None else f"after: {numbers.interval(after.interval, words.unit(after.metric))}"
