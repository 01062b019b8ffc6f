"""The manifest: every row of the user's table, each with a status and, where needed, a reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Factor, Texts

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
    """

    ids: Texts
    label: Factor
    split: Factor
    attributes: tuple[Factor, ...]
    subject: Factor | None
    images: Texts | None
    status: NDArray[np.int8]
    reason: Texts

    def __len__(self) -> int:
        return len(self.ids)

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
