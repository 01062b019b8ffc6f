"""Performance by class of a multiclass task, and the widest gaps of single classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from imgid_audit.core.result import Estimate, Gap, Undefined
from imgid_audit.report import panels, tables, words
from imgid_audit.report.blocks import Table
from imgid_audit.report.facts import Facts, worst_first
from imgid_audit.report.section import Section

CLASS_GAPS = 15


@dataclass(frozen=True, slots=True)
class Classes:
    """Payload: forest plots over classes, the other metrics, the widest gaps of single classes."""

    lead: str
    forests: tuple[Table, ...]
    grids: tuple[Table, ...]
    gaps: Table | None


def build(facts: Facts) -> Classes | None:
    """Payload of the section; None for a binary task, whose metrics speak of one class throughout."""
    if not facts.multiclass:
        return None
    by_metric = {metric: _classes(facts, metric) for metric in facts.metrics}
    series = [(metric, None) for metric, estimates in by_metric.items() if estimates]
    if not series:
        return None
    leading = [metric for metric, _ in panels.leading(facts, series)]
    others = [metric for metric, _ in series if metric not in leading]
    lead = "Each class against all others, over all evaluated rows, from worst to best."
    return Classes(
        lead,
        tuple(_forest(facts, metric, by_metric[metric]) for metric in leading),
        panels.grids(
            "Other metrics by class",
            "Class",
            [(words.metric(metric), by_metric[metric]) for metric in others],
            _label,
        ),
        _class_gaps(facts),
    )


def _classes(facts: Facts, metric: str) -> tuple[Estimate, ...]:
    labels = facts.result.evaluation.task.labels
    return tuple(e for label in labels if (e := facts.total((metric, label))) is not None)


def _label(estimate: Estimate) -> str:
    return estimate.class_name or ""


def _forest(facts: Facts, metric: str, estimates: tuple[Estimate, ...]) -> Table:
    title = f"{words.sentence(words.metric(metric))} by class"
    mean = facts.total((metric, None))
    return tables.forest(
        worst_first(estimates),
        words.unit(metric),
        mean,
        caption="Worst class first",
        heading=title,
        first="Class",
        label=_label,
    )


def _class_gaps(facts: Facts) -> Table | None:
    gaps = [g for g in facts.result.evaluation.gaps if g.class_name is not None]
    differences = sorted(
        (g for g in gaps if g.kind == "difference" and not isinstance(g.value, Undefined) and g.interval is not None),
        key=_evidence,
    )
    shown, left_out = tables.capped(differences, CLASS_GAPS, "gaps")
    if not shown:
        return None

    def say(gap: Gap) -> str:
        return f"{facts.say((gap.metric, gap.class_name))} across {words.breakdown(gap.attribute)}"

    ratios: Sequence[Gap] = [g for g in gaps if g.kind == "ratio"]
    table = panels.gap_table(
        facts, shown, ratios, "Widest gaps of single classes, by the lower end of their interval", say
    )
    return replace(table, notes=(*table.notes, *left_out), heading="Gaps of single classes")


def _evidence(gap: Gap) -> tuple[float, float]:
    assert gap.interval is not None
    assert not isinstance(gap.value, Undefined)
    return -gap.interval.low, -gap.value


SECTION = Section("classes", "By class", "Each class against the others, and the gaps of single classes.", build)
