"""Random halves of the test rows: the worst group is picked on one and measured on the other.

The smallest of several noisy values is below its truth, and the more so the closer they are: where a method
makes groups equal and the baseline does not, the difference of the two minima is wrong by that much. A value
that is measured on other rows than those that picked its group errs the other way or not at all (sample
splitting, Cox 1975, Biometrika 62:441).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.metrics.base import Bools
from imgid_audit.stats.intervals import Floats

HALVINGS = 10
"""More of them change the simulated error rates by nothing (docs/validity.md)."""


class Halves:
    """`HALVINGS` divisions of the same test rows in two; a subject is never divided.

    Every group, and every label in it, has as many units (subjects, or rows) in either half, to one. They are
    made when they are asked for, and depend on `seed` and on the rows, not on what was said of them.
    """

    def __init__(self, decisions: Decisions, groups: Breakdown | None, seed: int) -> None:
        self._decisions, self._groups, self._seed = decisions, groups, seed

    @cached_property
    def second(self) -> Bools:
        """Rows of the second half, (HALVINGS, n)."""
        decisions = self._decisions
        rows = np.arange(len(decisions))
        unit = rows if decisions.subject is None else decisions.subject.codes
        group = np.zeros(len(rows), dtype=np.int32) if self._groups is None else self._groups.codes
        # a subject stands with its first group and label, whatever the order of its rows
        order = np.lexsort((decisions.label, group, unit))
        _, first, of = np.unique(unit[order], return_index=True, return_inverse=True)
        strata = decisions.label[order[first]], group[order[first]]
        generator = np.random.default_rng(self._seed)
        found = np.zeros((HALVINGS, len(rows)), dtype=bool)
        for each in found:
            drawn = np.lexsort((generator.random(len(first)), *strata))
            odd = np.zeros(len(first), dtype=bool)
            odd[drawn[1::2]] = True
            each[order] = odd[of]
        return found

    def divided(self, part: Breakdown) -> list[Breakdown]:
        """Each level of a breakdown in two: first those of the first halves, then of the second, one a halving."""
        slices: tuple[Slice, ...] = part.slices * 2
        size = np.int32(len(part.slices))
        return [Breakdown(part.name, part.attributes, slices, part.codes + size * each) for each in self.second]


def in_halves(value: Floats, defined: Bools, whole: Floats) -> Floats:
    """Values of either half, (2, levels), from (2 * levels,); where either has none, that of `whole` (levels,)."""
    halves = value.reshape(2, -1)
    return np.where(defined.reshape(2, -1).all(axis=0), halves, whole)


def picked_apart(halves: Floats, terms: Iterable[tuple[float, int]], used: Bools) -> float:
    """Mean over halvings of what levels that one half picks are worth in the other.

    - `halves` (halvings, 2, levels): values; `used` (levels,): levels that may be picked
    - `terms`: the sign of each, and whether it is of the smallest level (1) or of the largest (-1)
    """
    there = used & np.isfinite(halves).all(axis=1, keepdims=True)
    total = np.zeros(halves.shape[:2])
    for sign, smallest in terms:
        picks = np.argmin(np.where(there, smallest * halves, np.inf), axis=2)
        total += sign * np.take_along_axis(halves[:, ::-1], picks[..., None], axis=2)[..., 0]
    return float(total.mean())
