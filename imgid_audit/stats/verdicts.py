"""Three answers to one requirement: met, broken, or the data cannot tell.

``pass`` is an intersection-union test: every comparison's one-sided bound is inside the tolerance,
each at the audit's level. ``fail`` needs one comparison outside at a level that is adjusted for
all of them (all pairs: Tukey's range; each level: Bonferroni). Everything else is inconclusive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.policy import RuleKind
from imgid_audit.core.result import GapKind
from imgid_audit.stats.bands import Band, Mask, sides
from imgid_audit.stats.gaps import all_pairs, among, pair_limits, pair_values
from imgid_audit.stats.intervals import Floats, bonferroni, one_sided

Status = Literal["pass", "fail", "inconclusive"]
PAIRED: dict[RuleKind, GapKind] = {"max_gap": "difference", "min_ratio": "ratio"}
"""Rules about pairs of levels; the others are about each level."""

UPPER: tuple[RuleKind, ...] = ("max_gap", "max_value", "max_drop")
"""Rules that an upper bound decides to be met."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """One metric of a rule: its band, and the slices that are compared."""

    band: Band
    used: Mask


@dataclass(frozen=True, slots=True)
class Requirement:
    """What is asked: `kind` against `tolerance`, at `level`, adjusted for `families` alike.

    `mean` judges the mean of the parts' gaps rather than each part.
    """

    kind: RuleKind
    tolerance: float
    level: float
    families: int = 1
    mean: bool = False

    @property
    def upper(self) -> bool:
        return self.kind in UPPER

    def inside(self, bound: float) -> bool:
        return bound <= self.tolerance if self.upper else bound >= self.tolerance

    def worst_of(self, bounds: Floats) -> int:
        """Index of the bound that is nearest to breaking the rule, or furthest beyond."""
        return int(np.argmax(bounds) if self.upper else np.argmin(bounds))


@dataclass(frozen=True, slots=True, eq=False)
class Comparisons:
    """What is compared in one part, arrays (..., comparisons) as the part's band is over (..., slices).

    `first`, `second`: slices (equal for rules about each level); `passing`, `failing`: the bounds
    that would decide.
    """

    first: NDArray[np.intp]
    second: NDArray[np.intp]
    observed: Floats
    passing: Floats
    failing: Floats


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer; `first` and `second` are the slices that decided, in part `part`."""

    status: Status
    observed: float
    passing: float
    failing: float
    part: int
    first: int
    second: int


def compare(part: Part, asked: Requirement, parts: int = 1) -> Comparisons:
    """All comparisons of one part, at least one."""
    sure = bonferroni(asked.level, parts) if asked.mean else asked.level
    levels = int(part.used.sum())
    if asked.kind in PAIRED:
        kind = PAIRED[asked.kind]
        pairs = among(part.used)
        first, second = np.nonzero(pairs)
        near = pair_limits(part.band, kind, one_sided(sure))
        far = pair_limits(part.band, kind, all_pairs(asked.level, levels, asked.families))
        observed = pair_values(part.band.value, kind)[..., pairs]
        # no level above 0: a ratio without denominator proves nothing
        observed = np.where(np.isfinite(observed), observed, np.inf) if kind == "ratio" else observed
        low, high = ((bounds[0][..., pairs], bounds[1][..., pairs]) for bounds in (near, far))
    else:
        first = second = np.flatnonzero(part.used)
        near, far = (
            sides(part.band, one_sided(sure)),
            sides(part.band, bonferroni(asked.level, levels * asked.families)),
        )
        observed = part.band.value[..., first]
        low, high = ((bounds[0][..., first], bounds[1][..., first]) for bounds in (near, far))
    # of each pair, one order is at least 0 (at most 1): a bound beyond that says no more
    if asked.kind == "max_gap":
        return Comparisons(first, second, observed, low[1], np.maximum(high[0], 0.0))
    if asked.kind == "min_ratio":
        return Comparisons(first, second, observed, low[0], np.minimum(high[1], 1.0))
    passing, failing = (low[1], high[0]) if asked.upper else (low[0], high[1])
    return Comparisons(first, second, observed, passing, failing)


def judge(parts: tuple[Part, ...], asked: Requirement) -> Judgement:
    """The answer over all parts, each with enough used slices (two for rules about pairs, else one)."""
    found = [compare(part, asked, len(parts)) for part in parts]
    if asked.mean:
        return _judge_mean(found, asked)
    return _judge_each(found, asked)


def _judge_each(found: list[Comparisons], asked: Requirement) -> Judgement:
    sizes = np.cumsum([0, *(len(one.first) for one in found)])
    first, second, observed, passing, failing = (
        np.concatenate([getattr(one, name) for one in found])
        for name in ("first", "second", "observed", "passing", "failing")
    )
    broken, unsure = asked.worst_of(failing), asked.worst_of(passing)
    status: Status = "inconclusive"
    if not asked.inside(float(failing[broken])):
        status = "fail"
    elif asked.inside(float(passing[unsure])):
        status = "pass"
    deciding = broken if status == "fail" else unsure
    return Judgement(
        status,
        float(observed[asked.worst_of(observed)]),
        float(passing[unsure]),
        float(failing[broken]),
        int(np.searchsorted(sizes, deciding, side="right") - 1),
        int(first[deciding]),
        int(second[deciding]),
    )


def _judge_mean(found: list[Comparisons], asked: Requirement) -> Judgement:
    alone = [_judge_each([one], asked) for one in found]
    observed, passing, failing = (
        float(np.mean([getattr(one, name) for one in alone])) for name in ("observed", "passing", "failing")
    )
    status: Status = "inconclusive"
    if not asked.inside(failing):
        status = "fail"
    elif asked.inside(passing):
        status = "pass"
    leading = asked.worst_of(np.array([one.observed for one in alone]))
    return Judgement(status, observed, passing, failing, leading, alone[leading].first, alone[leading].second)
