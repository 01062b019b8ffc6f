"""What is asked of an evaluation: metrics, intervals, and the policy's rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Literal, get_args

from imgid_audit.core.errors import Problem, raise_all

RuleKind = Literal["max_gap", "min_value", "max_value", "min_ratio", "max_drop"]


ProportionForm = Literal["wilson", "clopper_pearson"]
DifferenceForm = Literal["newcombe", "miettinen_nurminen"]
RatioForm = Literal["mover", "koopman", "katz"]
MeanForm = Literal["closed_form", "bootstrap"]


@dataclass(frozen=True, slots=True)
class Forms:
    """Which method where there is a choice: of a proportion, of two compared, and of a mean over classes.

    ``stats.methods`` says what each one is. Raises `InputError` for a name that is none.
    """

    proportion: ProportionForm = "wilson"
    difference: DifferenceForm = "newcombe"
    ratio: RatioForm = "mover"
    mean: MeanForm = "closed_form"

    def __post_init__(self) -> None:
        known = {"proportion": ProportionForm, "difference": DifferenceForm, "ratio": RatioForm, "mean": MeanForm}
        raise_all(
            Problem(f"intervals > {leaf}", f"must be one of {', '.join(get_args(forms))}, got {getattr(self, leaf)!r}")
            for leaf, forms in known.items()
            if getattr(self, leaf) not in get_args(forms)
        )


@dataclass(frozen=True, slots=True)
class IntervalSpec:
    """Two-sided confidence `level` in (0, 1); bootstrap `draws`; `seed` of every resampling; closed `forms`."""

    level: float = 0.95
    draws: int = 2000
    seed: int = 0
    forms: Forms = Forms()


@dataclass(frozen=True, slots=True)
class Waiver:
    """Leave to ship although a rule is not met, up to and with the day `until` (in UTC).

    It changes no verdict: it keeps the rule out of the exit code while it holds. `by` and `why` are
    printed with the verdict.
    """

    until: date
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One requirement on a metric over the levels of `across` (an intersection where several).

    - `across` empty: the total (`min_value` and `max_value` alone)
    - `class_name`: one class; ``macro`` the mean over classes; None: the positive class of a binary
      task, every class of a multiclass one
    - `tolerance`: the bound itself, for example 0.10 of ``max_gap: 0.10``
    - `ignore`: levels left out of the comparison, printed with the verdict
    - `waiver`: a dated exception; None: the rule counts
    """

    id: str
    metric: str
    kind: RuleKind
    tolerance: float
    across: tuple[str, ...] = ()
    class_name: str | None = None
    ignore: tuple[str, ...] = ()
    waiver: Waiver | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """All the rules, what an inconclusive one means, and the support that a verdict needs.

    `baseline` is the run that ``max_drop`` compares with, as its author wrote it.
    """

    rules: tuple[Rule, ...] = ()
    on_inconclusive: Literal["fail", "warn"] = "fail"
    min_support: int = 10
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """Everything that `evaluate` is asked for.

    `intersections` are tuples of attribute names; `references` names the level of an attribute that
    its other levels are compared with.
    """

    metrics: tuple[str, ...]
    intersections: tuple[tuple[str, ...], ...] = ()
    intervals: IntervalSpec = field(default_factory=IntervalSpec)
    policy: Policy = field(default_factory=Policy)
    references: Mapping[str, str] = field(default_factory=dict)
