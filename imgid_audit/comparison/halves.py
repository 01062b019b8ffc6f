"""Random halves of the test rows: the worst group is picked on one and measured on the other.

The smallest of several noisy values is below its truth, and the more so the closer they are: where a method
makes groups equal and the baseline does not, the difference of the two minima is wrong by that much. A value
that is measured on other rows than those that picked its group errs the other way or not at all (sample
splitting, Cox 1975, Biometrika 62:441).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.metrics.base import Bools
from imgid_audit.stats.intervals import Floats

HALVINGS = 20
"""Of rates. More change no simulated error rate; they leave less to how the halves happened to fall."""
MEASURED = 10
"""The first of them, for metrics that take more than counting."""


class Halves:
    """`HALVINGS` divisions of the same test rows in two; a subject is never divided.

    Every group, and every label in it, has as many units (subjects, or rows) in either half, to one. They are
    made when they are asked for, by `seed`. What the `baseline`'s networks said of the rows only puts them in an
    order of their own before they are drawn, so that the order in which they are given is nothing.
    """

    def __init__(self, baseline: Sequence[Decisions], groups: Breakdown | None, seed: int) -> None:
        self._baseline, self._groups, self._seed = baseline, groups, seed

    @cached_property
    def second(self) -> Bools:
        """Rows of the second half, (HALVINGS, n)."""
        first_of, label = self._baseline[0], self._baseline[0].label
        group = np.zeros(len(label), dtype=np.int32) if self._groups is None else self._groups.codes
        # a subject stands with its first group and label; a row without one is a unit
        subject = np.zeros(0) if first_of.subject is None else first_of.subject.codes
        order = np.lexsort((_answers(self._baseline), label, group, *([subject] if len(subject) else [])))
        unit = subject[order] if len(subject) else np.arange(len(label))
        _, first, of = np.unique(unit, return_index=True, return_inverse=True)
        strata = label[order[first]], group[order[first]]
        generator = np.random.default_rng(self._seed)
        found = np.zeros((HALVINGS, len(label)), dtype=bool)
        for each in found:
            drawn = np.lexsort((generator.random(len(first)), *strata))
            odd = np.zeros(len(first), dtype=bool)
            odd[drawn[1::2]] = True
            each[order] = odd[of]
        return found

    def divided(self, part: Breakdown) -> list[Breakdown]:
        """Each level of a breakdown in two, those of the first half before the others; of `MEASURED` halvings."""
        slices: tuple[Slice, ...] = part.slices * 2
        size = np.int32(len(part.slices))
        return [
            Breakdown(part.name, part.attributes, slices, part.codes + size * each) for each in self.second[:MEASURED]
        ]

    def rates(self, event: Bools, trial: Bools, part: Breakdown, whole: Floats) -> Floats:
        """Events over trials, rows (n,), on the halves of every level, (HALVINGS, 2, levels)."""
        size, codes = len(part.slices), part.codes.astype(np.intp)
        found = []
        for each in self.second:
            cells = codes + size * each
            trials, events = (np.bincount(cells[rows], minlength=2 * size) for rows in (trial, event & trial))
            found.append(in_halves(events / np.maximum(trials, 1), trials > 0, whole))
        return np.stack(found)


def _answers(networks: Sequence[Decisions]) -> Floats:
    """A number for each row, (n,), whatever the order of networks: the true class's lowest score, or how many err."""
    label = networks[0].label
    rows = np.arange(len(label))
    scores = [one.scores[rows, label] for one in networks if one.scores is not None]
    if len(scores) == len(networks):
        return np.asarray(np.min(scores, axis=0), dtype=np.float64)
    return np.asarray(np.sum([one.predicted != label for one in networks], axis=0), dtype=np.float64)


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
