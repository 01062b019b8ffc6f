"""What is asked of an evaluation: metrics, intervals, and the policy's rules."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

RuleKind = Literal["max_gap", "min_value", "max_value", "min_ratio"]


@dataclass(frozen=True, slots=True)
class IntervalSpec:
    """Two-sided confidence `level` in (0, 1); bootstrap `draws`; `seed` of every resampling."""

    level: float = 0.95
    draws: int = 2000
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement on a metric over the levels of `across` (an intersection where several).

    - `across` empty: the total (`min_value` and `max_value` alone)
    - `class_name`: one class; ``macro`` the mean over classes; None: the positive class of a binary
      task, every class of a multiclass one
    - `tolerance`: the bound itself, for example 0.10 of ``max_gap: 0.10``
    - `ignore`: levels left out of the comparison, printed with the verdict
    """

    id: str
    metric: str
    kind: RuleKind
    tolerance: float
    across: tuple[str, ...] = ()
    class_name: str | None = None
    ignore: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """All the rules, what an inconclusive one means, and the support that a verdict needs."""

    rules: tuple[Rule, ...] = ()
    on_inconclusive: Literal["fail", "warn"] = "fail"
    min_support: int = 10


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """Everything that `evaluate` is asked for. `intersections` are tuples of attribute names."""

    metrics: tuple[str, ...]
    intersections: tuple[tuple[str, ...], ...] = ()
    intervals: IntervalSpec = field(default_factory=IntervalSpec)
    policy: Policy = field(default_factory=Policy)
