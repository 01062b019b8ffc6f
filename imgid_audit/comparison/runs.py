"""What a comparison is given: the decisions of every method's networks, and what is asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from imgid_audit.core.comparison import MethodChange, MethodEstimate, Primary, Selected
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions


@dataclass(frozen=True, slots=True, eq=False)
class MethodRuns:
    """The networks of one method, one a seed.

    - `decisions`: on the same test rows in the same order, one a seed, each row for itself (`count` None)
    - `recalibrated`: the same rows with scores brought back to the natural frequency of classes; read by
      calibration metrics alone
    - `selected`: by which criterion trial and epoch were picked on val

    Raises ValueError for fewer than two seeds, or seeds and decisions that do not go together.
    """

    name: str
    seeds: tuple[int, ...]
    decisions: tuple[Decisions, ...]
    recalibrated: tuple[Decisions, ...] | None = None
    selected: Selected = "declared"

    def __post_init__(self) -> None:
        given = [self.decisions] if self.recalibrated is None else [self.decisions, self.recalibrated]
        if len(self.seeds) < 2 or any(len(part) != len(self.seeds) for part in given):
            raise ValueError(f"{self.name}: needs two seeds or more, and decisions of each; got {len(self.seeds)}")
        if any(one.count is not None for part in given for one in part):
            raise ValueError(f"{self.name}: rows must stand for themselves to be paired")


@dataclass(frozen=True, slots=True)
class ComparisonSpec:
    """What is asked: the `primary` quantity, the config's `metrics` beside it, and how intervals are made.

    Groups and classes with fewer than `min_support` rows that count are left out of the worst and the gap.
    """

    primary: Primary
    metrics: tuple[str, ...]
    intervals: IntervalSpec
    min_support: int


@dataclass(frozen=True, slots=True)
class Compared:
    """All estimates and changes; `left_out` says which groups and classes the worst and the gap leave out, and why."""

    estimates: tuple[MethodEstimate, ...]
    changes: tuple[MethodChange, ...]
    left_out: Mapping[str, str]


def check_same_rows(baseline: MethodRuns, method: MethodRuns) -> None:
    """Raise ValueError where two methods were not asked the same: other seeds, rows, labels or subjects."""
    if method.seeds != baseline.seeds:
        raise ValueError(f"{method.name}: seeds {method.seeds}, but the baseline has {baseline.seeds}")
    first = baseline.decisions[0]
    for one in (*baseline.decisions, *method.decisions, *(method.recalibrated or ())):
        same = one.task == first.task and np.array_equal(one.label, first.label)
        same = same and (one.subject is None) == (first.subject is None)
        if not same or (one.subject and first.subject and not np.array_equal(one.subject.codes, first.subject.codes)):
            raise ValueError(f"{method.name}: its test rows are not those of the baseline")
