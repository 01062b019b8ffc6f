"""How many more subjects (or images) would settle an inconclusive rule, slice by slice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal

import numpy as np

from imgid_audit.core.slices import Slice
from imgid_audit.evaluation.wording import number
from imgid_audit.stats.bands import Mask
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.power import Growth, growth_needed
from imgid_audit.stats.verdicts import Judgement, Part, Requirement


@dataclass(frozen=True, slots=True)
class Needed:
    """More units of one slice, and the range that the noise in the observed rates leaves; None: no realistic number."""

    count: int
    low: int
    high: int | None

    def most(self, other: Needed) -> Needed:
        """What serves both."""
        high = None if self.high is None or other.high is None else max(self.high, other.high)
        return Needed(max(self.count, other.count), max(self.low, other.low), high)


@dataclass(frozen=True, slots=True, eq=False)
class Open:
    """One class of an inconclusive rule.

    - `judgement`; None where too few slices have support to be judged at all
    - `wanted` (slices,) of each of `measured`: what the rule compares once all have support
    - `lacking` (slices,): those under the minimum support, `least` rows that count
    """

    judgement: Judgement | None
    asked: Requirement
    measured: tuple[Measured, ...]
    wanted: tuple[Mask, ...]
    lacking: Mask
    least: int

    @property
    def parts(self) -> tuple[Part, ...]:
        """What would be judged with support everywhere; slices without a value cannot be planned for."""
        return tuple(Part(one.band, mask) for one, mask in zip(self.measured, self.wanted, strict=True))


@dataclass(frozen=True, slots=True)
class Plan:
    """What settles one class; `needed` is None where no realistic number does, and `said` says so."""

    needed: Mapping[str, Needed] | None
    towards: Literal["pass", "fail"] = "pass"
    said: str = ""


def plan(one: Open) -> Plan:
    """The further units of every slice that limits the answer."""
    growth = growth_needed(one.parts, one.asked)
    towards: Literal["pass", "fail"] = "fail" if growth.towards == "fail" else "pass"
    if growth.factor is None and one.lacking.any():
        # what the levels without support will show is not known: the least that they need
        return Plan({name: replace(least, high=None) for name, least in _support_needed(one).items()})
    if growth.factor is None:
        observed = f"observed {number(one.judgement.observed)}" if one.judgement is not None else "what is observed"
        said = f"; {observed} is so near the tolerance, for its spread, that no realistic number settles it"
        return Plan(None, towards, said)
    # a rule that is heading for `fail` needs nothing of the levels that were not compared
    needed = {} if towards == "fail" else _support_needed(one)
    _add_growth(needed, growth, one.measured[0])
    return Plan(needed, towards)


def merged(plans: Sequence[Plan]) -> Mapping[str, Needed] | None:
    """What settles a rule over several classes.

    One class that is heading for `fail` settles it, so the cheapest of those; else the most that
    any class needs of each slice. None where that cannot be reached.
    """
    failing = [one.needed for one in plans if one.towards == "fail" and one.needed]
    if failing:
        return min(failing, key=lambda needed: sum(one.count for one in needed.values()))
    found: dict[str, Needed] = {}
    for one in plans:
        if one.needed is None:
            return None
        for name, more in one.needed.items():
            _raise(found, name, more)
    return found or None


def key_of(where: Slice) -> str:
    """How `subjects_needed` names a slice: its level, or levels joined by ``*``."""
    return " * ".join(where.levels) or "all rows"


def _add_growth(needed: dict[str, Needed], growth: Growth, measured: Measured) -> None:
    """Raise `needed` to the additional units of each slice that must grow."""
    if growth.factor is None or growth.low is None:
        return
    ends = (growth.factor, growth.low, growth.high)
    sizes = [None if factor is None else np.ceil(measured.size * (growth.sizes(factor) - 1)) for factor in ends]
    count, low, high = sizes
    for i in np.flatnonzero(growth.limiting):
        if count is not None and low is not None and (count[i] > 0 or growth.factor == 1):
            most = None if high is None else max(1, int(high[i]))
            more = Needed(max(1, int(count[i])), max(1, int(low[i])), most)
            _raise(needed, key_of(measured.breakdown.slices[i]), more)


def _raise(needed: dict[str, Needed], name: str, more: Needed) -> None:
    needed[name] = needed[name].most(more) if name in needed else more


def _support_needed(one: Open) -> dict[str, Needed]:
    """Units that bring each level to the minimum support, if they hold as many rows that count.

    What a level without a value needs beyond that cannot be known: no upper end.
    """
    needed: dict[str, Needed] = {}
    for i in np.flatnonzero(one.lacking):
        support = min(int(part.support[i]) for part in one.measured)
        size = int(one.measured[0].size[i])
        more = max(1, ceil(size * (one.least / support - 1)) if support else one.least)
        known = all(mask[i] for mask in one.wanted)
        needed[key_of(one.measured[0].breakdown.slices[i])] = Needed(more, more, more if known else None)
    return needed
