"""The manifest: every row of the user's table, each with a status and, where needed, a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Counts, Factor, Texts

SPLITS = ("train", "val", "test", "adjust")
"""Levels of `Manifest.split`, in this order."""


class Status(IntEnum):
    """What became of a row. Every row ends as one of the last three."""

    PENDING = 0
    PREDICTED = 1
    FAILED = 2
    EXCLUDED = 3


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A table of images, one entry a row of the user's file, in the file's order.

    - `ids` (n,): unique texts that name rows
    - `label`: levels are the task's labels in class order; code -1 only where excluded
    - `split`: levels are `SPLITS`
    - `attributes`: each with the levels that were observed anywhere in the table, any split
    - `subject`: None where the user declared no subject column
    - `images` (n,): paths as written in the table, None for a predictions-only audit
    - `status` (n,) of `Status` (PENDING or EXCLUDED here), `reason` (n,): text, '' where none
    - `count` (n,): rows of the table that each entry stands for, where a large table of predictions
      was read as its distinct rows (`ids` are then those of the first); None: one each
    """

    ids: Texts
    label: Factor
    split: Factor
    attributes: tuple[Factor, ...]
    subject: Factor | None
    images: Texts | None
    status: NDArray[np.int8]
    reason: Texts
    count: Counts | None = None

    def __len__(self) -> int:
        """Entries, each a row or several that are alike; `size` counts the table's rows."""
        return len(self.ids)

    def size(self, entries: NDArray[Any] | None = None) -> int:
        """Rows of the table, of all entries or of some (a mask or indices)."""
        if self.count is not None:
            return int(self.count.sum() if entries is None else self.count[entries].sum())
        if entries is None:
            return len(self)
        return int(np.count_nonzero(entries)) if entries.dtype == bool else len(entries)

    def counted(self, entries: NDArray[Any]) -> Counts | None:
        """Rows of each of these entries (a mask or indices); None: one each."""
        return None if self.count is None else self.count[entries]

    def rows(self, split: str) -> NDArray[np.intp]:
        """Indices of the rows of one split that are not excluded."""
        wanted = self.split.codes == SPLITS.index(split)
        return np.flatnonzero(wanted & (self.status != Status.EXCLUDED))

    def attribute(self, name: str) -> Factor:
        """The attribute of that name; KeyError names those there are."""
        for factor in self.attributes:
            if factor.name == name:
                return factor
        raise KeyError(f"no attribute {name!r}; there are {[f.name for f in self.attributes]}")
