"""Which breakdowns must be hidden so that nobody can read or compute a small cell. See docs/privacy.md.

A cell is a one-vs-rest outcome (TP, FP, FN or TN of a class) of a slice; it is small where it has
1 to `min_cell` - 1 rows. Three tests, each on whole breakdowns, in the order in which they are to be kept:

1. a breakdown with a small cell of its own is hidden;
2. what is published must be acyclic as a hypergraph over attributes (then a cell that is determined by all
   published counts together contains a published cell whole), or have no small cell where it is not;
3. no two published breakdowns may determine a small cell of their intersection for a reader who also knows which
   combinations of levels are impossible (bins of one column under two attributes).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.cells import Cells
from imgid_audit.core.factor import Factor, tally
from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Privacy
from imgid_audit.metrics.rows import BINS, Rows

Names = tuple[str, ...]
Flags = NDArray[np.bool_]

BIN = "\0bin"
"""The score's bin as an attribute; no attribute of a table can have this name."""

MOST = 4_000_000
"""Cells of an intersection that are looked at; a larger one is taken to have small cells."""


def protect(decisions: Decisions, spec: EvaluationSpec, min_cell: int) -> Privacy:
    """What to hide of the evaluation of `decisions` by `spec`, for a smallest cell of `min_cell` rows.

    Kept first: the total, then attributes in their order, intersections, breakdowns that rules alone name,
    reliability curves. Raises ValueError for a `min_cell` below 2, which would hide nothing.
    """
    if min_cell < 2:
        raise ValueError(f"min_cell must be 2 or more, got {min_cell}")
    rows = _Counted(decisions, min_cell)
    single = [(factor.name,) for factor in decisions.attributes]
    asked = list(dict.fromkeys([(), *single, *spec.intersections, *(rule.across for rule in spec.policy.rules)]))
    kept: list[frozenset[str]] = []
    hidden: set[frozenset[str]] = set()
    for names in asked:
        part = frozenset(names)
        if part in kept or part in hidden:
            continue
        if rows.publishable(part, kept):
            kept.append(part)
        else:
            hidden.add(part)
    return Privacy(
        min_cell=min_cell,
        suppressed=tuple("*".join(names) for names in asked if frozenset(names) in hidden),
        # what a metric lost since an earlier run is a count of rows that changed, and tells cells of that run
        rules=tuple(r.id for r in spec.policy.rules if frozenset(r.across) in hidden or r.kind == "max_drop"),
        curves=_curves(decisions, [(), *single], kept, min_cell),
        confusion=frozenset() in hidden or rows.small_confusions(),
    )


def _curves(
    decisions: Decisions, asked: Sequence[Names], kept: Sequence[frozenset[str]], min_cell: int
) -> tuple[str, ...]:
    """The breakdowns whose curves are hidden: bins are finer cells, and the bin is one more attribute."""
    if decisions.scores is None:
        return ()
    # a score of exactly 1 is drawn in the last bin
    bins = np.minimum(Rows(decisions).bins, BINS - 1).astype(np.int32)
    binned = Factor(BIN, tuple(map(str, range(BINS))), bins)
    rows = _Counted(replace(decisions, attributes=(*decisions.attributes, binned)), min_cell)
    hidden, published = [], list(kept)
    for names in asked:
        part = frozenset(names) | {BIN}
        if frozenset(names) in kept and not rows.small_bins(names) and rows.safe_together(part, published):
            published.append(part)
        else:
            hidden.append("*".join(names))
    return tuple(hidden)


class _Counted:
    """Questions about the cells of `decisions`, which are reduced to distinct rows first."""

    def __init__(self, decisions: Decisions, min_cell: int) -> None:
        decisions = replace(decisions, scores=None, subject=None).distinct()
        self.decisions, self.min_cell = decisions, min_cell
        self.classes = len(decisions.task.labels)
        self.outcome = decisions.label.astype(np.int64) * self.classes + decisions.predicted
        self.factors = {factor.name: factor for factor in decisions.attributes}

    def publishable(self, part: frozenset[str], kept: Sequence[frozenset[str]]) -> bool:
        """Whether a breakdown may be published beside those that are kept."""
        return (
            not self.small(part)
            and self.safe_together(part, kept)
            and not any(self.exposed(part, other) for other in kept)
        )

    def small(self, part: frozenset[str]) -> bool:
        """Whether a breakdown has a small cell of its own, or is too fine to be looked at."""
        codes, size = self.slices(part)
        return size * self.classes > MOST or bool(self._is_small(self._cells(codes, size)).any())

    def small_bins(self, names: Names) -> bool:
        """Whether some bin of some slice has few rows of an outcome: of each in a binary task, else right or wrong."""
        codes, size = self.slices(frozenset(names) | {BIN})
        kinds = self.outcome if self.classes == 2 else (self.decisions.label == self.decisions.predicted)
        return bool(self._is_small(tally(codes * 4 + kinds, size * 4, self.decisions.count)).any())

    def small_confusions(self) -> bool:
        """Whether the confusion matrix of all rows has a small entry."""
        return bool(self._is_small(tally(self.outcome, self.classes**2, self.decisions.count)).any())

    def safe_together(self, part: frozenset[str], kept: Sequence[frozenset[str]]) -> bool:
        """Whether the breakdowns are acyclic with `part`, or have no small cell where they are not."""
        core = cyclic_core([*kept, part])
        return not core or not self.small(core)

    def exposed(self, one: frozenset[str], other: frozenset[str]) -> bool:
        """Whether two breakdowns that are both published may determine a small cell of their intersection."""
        if one <= other or other <= one:
            return False
        (a, rows), (b, columns) = self.slices(one), self.slices(other)
        if rows * columns * self.classes > MOST:
            return True
        both = a * columns + b
        small = self._is_small(self._cells(both, rows * columns))
        if not small.any():
            return False
        movable = self._movable(both, rows, columns).reshape(rows * columns, self.classes, 4)
        return bool((small & ~movable).any())

    def _movable(self, both: NDArray[np.int64], rows: int, columns: int) -> Flags:
        """Cells that a swap of two rows changes while all counts of both breakdowns stay, (rows, columns, classes, 4).

        The swap is of rows with one label and one decision, among combinations that some row has.
        """
        count = self.decisions.count
        allowed = (tally(both, rows * columns, count) > 0).reshape(rows, columns).astype(np.float64)
        kinds, place = np.unique(self.outcome, return_inverse=True)
        true, said = np.divmod(kinds, self.classes)
        ways = np.zeros((4, self.classes, rows, columns))
        step = max(1, MOST // (rows * columns))
        for start in range(0, len(kinds), step):
            chunk = slice(start, start + step)
            inside = (place >= start) & (place < start + step)
            size = len(kinds[chunk])
            keys = (place[inside] - start) * rows * columns + both[inside]
            held = tally(keys, size * rows * columns, None if count is None else count[inside]) > 0
            moves = _swaps(held.reshape(size, rows, columns).astype(np.float64), allowed)
            right = true[chunk] == said[chunk]
            np.add.at(ways[0], true[chunk][right], moves[right])
            np.add.at(ways[1], said[chunk], moves)
            np.add.at(ways[2], true[chunk], moves)
            ways[3] += moves.sum(axis=0)
        hit, called, positive, all_ways = ways
        parts = [hit, called - hit, positive - hit, all_ways - called - positive + hit]
        return np.asarray(np.stack(parts).transpose(2, 3, 1, 0) > 0)

    def slices(self, part: Iterable[str]) -> tuple[NDArray[np.int64], int]:
        """Slice of every row among those that some row has, and how many there are."""
        codes, size = np.zeros(len(self.decisions), dtype=np.int64), 1
        for name in sorted(part):
            factor = self.factors[name]
            found, codes = np.unique(codes * len(factor.levels) + factor.codes, return_inverse=True)
            size = len(found)
        return codes, size

    def _cells(self, codes: NDArray[np.int64], size: int) -> NDArray[np.int64]:
        of = self.decisions
        return Cells.count(of.label, of.predicted, codes.astype(np.int32), size, self.classes, of.count).counts

    def _is_small(self, counts: NDArray[np.int64]) -> Flags:
        return (counts > 0) & (counts < self.min_cell)


def _swaps(held: NDArray[np.float64], allowed: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 where a 2 x 2 swap changes an entry and keeps all margins, (kinds, rows, columns) of 0 and 1.

    Entry (i, j) can lose a row where some (k, l) is held and (i, l), (k, j) are allowed, and gain one
    where (i, l) and (k, j) are held and (k, l) is allowed; k != i, l != j.
    """
    beside = held.sum(axis=2, keepdims=True) + held.sum(axis=1, keepdims=True)
    lose = allowed @ held.transpose(0, 2, 1) @ allowed - beside + held
    gain = held @ allowed.T @ held - held * (beside - 1)
    return np.asarray(((held > 0) & (lose > 0.5)) | ((allowed > 0) & (gain > 0.5)), dtype=np.float64)


def cyclic_core(parts: Sequence[frozenset[str]]) -> frozenset[str]:
    """Attributes of the breakdowns that Graham's reduction cannot take apart; none where they are acyclic.

    Source: Graham (1979); Beeri, Fagin, Maier, Yannakakis (1983) J. ACM 30:479.
    """
    left = [set(part) for part in parts]
    before = -1
    while before != (before := sum(map(len, left)) + len(left)):
        left = [part for i, part in enumerate(left) if not _covered(part, i, left)]
        for part in left:
            others = set[str]().union(*(other for other in left if other is not part))
            part &= others
    return frozenset[str]().union(*left)


def _covered(part: set[str], place: int, parts: Sequence[set[str]]) -> bool:
    """Whether another part holds this one (of equal parts the first stays)."""
    return any(part < other or (part == other and j < place) for j, other in enumerate(parts) if j != place)
