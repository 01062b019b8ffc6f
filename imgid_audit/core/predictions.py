"""What a model said of each row, and what was decided from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Factor, Texts
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

    `criterion` is as asked, for example ``specificity >= 0.9``; `source` is ``val`` or ``given``;
    `achieved` is the criterion's value on the split where the threshold was found.
    """

    threshold: float
    criterion: str
    source: str
    achieved: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """The evaluated rows (the test split's predicted rows) as codes: all that metrics read.

    This is also what a run keeps in ``cells.parquet``, so that a policy can be applied again
    without images, predictions or row ids.

    - `label` (n,), `predicted` (n,): class codes, both always >= 0
    - `scores` (n, classes) or None
    - `subject`: None means that rows are independent
    - `attributes`: levels include those that no evaluated row has
    """

    task: Task
    label: Codes
    predicted: Codes
    scores: Scores | None
    subject: Factor | None
    attributes: tuple[Factor, ...]
    operating_point: OperatingPoint | None = None

    def __len__(self) -> int:
        return len(self.label)

    def attribute(self, name: str) -> Factor:
        """The attribute of that name; KeyError names those there are."""
        for factor in self.attributes:
            if factor.name == name:
                return factor
        raise KeyError(f"no attribute {name!r}; there are {[f.name for f in self.attributes]}")
