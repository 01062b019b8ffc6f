"""Audit results for the tests of report and export, made without the code that evaluates.

Counts are drawn from a planted model of accuracy by group; intervals are plain normal ones, wide
enough to be believed, because what is tested here is how results are told, not how they are made.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from imgid_audit.core.predictions import OperatingPoint
from imgid_audit.core.result import (
    AuditResult,
    Contrast,
    DataAccount,
    Envelope,
    Estimate,
    Evaluation,
    Finding,
    Gap,
    Interval,
    ReliabilityCurve,
    Undefined,
    Verdict,
)
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task

EPOCH = datetime(2026, 11, 23, 14, 5, tzinfo=UTC)

HOSTILE = (
    "<script>alert(1)</script>",
    "javascript:alert(1)",
    '"><img src=x onerror=alert(1)>',
    '=HYPERLINK("http://evil.example/")',
    "{{ 7 * 7 }}{% raw %}",
    "</style></title></textarea>&amp;",
    "url(http://evil.example/a.png)",
    "M\u202eolleh",
)

LONG = "Universitätsklinikum-Radiologie-Außenstelle-" * 4

DIGITS = tuple(str(d) for d in range(10))
DEVICES = {"scanner": (260, 0.95), "copier": (180, 0.91), "handheld": (70, 0.74), "(missing)": (9, 0.9)}
AGES = {"[0, 46)": (150, 0.93), "[46, 61)": (160, 0.92), "[61, 76)": (130, 0.9), "[76, 130]": (79, 0.85)}
SEXES = {"F": (255, 0.91), "M": (250, 0.92), "X": (0, 0.0), "(missing)": (14, 0.86)}

RATES = ("accuracy", "recall", "precision", "specificity", "false_positive_rate", "false_negative_rate", "f1")
SCORED = ("auroc", "ece", "brier")


@dataclass(frozen=True)
class Plan:
    """What to make a result of: levels with (rows, accuracy) by attribute."""

    labels: tuple[str, ...] = DIGITS
    positive: str | None = None
    name: str = "Digits on simulated devices"
    attributes: Mapping[str, Mapping[str, tuple[int, float]]] = field(
        default_factory=lambda: {"device": DEVICES, "age": AGES, "sex": SEXES}
    )
    intersections: tuple[tuple[str, ...], ...] = (("device", "sex"),)
    metrics: tuple[str, ...] = (*RATES, *SCORED)
    subjects: bool = True
    scores: bool = True
    notes: tuple[str, ...] = ("Acquisition devices in this data are simulated.",)
    on_inconclusive: str = "fail"
    verdicts: tuple[str, ...] = ("fail", "inconclusive", "pass", "not_evaluated")


def audit(plan: Plan | None = None) -> AuditResult:
    """A whole result for a plan."""
    plan = plan or Plan()
    rng = np.random.default_rng(7)
    first = next(iter(plan.attributes.values()))
    rows = sum(n for n, _ in first.values())
    return AuditResult(
        name=plan.name,
        data=_account(plan, rows),
        evaluation=_evaluation(plan, rng, rows),
        findings=_findings(),
        notes=plan.notes,
        settings=_settings(plan),
        provenance={
            "hashes": {"weights": "9f" * 32, "manifest": "3c" * 32, "config": "ab" * 32, "code": "70" * 32},
            "versions": {"python": "3.11.9", "torch": "2.14.1", "numpy": "2.4.6"},
            "git": {"commit": "5db1dea", "clean": True},
        },
        run={"started": "2026-11-23T14:05:00Z", "seconds": 12.5, "host": "somewhere"},
    )


def binary(**changes: Any) -> AuditResult:
    """A binary audit with an operating point."""
    base = Plan(labels=("other", "covid19"), positive="covid19", name="covid-cxr")
    return audit(replace(base, **changes))


def hostile() -> AuditResult:
    """Every text that a user or a file can bring is hostile; one level's name is very long."""
    levels = {text: (30 + i, 0.9) for i, text in enumerate((*HOSTILE, LONG))}
    plan = Plan(
        labels=HOSTILE[:3],
        name=HOSTILE[0] + LONG,
        attributes={HOSTILE[2]: levels, HOSTILE[3]: dict(itertools.islice(levels.items(), 3))},
        intersections=((HOSTILE[2], HOSTILE[3]),),
        notes=HOSTILE,
    )
    made = audit(plan)
    findings = tuple(
        Finding(text, text, "finding", "high", text, {text: text, "more": [text, {text: text}]}) for text in HOSTILE
    )
    verdicts = tuple(
        replace(v, reason=HOSTILE[i], rule=f"{HOSTILE[i]}-{i}") for i, v in enumerate(made.evaluation.verdicts)
    )
    data = replace(made.data, reasons=dict.fromkeys(HOSTILE, 1))
    provenance = {
        "hashes": {"weights": HOSTILE[0]},
        "versions": dict.fromkeys(HOSTILE, HOSTILE[2]),
        HOSTILE[0]: HOSTILE,
    }
    return replace(
        made,
        findings=findings,
        data=data,
        evaluation=replace(made.evaluation, verdicts=verdicts),
        provenance=provenance,
        settings={**made.settings, HOSTILE[0]: {HOSTILE[2]: HOSTILE}},
    )


def large(levels: int = 200) -> AuditResult:
    """An attribute with very many levels, ten classes."""
    many = {f"site-{i:03d}": (20 + i % 17, 0.7 + (i % 29) / 100) for i in range(levels)}
    return audit(Plan(attributes={"site": many, "device": DEVICES}, intersections=(("site", "device"),)))


def _account(plan: Plan, rows: int) -> DataAccount:
    per = np.bincount(np.arange(rows) % len(plan.labels), minlength=len(plan.labels))
    return DataAccount(
        rows=rows * 3,
        predicted=rows * 3 - 7,
        failed=5,
        excluded=2,
        subjects=rows // 3 if plan.subjects else None,
        splits={"train": rows, "val": rows - 2, "test": rows},
        attributes={a: {level: n for level, (n, _) in levels.items()} for a, levels in plan.attributes.items()},
        labels=dict(zip(plan.labels, per.tolist(), strict=True)),
        reasons={"cannot be decoded: broken PNG file": 5, "label is empty": 2},
    )


def _evaluation(plan: Plan, rng: np.random.Generator, rows: int) -> Evaluation:
    task = Task("binary" if plan.positive else "multiclass", plan.labels, plan.positive)
    estimates = []
    for metric in plan.metrics:
        for class_name in _classes(plan, metric):
            for of, n, accuracy in _slices(plan, rows):
                estimates.append(_estimate(plan, rng, metric, class_name, of, n, accuracy))
    k = len(plan.labels)
    confusion = rng.integers(0, 4, (k, k)) + np.diag(np.full(k, max(rows // k - 2 * k, 3)))
    attributes = [*plan.attributes, *("*".join(names) for names in plan.intersections)]
    point = OperatingPoint(0.4213, "specificity >= 0.9", "val", 0.9031) if plan.positive else None
    return Evaluation(
        task=task,
        estimates=tuple(estimates),
        gaps=tuple(_gaps(plan, estimates, attributes)),
        contrasts=tuple(_contrasts(plan, estimates, attributes)),
        verdicts=_verdicts(plan),
        confusion=confusion,
        reliability=tuple(_curves(plan, rng, rows)) if plan.scores else (),
        operating_point=point,
    )


def _classes(plan: Plan, metric: str) -> tuple[str | None, ...]:
    if metric in ("accuracy", "ece", "brier"):
        return (None,)
    return (plan.positive,) if plan.positive else (*plan.labels, None)


def _slices(plan: Plan, rows: int) -> list[tuple[Slice, int, float]]:
    found = [(TOTAL, rows, 0.9)]
    for attribute, levels in plan.attributes.items():
        found += [(Slice((attribute,), (level,)), n, p) for level, (n, p) in levels.items()]
    for names in plan.intersections:
        for combination in itertools.product(*(plan.attributes[name].items() for name in names)):
            share = [n / max(rows, 1) for _, (n, _) in combination]
            n = int(rows * np.prod(share))
            if n:
                levels = tuple(level for level, _ in combination)
                found.append((Slice(names, levels), n, min(p for _, (_, p) in combination)))
    return found


def _estimate(
    plan: Plan, rng: np.random.Generator, metric: str, class_name: str | None, of: Slice, n: int, accuracy: float
) -> Estimate:
    support = n // len(plan.labels) if class_name is not None else n
    subjects = max(support // 3, 1) if plan.subjects and support else (0 if plan.subjects else None)
    value: float | Undefined
    if not plan.scores and metric in SCORED:
        value = Undefined("not_applicable", "no scores")
    elif support == 0:
        value = Undefined("empty", "no rows of this group" if n == 0 else f"no rows of class {class_name}")
    else:
        target = 1 - accuracy if metric in ("false_positive_rate", "false_negative_rate", "ece", "brier") else accuracy
        value = float(rng.binomial(support, target) / support)
    if isinstance(value, Undefined):
        return Estimate(metric, class_name, of, value, None, n, support, subjects)
    near = value * support <= 3 or (1 - value) * support <= 3
    method = "Clopper-Pearson (effective n by subject)" if near else "Wilson (effective n by subject)"
    if metric in SCORED:
        method = "bootstrap over subjects, 2,000 draws"
    half = 1.96 * np.sqrt((value * (1 - value) + 1 / support) / support)
    interval = Interval(float(max(value - half, 0)), float(min(value + half, 1)), 0.95, method)
    return Estimate(metric, class_name, of, value, interval, n, support, subjects)


def _gaps(plan: Plan, estimates: Sequence[Estimate], attributes: Sequence[str]) -> list[Gap]:
    found = []
    for attribute in attributes:
        names = tuple(attribute.split("*"))
        for metric in plan.metrics:
            for class_name in _classes(plan, metric):
                group = [
                    e for e in estimates if (e.metric, e.class_name, e.slice.attributes) == (metric, class_name, names)
                ]
                defined = [e for e in group if not isinstance(e.value, Undefined)]
                found += [_gap(metric, class_name, attribute, kind, defined) for kind in ("difference", "ratio")]
    return found


def _gap(metric: str, class_name: str | None, attribute: str, kind: Any, defined: list[Estimate]) -> Gap:
    if len(defined) < 2:
        reason = Undefined("not_applicable", "fewer than two groups have a value")
        return Gap(metric, class_name, attribute, kind, reason, None, None, None, None, None)
    low, high = (f(defined, key=lambda e: e.value) for f in (min, max))
    if kind == "ratio" and high.value == 0:
        return Gap(
            metric, class_name, attribute, kind, Undefined("empty", "0 in all groups"), None, None, None, None, None
        )
    value = high.value - low.value if kind == "difference" else low.value / high.value
    half = 0.04 + 0.5 / np.sqrt(min(low.support, high.support))
    bounds = float(max(value - half, 0)), float(min(value + half, 1))
    interval = Interval(*bounds, 0.95, "MOVER of simultaneous (Bonferroni) limits")
    best, worst = (low, high) if metric in ("false_positive_rate", "false_negative_rate", "ece") else (high, low)
    p = float(np.exp(-30 * value * value))
    noise = Envelope(0.3 * half, 0.7 * half, 0.95, "normal approximation") if kind == "difference" else None
    adjusted = min(1.0, 20 * p)
    return Gap(metric, class_name, attribute, kind, value, interval, best.slice, worst.slice, p, adjusted, noise)


def _contrasts(plan: Plan, estimates: Sequence[Estimate], attributes: Sequence[str]) -> list[Contrast]:
    """The first two metrics' groups against the best, all rows and the first group."""
    found = []
    for metric, attribute in itertools.product(plan.metrics[:2], attributes):
        for class_name in _classes(plan, metric):
            mine = [e for e in estimates if (e.metric, e.class_name) == (metric, class_name)]
            group = [e for e in mine if e.slice.attributes == tuple(attribute.split("*"))]
            defined = [e for e in group if not isinstance(e.value, Undefined)]
            if not defined:
                continue
            best = max(defined, key=lambda e: e.value)
            total = next(e for e in mine if not e.slice.attributes)
            for against, other in (("best", best), ("overall", total), ("reference", defined[0])):
                for e in group:
                    if e is not other:
                        found += [_contrast(attribute, e, against, other, kind) for kind in ("difference", "ratio")]
    return found


def _contrast(attribute: str, e: Estimate, against: Any, other: Estimate, kind: Any) -> Contrast:
    made = Contrast(
        e.metric, e.class_name, attribute, e.slice, against, other.slice, kind, Undefined("empty", "no rows"), None
    )
    if isinstance(e.value, Undefined) or isinstance(other.value, Undefined):
        return made
    half, method = 0.05 + 0.5 / np.sqrt(e.support), "simultaneous limits"
    if kind == "difference":
        value = e.value - other.value
        return replace(made, value=value, interval=Interval(value - half, value + half, 0.95, method))
    if other.value == 0:
        return replace(made, value=Undefined("not_applicable", "the other group is at 0"))
    ratio = e.value / other.value
    high = np.inf if other.support < 5 else ratio * (1 + half)
    return replace(made, value=ratio, interval=Interval(ratio / (1 + half), float(high), 0.95, method))


def _verdicts(plan: Plan) -> tuple[Verdict, ...]:
    attribute, levels = next(iter(plan.attributes.items()))
    worst = Slice((attribute,), (min(levels, key=lambda level: levels[level][1]),))
    texts = {
        "fail": Verdict(
            "device-accuracy", "fail",
            "accuracy of handheld is 74.3 % (n 70) against 95.4 % (n 260) of scanner: the gap is at least 10.04 points",
            0.211, 0.1004, 0.312, 0.10, worst, None,
        ),
        "inconclusive": Verdict(
            "age-recall", "inconclusive",
            "the gap between [76, 130] and [0, 46) is 8.0 points, and its bounds lie on both sides of 10 points",
            0.08, 0.011, 0.156, 0.10, Slice(("age",), ("[76, 130]",)), {"[76, 130]": 160, "[0, 46)": 304},
        ),
        "pass": Verdict(
            "floor", "pass", "every group of sex has an accuracy above 80 %", 0.861, 0.8214, 0.94, 0.80,
            Slice(("sex",), ("(missing)",)), None,
        ),
        "not_evaluated": Verdict(
            "impact", "not_evaluated", "selection_rate was asked for 1 group only", None, None, None, 0.8, None, None
        ),
    }  # fmt: skip
    return tuple(texts[status] for status in plan.verdicts)


def _settings(plan: Plan) -> dict[str, Any]:
    first = next(iter(plan.attributes))
    return {
        "name": plan.name,
        "task": {"type": "binary" if plan.positive else "multiclass", "positive": plan.positive},
        "data": {"manifest": "metadata.csv", "attributes": {name: {} for name in plan.attributes}},
        "model": {"architecture": "smallcnn", "weights": None},
        "intervals": {"level": 0.95, "draws": 2000, "seed": 0},
        "policy": {
            "on_inconclusive": plan.on_inconclusive,
            "min_support": 10,
            "rules": [
                {"id": "device-accuracy", "metric": "accuracy", "across": first, "max_gap": 0.1},
                {"id": "age-recall", "metric": "recall", "class": "macro", "across": ["age"], "max_gap": 0.1},
                {"id": "floor", "metric": "accuracy", "across": ["sex"], "min_value": 0.8, "ignore": ["X"]},
                {"id": "impact", "metric": "selection_rate", "across": "sex", "min_ratio": 0.8},
            ],
        },
    }


def _findings() -> tuple[Finding, ...]:
    return (
        Finding("D001", "Missing metadata", "passed", "medium", "no attribute lacks more than 20 % of its values"),
        Finding(
            "D004", "Attributes that go along with each other", "finding", "high",
            "site goes along with device (Cramér's V 0.71): their effects cannot be told apart",
            {"attributes": ["device", "site"], "cramers_v": 0.7134, "rows": 1519},
        ),
        Finding("D005", "Same image in two splits", "not_applicable", "high", "images were not hashed"),
        Finding("M002", "Overfitting", "skipped", "low", "the model was not trained in this run"),
        Finding("M003", "Underfitting", "inconclusive", "info", "the data cannot tell whether that is enough"),
    )  # fmt: skip


def _curves(plan: Plan, rng: np.random.Generator, rows: int) -> list[ReliabilityCurve]:
    found = []
    for of, n, _ in _slices(plan, rows):
        if len(of.attributes) > 1:
            continue
        share = np.linspace(0.2, 2, 15) ** 3
        count = rng.multinomial(n, share / share.sum())
        edges = np.linspace(0, 1, 16)
        empty = count == 0
        mean = np.where(empty, np.nan, (edges[:-1] + edges[1:]) / 2)
        frequency = np.where(empty, np.nan, np.clip(np.nan_to_num(mean) - 0.05 + rng.normal(0, 0.04, 15), 0, 1))
        found.append(ReliabilityCurve(of, edges, count, mean, frequency))
    return found
