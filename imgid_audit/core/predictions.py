"""What a model said of each row, and what was decided from it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Factor, Texts, tally
from imgid_audit.core.task import Task

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """A model's output for every row of a manifest, aligned with it.

    - `scores` (n, classes): probabilities in class order, rows sum to 1; NaN where not predicted;
      None where the user brought labels only
    - `predicted` (n,): class codes given by the user; -1 where not predicted; None where decisions
      are to be made from the scores
    - `status` (n,) of `Status`, none PENDING; `reason` (n,): text, '' where predicted
    """

    scores: Scores | None
    predicted: Codes | None
    status: NDArray[np.int8]
    reason: Texts


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A binary threshold: positive where score >= `threshold`. Found on `source`, then frozen.

    - `criterion` is as asked, for example ``specificity >= 0.9`` or ``max f1``; `source` is ``val``
      or ``given``; `achieved` is the criterion's value on the split where the threshold was found
    - `low`, `high`: interval of the threshold, were that split drawn again, at `level` by `method`;
      None where it was given, nothing was drawn, or fewer than half of the draws could meet the criterion
    - `draws`: bootstrap samples of that split; `found`: those in which the criterion could be met
    - `achieved_low`, `achieved_high`: interval at `level` of the criterion's value at this very
      threshold, by `achieved_method`
    """

    threshold: float
    criterion: str
    source: str
    achieved: float | None = None
    low: float | None = None
    high: float | None = None
    level: float | None = None
    method: str | None = None
    draws: int | None = None
    found: int | None = None
    achieved_low: float | None = None
    achieved_high: float | None = None
    achieved_method: str | None = None


@dataclass(frozen=True, slots=True)
class Costs:
    """What each decision costs: `table[i][j]` >= 0 where the true label is i and j is predicted.

    Labels are in the task's class order. The decision is the j of least expected cost,
    sum_i p_i table[i][j], the first of equal ones.
    """

    table: tuple[tuple[float, ...], ...]

    def threshold(self, task: Task) -> float | None:
        """The score of the positive class above which it is predicted; None where no such threshold is equivalent.

        Source: Elkan (2001) IJCAI 17:973, equation 2.
        """
        positive = task.positive_index
        if positive is None:
            return None
        negative = 1 - positive
        table = self.scaled()
        alarm = table[negative][positive] - table[negative][negative]
        miss = table[positive][negative] - table[positive][positive]
        if alarm < 0 or miss < 0 or not alarm + miss > 0:
            return None
        return alarm / (alarm + miss)

    def scaled(self) -> tuple[tuple[float, ...], ...]:
        """The table times a power of two, so that the largest cost is near 1: the same decisions without overflow."""
        exponent = math.frexp(max(map(max, self.table)))[1]
        return tuple(tuple(math.ldexp(cost, -exponent) for cost in row) for row in self.table)


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """The evaluated rows (the test split's predicted rows) as codes: all that metrics read.

    This is also what a run keeps in ``cells.parquet``, so that a policy can be applied again
    without images, predictions or row ids.

    - `label` (n,), `predicted` (n,): class codes, both always >= 0
    - `scores` (n, classes) or None
    - `subject`: None means that rows are independent
    - `attributes`: levels include those that no evaluated row has
    - `count` (n,): how many rows of the data each entry stands for; None: one each, always so
      with scores (ValueError otherwise)
    - `operating_point` or `costs`: what the scores were decided by; both None: the user's labels or argmax
    """

    task: Task
    label: Codes
    predicted: Codes
    scores: Scores | None
    subject: Factor | None
    attributes: tuple[Factor, ...]
    operating_point: OperatingPoint | None = None
    count: NDArray[np.int64] | None = None
    costs: Costs | None = None

    def __post_init__(self) -> None:
        if self.count is not None and self.scores is not None:
            raise ValueError("rows with scores stand for themselves: no count")

    def __len__(self) -> int:
        """Entries, each a row or several that are alike; `rows` counts the data's."""
        return len(self.label)

    @property
    def rows(self) -> int:
        """How many rows of the data there are."""
        return len(self) if self.count is None else int(self.count.sum())

    def distinct(self) -> Decisions:
        """The same rows with those that are alike as one entry, in sorted order; as it is with scores."""
        if self.scores is not None:
            return self
        factors = [*([] if self.subject is None else [self.subject]), *self.attributes]
        columns = [self.label, self.predicted, *(factor.codes for factor in factors)]
        sizes = [len(self.task.labels)] * 2 + [len(factor.levels) for factor in factors]
        first, count = distinct_rows(columns, sizes, self.count)
        return replace(
            self,
            label=self.label[first],
            predicted=self.predicted[first],
            subject=None if self.subject is None else self.subject.take(first),
            attributes=tuple(factor.take(first) for factor in self.attributes),
            count=count,
        )

    def attribute(self, name: str) -> Factor:
        """The attribute of that name; KeyError names those there are."""
        for factor in self.attributes:
            if factor.name == name:
                return factor
        raise KeyError(f"no attribute {name!r}; there are {[f.name for f in self.attributes]}")


def distinct_rows(
    columns: Sequence[Codes], sizes: Sequence[int], count: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.intp], NDArray[np.int64]]:
    """One index of each distinct combination of codes, in sorted order, and how many rows have it.

    - `columns`: codes (n,) in [0, size); `sizes`: of each column; `count` (n,): rows of an entry, None: 1
    """
    cells, rows = math.prod(max(size, 1) for size in sizes), len(columns[0])
    if cells >= 2**62:
        _, first, inverse = np.unique(np.stack(columns, axis=1), axis=0, return_index=True, return_inverse=True)
        return first, tally(inverse.reshape(-1), len(first), count)
    keys = np.zeros(rows, dtype=np.int64)
    for column, size in zip(columns, sizes, strict=True):
        keys *= max(size, 1)
        keys += column
    if cells > max(1_000_000, 4 * rows):
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return first, tally(inverse, len(first), count)
    held = tally(keys, cells, count)
    where = np.zeros(cells, dtype=np.intp)
    where[keys[::-1]] = np.arange(rows)[::-1]  # the last assignment stays: the first row
    found = np.flatnonzero(held)
    return where[found], held[found]
