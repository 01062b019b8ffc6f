"""Performance by group: every attribute with its gaps, forest plots and the remaining metrics."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.result import Gap
from imgid_audit.report import panels, words
from imgid_audit.report.blocks import Table
from imgid_audit.report.facts import Facts, Series
from imgid_audit.report.section import Section


@dataclass(frozen=True, slots=True)
class GroupPanel:
    """One attribute: its gaps, the forest plots, the other metrics."""

    title: str
    gaps: Table
    forests: tuple[Table, ...]
    grids: tuple[Table, ...]


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
    )


def gaps_of(facts: Facts, attribute: str) -> Table:
    """Gaps of the positive class, of means and of metrics without a class; classes have their own section."""

    def wanted(gap: Gap) -> bool:
        return gap.class_name is None or not facts.multiclass

    def say(gap: Gap) -> str:
        series: Series = (gap.metric, gap.class_name)
        return facts.say(series)

    return panels.gap_table(
        facts,
        [gap for gap in facts.gaps(attribute) if wanted(gap)],
        [gap for gap in facts.gaps(attribute, "ratio") if wanted(gap)],
        f"Gaps across {words.breakdown(attribute)}",
        say,
    )


SECTION = Section("groups", "By group", "Gaps and forest plots of every attribute.", build)
