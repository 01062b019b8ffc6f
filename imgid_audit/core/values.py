"""A value that is not there, and what surrounds one that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UndefinedKind = Literal["empty", "below_minimum", "not_applicable", "suppressed"]


@dataclass(frozen=True, slots=True)
class Undefined:
    """A quantity that has no value, and why. Never 0, never 1, never NaN."""

    kind: UndefinedKind
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Two-sided confidence interval; `level` and `method` are of this very interval."""

    low: float
    high: float
    level: float
    method: str
