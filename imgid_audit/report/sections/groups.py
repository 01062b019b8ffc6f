"""Performance by group: every attribute with its gaps, forest plots and the remaining metrics."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.result import Gap
from imgid_audit.report import comparisons, panels, words
from imgid_audit.report.blocks import Table
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section


@dataclass(frozen=True, slots=True)
class GroupPanel:
    """One attribute: its gaps, the forest plots, the other metrics; gaps beside chance; groups against others."""

    title: str
    gaps: Table
    forests: tuple[Table, ...]
    grids: tuple[Table, ...]
    chance: tuple[Table, ...] = ()
    contrasts: tuple[Table, ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """Payload: a panel an attribute."""

    lead: str
    panels: tuple[GroupPanel, ...]


def build(facts: Facts) -> Groups | None:
    """Payload of the section; None without attributes."""
    if not facts.attributes:
        return None
    lead = (
        "Groups are listed from worst to best. A gap is the difference between the highest and the lowest group in "
        "which the metric is defined; its interval allows for all the pairs that were compared."
    )
    return Groups(lead, tuple(_panel(facts, attribute) for attribute in facts.attributes))


def _panel(facts: Facts, attribute: str) -> GroupPanel:
    series = [one for one in facts.series if not panels.is_calibration(one[0])]
    leading = panels.leading(facts, series)
    others = [one for one in series if one not in leading and facts.estimates(one, (attribute,))]
    if panels.suppressed(facts, (attribute,)):
        leading, others = leading[:1], []
    return GroupPanel(
        attribute,
        gaps_of(facts, attribute),
        panels.forests(facts, leading, (attribute,)),
        panels.grids(
            f"Other metrics by {attribute}",
            attribute,
            [(facts.say(one), facts.estimates(one, (attribute,))) for one in others],
            lambda e: words.group(e.slice),
        ),
        comparisons.beside_chance(facts, leading, (attribute,)),
        tuple(table for one in leading[:1] if (table := comparisons.contrast_table(facts, one, (attribute,)))),
    )


def gaps_of(facts: Facts, attribute: str) -> Table:
    """Gaps of the positive class, of means and of metrics without a class; classes have their own section."""
    return panels.gap_table(
        facts,
        _shown(facts, attribute),
        _shown(facts, attribute, "ratio"),
        f"Gaps across {words.breakdown(attribute)}",
        lambda gap: facts.say((gap.metric, gap.class_name)),
    )


def _shown(facts: Facts, attribute: str, kind: str = "difference") -> list[Gap]:
    return [gap for gap in facts.gaps(attribute, kind) if gap.class_name is None or not facts.multiclass]


SECTION = Section("groups", "By group", "Gaps and forest plots of every attribute.", build)
