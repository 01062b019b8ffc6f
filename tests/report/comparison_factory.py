"""Comparisons for the tests of report and export, made without the code that compares.

Effects are planted; intervals are plain normal ones, because what is tested here is how a comparison is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from imgid_audit.core.comparison import (
    Comparison,
    MethodChange,
    MethodEstimate,
    MethodRecord,
    Primary,
    Quantity,
    Selected,
    Trial,
    Winner,
)
from imgid_audit.core.result import AuditResult, Interval, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from tests.report import factory

COMBINED = "t on seeds and test rows, by subject"
SEEDS = (0, 1, 2, 3, 4)
GROUPS = {"scanner": 0.953, "copier": 0.912, "handheld": 0.741}
SIZES = {"scanner": 260, "copier": 180, "handheld": 70}


@dataclass(frozen=True)
class Planted:
    """A method: its places and needs, what it does to each group and over all, and its verdict."""

    name: str
    acts_on: tuple[str, ...]
    needs: tuple[str, ...]
    source: str
    moves: tuple[float, float, float] = (0.0, 0.0, 0.0)
    overall: float = 0.0
    p: tuple[float, float] = (0.5, 1.0)
    verdict: str = "no evidence"
    levelling_down: bool = False
    shifts_prior: bool = False
    calibration: tuple[float, float] = (0.0, 0.0)
    reason: str = ""
    uses_adjust: bool = False
    parameters: Mapping[str, object] = field(default_factory=dict)


TRAIN, VAL, USE = "group labels in training", "group labels in validation", "group labels at inference"
LABELS = "class labels"

METHODS = (
    Planted("baseline", (), (LABELS,), "empirical risk minimisation"),
    Planted("oversample", ("sampler",), (LABELS, TRAIN), "index resampling", (-0.004, 0.004, 0.093), 0.012,
            (0.001, 0.009), "helps", parameters={"oversample.by": "group"}),
    Planted("undersample", ("sampler",), (LABELS, TRAIN), "index resampling", (-0.094, -0.071, -0.052), -0.079,
            (0.002, 0.016), "harms", parameters={"undersample.by": "group"}),
    Planted("focal", ("loss",), (LABELS,), "Lin et al. (2017)", (0.001, -0.003, 0.011), 0.023, (0.41, 1.0),
            calibration=(0.031, 0.012), parameters={"focal.gamma": 2.0}),
    Planted("balanced_softmax", ("loss",), (LABELS,), "Ren et al. (2020), BALMS", (-0.012, 0.002, 0.034), 0.001,
            (0.08, 0.48), shifts_prior=True, calibration=(0.054, 0.02)),
    Planted("logit_adjustment", ("loss",), (LABELS,), "Menon et al. (2021)", (-0.01, 0.004, 0.03), 0.001, (0.1, 0.5),
            shifts_prior=True, calibration=(0.049, 0.018), parameters={"logit_adjustment.tau": 1.0}),
    Planted("group_dro", ("loss",), (LABELS, TRAIN, VAL), "Sagawa et al. (2020)", (-0.061, -0.02, 0.008), -0.036,
            (0.6, 1.0), levelling_down=True, parameters={"group_dro.eta": 0.01, "group_dro.weight_decay": 0.1}),
    Planted("dfr", ("head",), (LABELS, TRAIN, VAL), "Kirichenko et al. (2023)", (-0.006, 0.01, 0.052), 0.019,
            (0.03, 0.21), uses_adjust=True, parameters={"dfr.refits": 20}),
    Planted("group_thresholds", ("decision",), (LABELS, VAL, USE), "Hardt et al. (2016), fairlearn",
            (-0.02, 0.001, 0.021), -0.004, (0.3, 1.0), parameters={"group_thresholds.constraint": "equalized_odds"}),
    Planted("smote", ("embeddings",), (LABELS,), "Chawla et al. (2002), imbalanced-learn",
            reason="class “7” has 3 training rows, SMOTE asks for more than its 5 neighbours"),
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What to make a comparison of. `groups`: accuracy of the baseline by level."""

    methods: tuple[Planted, ...] = METHODS
    scope: str = "head"
    attribute: str = "device"
    groups: Mapping[str, float] = field(default_factory=lambda: dict(GROUPS))
    metric: str = "accuracy"
    quantity: Quantity = "worst_group"
    class_name: str | None = None
    seeds: tuple[int, ...] = SEEDS
    notes: tuple[str, ...] = ("The test rows of a network and of the baseline are the same.",)


def comparison(plan: Plan | None = None) -> Comparison:
    """A whole comparison for a plan."""
    plan = plan or Plan()
    estimates, changes = [], []
    for method in plan.methods:
        if not method.reason:
            estimates += _estimates(plan, method)
            if method is not plan.methods[0]:
                changes += _changes(plan, method)
    plain = [e for e in estimates if e.quantity in ("overall", "group") and not e.recalibrated]
    rest = [e for e in estimates if e not in plain]
    return Comparison(
        scope=plan.scope,
        backbone="smallcnn trained in this run",
        baseline=plan.methods[0].name,
        primary=Primary(plan.metric, plan.class_name, (plan.attribute,), plan.quantity, ("(missing)",)),
        criterion="accuracy of the worst group on val",
        seeds=plan.seeds,
        trials=3,
        rows={"train": 1519, "val": 517, "test": 519, "adjust": 160},
        records=tuple(_record(plan, method) for method in plan.methods),
        estimates=(*plain, *rest),
        changes=tuple(changes),
        winner=Winner(plan.methods[1].name, 3, 0.8431, "mitigations/winner.safetensors", "5e" * 32),
        left_out={"(missing)": "left out by `primary.ignore`"},
        notes=plan.notes,
        settings={"scope": plan.scope, "trials": 3, "seeds": list(plan.seeds)},
        hashes={"weights": "9f" * 32, "manifest": "3c" * 32},
    )


def compared(result: AuditResult | None = None, plan: Plan | None = None) -> AuditResult:
    """An audit with a comparison."""
    return replace(result or factory.audit(), comparison=comparison(plan))


def nothing_helps() -> Comparison:
    """What the published benchmarks found."""
    methods = tuple(replace(m, verdict="no evidence", p=(0.4, 1.0), levelling_down=False) for m in METHODS)
    return comparison(Plan(methods=methods))


def hostile() -> AuditResult:
    """Every name, level and text is hostile or very long; one reads from right to left."""
    texts = (*factory.HOSTILE[:7], factory.LONG, "שיטה" * 20, "x" * 300)
    methods = tuple(
        replace(m, name=f"{text}{i}", source=text, acts_on=(text,), needs=(text, *m.needs), parameters={text: [text]},
                reason=text if m.reason else "")
        for i, (m, text) in enumerate(zip(METHODS, texts, strict=True))
    )  # fmt: skip
    groups = dict(zip((factory.HOSTILE[0], factory.LONG, "שלום"), GROUPS.values(), strict=True))
    plan = Plan(methods=methods, attribute=factory.HOSTILE[2], groups=groups, notes=factory.HOSTILE)
    made = comparison(plan)
    winner = Winner(methods[1].name, 3, 0.8, "mitigations/" + factory.HOSTILE[0], factory.HOSTILE[1], "")
    made = replace(made, winner=winner, backbone=factory.HOSTILE[0], criterion=factory.HOSTILE[4],
                   left_out={factory.HOSTILE[0]: factory.HOSTILE[2]})  # fmt: skip
    return replace(factory.hostile(), comparison=made)


def many_groups(levels: int = 80) -> Comparison:
    """A comparison over very many groups."""
    return comparison(Plan(groups={f"site-{i:03d}": 0.6 + (i % 37) / 100 for i in range(levels)}))


def _record(plan: Plan, method: Planted) -> MethodRecord:
    place = plan.methods.index(method)
    said = (method.name, (method.name,), plan.scope, method.acts_on, method.needs, method.source)
    if method.reason:
        return MethodRecord(*said, parameters={}, status="not_run", reason=method.reason, seeds=(), seconds=0.0)
    trials = tuple(
        Trial({**method.parameters, "lr": lr, "weight_decay": 1e-4}, 0.80 + 0.01 * t, 0.90 - 0.01 * t, 0.74 + 0.005 * t)
        for t, lr in enumerate((0.003, 0.001, 0.01))
    )
    trials = (*trials[:2], replace(trials[2], val=None, average=None, test=None, failed="the loss became infinite"))
    return MethodRecord(
        *said,
        parameters={**method.parameters, "lr": 0.001, "weight_decay": 1e-4},
        status="ran",
        reason="",
        seeds=plan.seeds,
        seconds=12.25 + place,
        trials=trials if place % 4 else trials[:2],
        chosen=1,
        chosen_by_average=0 if place % 2 else 1,
        chosen_by_test=1,
        val=tuple(0.8 + 0.01 * s for s in range(len(plan.seeds))),
        images_seen=1519,
        rows_seen=1519 * 50 if place != 2 else 420 * 50,
        images_total=1519,
        rows_total=(1519 * 50 if place != 2 else 420 * 50) * (len(trials) + len(plan.seeds)),
        tuned=tuple({f"{method.name}.c": 0.1 if s % 2 else 0.3} for s in plan.seeds) if method.uses_adjust else (),
        uses_adjust=method.uses_adjust,
        shifts_prior=method.shifts_prior,
        notes=("mildly surprising",) if place == 7 else (),
    )


def _levels(plan: Plan, method: Planted) -> dict[str, float]:
    moves = method.moves
    return {level: p + moves[i % len(moves)] for i, (level, p) in enumerate(plan.groups.items())}


def _interval(value: float, half: float) -> Interval:
    return Interval(value - half, value + half, 0.95, COMBINED)


def _estimates(plan: Plan, method: Planted) -> list[MethodEstimate]:
    found = []
    groups = _levels(plan, method)
    worst, best = min(groups, key=lambda g: groups[g]), max(groups, key=lambda g: groups[g])
    middle = (len(plan.seeds) - 1) / 2
    for at, seed in enumerate((*plan.seeds, None)):
        shift = 0.0 if seed is None else 0.006 * (at - middle)
        half = 0.03

        def one(quantity: Quantity, value: float, of: Slice = TOTAL, metric: str = plan.metric, n: int | None = 519,
                seed: int | None = seed, half: float = half, *, again: bool = False) -> MethodEstimate:  # fmt: skip
            drawn = _interval(value, half) if seed is None or quantity in ("overall", "group") else None
            name = plan.class_name if metric == plan.metric else None
            return MethodEstimate(
                method.name, seed, quantity, metric, name, of, value, drawn, n, n, None if n is None else n // 3, again
            )

        found.append(one("overall", 0.9 + method.overall + shift))
        if plan.metric != "accuracy":
            found.append(one("overall", 0.9 + method.overall + shift, metric="accuracy"))
        for level, value in groups.items():
            of = Slice((plan.attribute,), (level,))
            found.append(one("group", value + shift, of, n=SIZES.get(level, 50), half=0.05))
        found.append(one("worst_group", groups[worst] + shift, Slice((plan.attribute,), (worst,)), n=None, half=0.05))
        found.append(one("worst_class", 0.71 + method.overall + shift, n=None))
        found.append(one("gap", groups[best] - groups[worst], n=None, half=0.06))
        for metric, base, move in (("ece", 0.041, 0), ("brier", 0.152, 1)):
            value = base + method.calibration[move]
            found.append(one("overall", value, metric=metric, half=0.01))
            if method.shifts_prior:
                found.append(one("overall", base + 0.002, metric=metric, half=0.01, again=True))
    return found


def _changes(plan: Plan, method: Planted) -> list[MethodChange]:
    groups, before = _levels(plan, method), dict(plan.groups)
    worst, gap = min(before, key=lambda g: before[g]), max(groups.values()) - min(groups.values())
    old_gap = max(before.values()) - min(before.values())

    def one(quantity: Quantity, old: float, new: float, metric: str = plan.metric, of: Slice = TOTAL,
            selected: Selected = "declared", *, again: bool = False) -> MethodChange:  # fmt: skip
        half = 0.012 if metric in ("ece", "brier") else 0.04
        primary = quantity == plan.quantity and selected == "declared" and metric == plan.metric
        return MethodChange(
            method.name, quantity, metric, plan.class_name if metric == plan.metric else None, of, new - old,
            _interval(new - old, half), old, new, method.p[0], method.p[1] if primary else None,
            method.verdict if primary else None,  # type: ignore[arg-type]
            primary and method.levelling_down, 0.0061, 0.0147, again, selected,
        )  # fmt: skip

    where = Slice((plan.attribute,), (worst,))
    found = [one("worst_group", before[worst], min(groups.values()), of=where), one("gap", old_gap, gap)]
    found += [one("overall", 0.9, 0.9 + method.overall), one("worst_class", 0.71, 0.71 + method.overall)]
    if plan.metric != "accuracy":
        found.append(one("overall", 0.9, 0.9 + method.overall, "accuracy"))
    found += [one("group", before[level], groups[level], of=Slice((plan.attribute,), (level,))) for level in groups]
    for metric, base, move in (("ece", 0.041, 0), ("brier", 0.152, 1)):
        found.append(one("overall", base, base + method.calibration[move], metric))
        if method.shifts_prior:
            found.append(one("overall", base, base + 0.002, metric, again=True))
    average = one("worst_group", before[worst], before[worst] + 0.004, of=where, selected="average")
    return [*found, average]


def undefined(comparison: Comparison, method: str) -> Comparison:
    """The same, where the primary change of a method has no value."""
    gone = Undefined("empty", "no test row of handheld has class “7”")
    changes = tuple(
        replace(c, value=gone, after=gone, interval=None, p_value=None, p_adjusted=None, verdict=None,
                seed_error=None, test_error=None) if c.method == method and c.verdict else c
        for c in comparison.changes
    )  # fmt: skip
    return replace(comparison, changes=changes)


def levels(found: Sequence[MethodEstimate]) -> list[str]:
    """Groups of estimates, in their order."""
    return [" × ".join(e.slice.levels) for e in found]
