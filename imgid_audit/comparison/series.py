"""Quantities over the seeds of one method: a level, the worst of several, or the best less the worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from imgid_audit.comparison.halves import Halves, picked_apart
from imgid_audit.comparison.levels import Levels
from imgid_audit.core.comparison import Quantity
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.metrics.base import Better, Bools
from imgid_audit.stats.intervals import Floats

Terms = tuple[tuple[float, int], ...]
"""Signs and levels that make the value of one network: its worst group, or its best less its worst."""


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """How each network picks its levels: signs of terms, with the smallest (1) or the largest (-1) used level."""

    terms: tuple[tuple[float, int], ...]
    used: Bools
    halves: Halves


@dataclass(frozen=True, slots=True, eq=False)
class RowShares:
    """How test rows make a quantity over seeds.

    - `of` (seeds, n): first-order shares; `counted` (n,): rows that count for some seed
    - `answers`: what each seed's network said of the rows; `flip`: what one row that flips changes, at most
    - `weight` (n,): what a row that flips changes, mean over seeds
    """

    of: Floats
    counted: Bools
    answers: tuple[NDArray[np.generic], ...]
    flip: float
    weight: Floats


@dataclass(frozen=True, eq=False)
class Series:
    """One quantity of a method, one value a seed.

    - `levels`: of each seed's network; `terms`: which of them make the value, none where undefined
    - `undefined`: of each seed; `low`, `high` (seeds,): limits for the sampling of test rows
    - `picked`: the level that a single level or the worst is, for each seed; None for a gap
    - `pick`: how levels were picked by their own values; None where none was
    """

    quantity: Quantity
    levels: tuple[Levels, ...]
    terms: tuple[Terms, ...]
    undefined: tuple[Undefined | None, ...]
    values: Floats
    low: Floats
    high: Floats
    picked: tuple[int | None, ...]
    pick: Pick | None = None

    @property
    def metric(self) -> str:
        return self.levels[0].metric

    def slice_of(self, a: int | None) -> Slice:
        return TOTAL if a is None else self.levels[0].slices[a]

    def class_of(self, a: int | None) -> str | None:
        """The class of level a; without one, the class that all levels share."""
        names = self.levels[0].class_names
        if a is not None:
            return names[a]
        return names[0] if len(set(names)) == 1 else None

    @property
    def usual(self) -> int | None:
        """The level picked most often, the first of equally often."""
        known = [a for a in self.picked if a is not None]
        return None if not known else int(np.argmax(np.bincount(known)))

    def whole(self, seeds: Sequence[int]) -> Undefined | None:
        """Why there is no mean over seeds: the quantity is undefined for one of them."""
        reasons = [(seed, why) for seed, why in zip(seeds, self.undefined, strict=True) if why is not None]
        if not reasons:
            return None
        first = reasons[0][1]
        if len(reasons) == len(seeds) and all(why == first for _, why in reasons):
            return first
        return Undefined(first.kind, f"seed {reasons[0][0]}: {first.reason}")

    @cached_property
    def shares(self) -> RowShares:
        """Of a series that is defined for every seed; kept, for the baseline's are read by every method."""
        rows, answers, flips = [], [], []
        weight = np.zeros(len(self.levels[0].shares(self.terms[0][0][1]).of))
        counted: Bools | None = None
        for levels, terms in zip(self.levels, self.terms, strict=True):
            parts = [(sign, levels.shares(a)) for sign, a in terms]
            rows.append(np.sum([sign * part.of for sign, part in parts], axis=0))
            for (_, part), (_, a) in zip(parts, terms, strict=True):
                counted = part.counted if counted is None else counted | part.counted
                weight += levels.flip[a] * part.counted / len(self.levels)
            answers.append(parts[0][1].answers)
            flips.append(np.sqrt(sum(float(levels.flip[a]) ** 2 for _, a in terms)))
        assert counted is not None
        return RowShares(np.stack(rows), counted, tuple(answers), float(max(flips)), weight)

    @cached_property
    def apart(self) -> Floats | None:
        """Values (seeds,) with levels picked on one half of the rows and measured on the other; None without a pick."""
        pick = self.pick
        if pick is None:
            return None
        return np.array([picked_apart(one.halved(pick.halves), pick.terms, pick.used) for one in self.levels])


def single(quantity: Quantity, levels: Sequence[Levels], a: int) -> Series:
    """Level a of every seed's network."""
    return _series(quantity, levels, [((1.0, a),)] * len(levels), [each.undefined[a] for each in levels], [a])


def worst(quantity: Quantity, levels: Sequence[Levels], used: Bools, better: Better, halves: Halves) -> Series:
    """The worst used level of each network, in the metric's own direction; the first of equal ones.

    Of fewer than two used levels there is no worst: it would be that level's own value under another name.
    """
    lacking = _lacking(quantity, levels, used)
    if better is None:
        metric = levels[0].metric
        lacking = [Undefined("not_applicable", f"{metric} is neither better high nor low")] * len(levels)
    end = -1 if better == "lower" else 1
    picks = [_extreme(each.value, used, end) for each in levels]
    return _series(quantity, levels, [((1.0, a),) for a in picks], lacking, picks, Pick(((1.0, end),), used, halves))


def gap(levels: Sequence[Levels], used: Bools, halves: Halves) -> Series:
    """Largest less smallest over the used levels of each network."""
    lacking = _lacking("gap", levels, used)
    terms = [((1.0, _extreme(each.value, used, -1)), (-1.0, _extreme(each.value, used, 1))) for each in levels]
    return _series("gap", levels, terms, lacking, [None], Pick(((1.0, -1), (-1.0, 1)), used, halves))


def best_level(levels: Sequence[Levels], used: Bools, better: Better) -> int:
    """The used level that is best most often."""
    picks = [_extreme(each.value, used, 1 if better == "lower" else -1) for each in levels]
    return int(np.argmax(np.bincount(picks)))


def _extreme(value: Floats, used: Bools, sign: int) -> int:
    """The smallest used level (`sign` 1), or the largest (-1)."""
    return int(np.argmin(np.where(used & np.isfinite(value), sign * value, np.inf)))


def _lacking(quantity: Quantity, levels: Sequence[Levels], used: Bools) -> list[Undefined | None]:
    if int(used.sum()) < 2:
        many = "classes" if quantity == "worst_class" else "groups"
        return [Undefined("not_applicable", f"fewer than two {many} with enough rows")] * len(levels)
    found: list[Undefined | None] = []
    for each in levels:
        reasons = ((a, each.undefined[a]) for a in np.flatnonzero(used))
        first = next(((a, why) for a, why in reasons if why is not None), None)
        found.append(None if first is None else Undefined(first[1].kind, f"{each.slices[first[0]]}: {first[1].reason}"))
    return found


def _series(
    quantity: Quantity,
    levels: Sequence[Levels],
    terms: Sequence[Terms],
    undefined: Sequence[Undefined | None],
    picked: Sequence[int | None],
    pick: Pick | None = None,
) -> Series:
    """Values and limits from terms; those of a difference are added in squares (MOVER)."""
    found = np.full((3, len(levels)), np.nan)
    for s, (each, parts, why) in enumerate(zip(levels, terms, undefined, strict=True)):
        if why is not None:
            continue
        value = sum(sign * each.value[a] for sign, a in parts)
        down = [each.value[a] - each.low[a] if sign > 0 else each.high[a] - each.value[a] for sign, a in parts]
        up = [each.high[a] - each.value[a] if sign > 0 else each.value[a] - each.low[a] for sign, a in parts]
        found[:, s] = value, value - np.linalg.norm(down), value + np.linalg.norm(up)
    spread = tuple(picked) * (len(levels) if len(picked) == 1 else 1)
    kept = tuple(None if why is not None else a for why, a in zip(undefined, spread, strict=True))
    if quantity in ("overall", "group"):
        kept = spread  # a group stays the one that was asked for where it is undefined
    return Series(quantity, tuple(levels), tuple(terms), tuple(undefined), found[0], found[1], found[2], kept, pick)
