"""How much larger a sample must be to settle a rule, by power.

Sizes are those at which `POWER` of studies would give the answer, were the rates as assumed: the
estimates are drawn around the assumed rates with the standard errors of that size, the very bounds
of `verdicts` are computed for each draw, and the size is found by bisection. Normal draws come from
a fixed seed, so that the same data give the same number.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from imgid_audit.stats.assumed import Assumed, Truth, assume, on_tolerance, quantity
from imgid_audit.stats.bands import Band, Mask, Methods, RateBand, sides
from imgid_audit.stats.intervals import Bounds, Floats
from imgid_audit.stats.verdicts import Part, Requirement, Status, compare

POWER = 0.8
MOST = 1e3
"""Largest growth of a sample that is realistic to name."""

DRAWS = 400
PAIR_BUDGET = 4_000_000
"""Pairs times draws that are held at once; many slices have fewer draws, at least 50."""


@dataclass(frozen=True, slots=True, eq=False)
class Growth:
    """A rule settles as `towards` once the `limiting` slices have grown by `sizes(factor)`.

    `factor` is that of the least precise slice, `weight` (slices,) the variance of each one's value as a
    share of that slice's: what is precise already need not grow. `low` and `high` are the factors were
    the rates one standard error further from the tolerance, or nearer to it. None: even `MOST` times
    the sample settles it in fewer than `POWER` of studies.
    """

    towards: Status
    limiting: Mask
    weight: Floats
    factor: float | None
    low: float | None
    high: float | None

    def sizes(self, factor: float) -> Floats:
        """How many times as large each slice must be, (slices,), 1 or more."""
        return grown(self.limiting, self.weight, factor)


def grown(limiting: Mask, weight: Floats, factor: float) -> Floats:
    """How many times as large each slice must be for all to have the variance of the least precise one / `factor`."""
    return np.where(limiting, np.maximum(1.0, weight * factor), 1.0)


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """Another band's limits about other values (draws, slices)."""

    value: Floats
    base: Band

    def _about(self, limits: Bounds) -> Bounds:
        return self.value - (self.base.value - limits[0]), self.value + (limits[1] - self.base.value)

    def limits(self, level: float) -> Bounds:
        return self._about(self.base.limits(level))

    def sides(self, level: float) -> Bounds:
        """Limits whose either side holds by itself."""
        return self._about(sides(self.base, level))

    def methods(self, level: float, /) -> Methods:
        return self.base.methods(level)

    def standard_error(self) -> Floats:
        return self.base.standard_error()

    def degrees(self) -> Floats:
        return self.base.degrees()

    def scaled(self, factor: Floats) -> Moved:
        return replace(self, base=self.base.scaled(factor))


def growth_needed(parts: tuple[Part, ...], asked: Requirement, truth: Truth | None = None) -> Growth:
    """By how much the limiting slices must grow, to one common precision, design effects kept.

    - `truth`: the assumed value of every slice, an array (slices,) a part; default: what `assume`
      makes of the observed ones

    Where the assumed rates are inside the tolerance the limiting slices are those of comparisons
    that would not surely pass; where they are outside, those of the comparison that is furthest out.
    """
    found = Assumed(truth, truth, truth) if truth is not None else assume(parts, asked)
    wanted: Status = "pass" if asked.inside(quantity(parts, asked, found.middle)) else "fail"
    search = _Search(parts, asked, wanted, _limiting(parts, asked, found.middle, wanted))
    factor = search.smallest(found.middle)
    if factor is None and wanted == "pass":
        # each of the others would pass by itself, and all of them together seldom do
        search = replace(search, limiting=np.asarray(np.logical_or.reduce([part.used for part in parts])))
        factor = search.smallest(found.middle)
    if truth is None and on_tolerance(parts, asked):
        factor = None
    known: list[float | None] = [factor]
    if truth is None and factor is not None:
        factor = max(factor, search.as_observed())
        seen = tuple(part.band.value for part in parts)
        known = [factor, *(search.smallest(end) for end in (found.smaller, found.larger, seen))]
    ends = [one for one in known if one is not None]
    high = None if None in known else max(ends)
    return Growth(wanted, search.limiting, search.weight, factor, min(ends, default=None), high)


def chance(parts: tuple[Part, ...], asked: Requirement, truth: Truth, factor: Floats, wanted: Status) -> float:
    """Share of studies, `factor` (slices,) times as large, that answer `wanted` were `truth` so."""
    drawn = tuple(_drawn(part, value, factor, i) for i, (part, value) in enumerate(zip(parts, truth, strict=True)))
    passes, fails = outcomes(drawn, asked)
    return float(fails.mean() if wanted == "fail" else (passes & ~fails).mean())


def outcomes(parts: tuple[Part, ...], asked: Requirement) -> tuple[Mask, Mask]:
    """Whether the rule is met and whether it is broken, over the leading axes of the parts' bands."""
    found = [compare(part, asked, len(parts)) for part in parts]
    if asked.mean:
        worst = np.max if asked.upper else np.min
        passing = np.mean([worst(one.passing, axis=-1) for one in found], axis=0)
        failing = np.mean([worst(one.failing, axis=-1) for one in found], axis=0)
    else:
        worst = np.max if asked.upper else np.min
        passing = worst(np.concatenate([one.passing for one in found], axis=-1), axis=-1)
        failing = worst(np.concatenate([one.failing for one in found], axis=-1), axis=-1)
    if asked.upper:
        return passing <= asked.tolerance, failing > asked.tolerance
    return passing >= asked.tolerance, failing < asked.tolerance


def _drawn(part: Part, truth: Floats, factor: Floats, stream: int, draws: int | None = None) -> Part:
    """The part as studies of the grown size would find it; its band is over (draws, slices)."""
    grown = part.band.scaled(factor)
    count = _draws(part) if draws is None else draws
    noise = np.random.default_rng([20_260, stream]).standard_normal((count, len(truth)))
    if isinstance(grown, RateBand) and grown.transform is None:
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.sqrt(truth * (1 - truth) / grown.effective_n)
        value = np.clip(truth + error * noise, 0.0, 1.0)
        return replace(part, band=replace(grown, successes=value * grown.trials))
    return replace(part, band=Moved(truth + grown.standard_error() * noise, grown))


def _draws(part: Part) -> int:
    return int(np.clip(PAIR_BUDGET // max(1, int(part.used.sum()) ** 2), 50, DRAWS))


def _limiting(parts: tuple[Part, ...], asked: Requirement, truth: Truth, wanted: Status) -> Mask:
    mask = np.zeros(len(parts[0].used), dtype=bool)
    if asked.mean:
        return np.asarray(np.logical_or.reduce([part.used for part in parts]))
    best = -np.inf
    for i, (part, value) in enumerate(zip(parts, truth, strict=True)):
        drawn = compare(_drawn(part, value, np.ones(len(mask)), i), asked, len(parts))
        if wanted == "pass":
            inside = drawn.passing <= asked.tolerance if asked.upper else drawn.passing >= asked.tolerance
            now = compare(part, asked, len(parts)).passing
            open_now = now > asked.tolerance if asked.upper else now < asked.tolerance
            weak = open_now | (inside.mean(axis=0) < 0.5 + POWER / 2)
            mask[drawn.first[weak]] = mask[drawn.second[weak]] = True
            continue
        bound = drawn.failing.mean(axis=0) * (1 if asked.upper else -1)
        leading = int(bound.argmax())
        if bound[leading] > best:
            best = float(bound[leading])
            mask[:] = False
            mask[[drawn.first[leading], drawn.second[leading]]] = True
    return mask


@dataclass(frozen=True, slots=True, eq=False)
class _Search:
    """The search of a factor at which the parts answer `wanted`, growing the `limiting` slices."""

    parts: tuple[Part, ...]
    asked: Requirement
    wanted: Status
    limiting: Mask

    @property
    def weight(self) -> Floats:
        """Variance of each limiting slice as a share of the largest, (slices,); of several parts the larger."""
        shares = []
        for part in self.parts:
            variance = np.where(self.limiting & part.used, part.band.standard_error() ** 2, 0.0)
            shares.append(variance / max(float(variance.max()), 1e-300))
        return np.asarray(np.maximum.reduce(shares))

    def smallest(self, truth: Truth) -> float | None:
        """The smallest factor in [1, MOST] with enough power, to 2 %; None where there is none."""
        if self.asked.inside(quantity(self.parts, self.asked, truth)) != (self.wanted == "pass"):
            return None
        weight = self.weight

        def settled(factor: float) -> bool:
            sizes = grown(self.limiting, weight, factor)
            return chance(self.parts, self.asked, truth, sizes, self.wanted) >= POWER

        return _bisect(settled)

    def as_observed(self) -> float:
        """The factor at which the observed rates, were they seen again, give the answer; 1 where none does."""
        weight = self.weight

        def settled(factor: float) -> bool:
            sizes = grown(self.limiting, weight, factor)
            again = tuple(replace(part, band=part.band.scaled(sizes)) for part in self.parts)
            passes, fails = outcomes(again, self.asked)
            return bool(fails if self.wanted == "fail" else passes & ~fails)

        return _bisect(settled) or 1.0


def _bisect(settled: Callable[[float], bool]) -> float | None:
    high = 1.0
    while not settled(high):
        if high >= MOST:
            return None
        high = min(high * 4, MOST)
    low = max(1.0, high / 4)
    while high / low > 1.02:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high
