"""A categorical column as integer codes: labels, splits, subjects and attributes alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = "(missing)"
"""The level of an empty attribute cell: visible everywhere, never dropped."""

OTHER = "(other)"
"""The level that gathers levels rarer than `min_count`."""

Codes = NDArray[np.int32]
Texts = NDArray[np.object_]
Counts = NDArray[np.int64]


def tally(codes: NDArray[np.integer[Any]], size: int, count: Counts | None = None) -> Counts:
    """Rows of each code, (size,). `count` (n,): rows that each entry stands for, None: 1; exact below 2**53 rows."""
    if count is None:
        return np.bincount(codes, minlength=size).astype(np.int64, copy=False)
    return np.bincount(codes, weights=count, minlength=size).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Factor:
    """Column `name` with `levels` (unique texts) and `codes` (n,) that index them.

    A code of -1 means "no level"; it occurs in label and subject columns of rows that are
    excluded for exactly that reason, and never in an attribute (there it is the level `MISSING`).
    """

    name: str
    levels: tuple[str, ...]
    codes: Codes

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: NDArray[Any]) -> Factor:
        """The same factor on a selection of rows (a mask or indices); levels are kept."""
        return Factor(self.name, self.levels, self.codes[rows])

    def counts(self, count: Counts | None = None) -> Counts:
        """How many rows each level has, shape (levels,); `count` as in `tally`."""
        coded = self.codes >= 0
        return tally(self.codes[coded], len(self.levels), None if count is None else count[coded])

    def texts(self) -> Texts:
        """The level's text of every row, shape (n,); None where the code is -1."""
        table = np.array([*self.levels, None], dtype=object)
        return table[self.codes]
