"""What a policy's rules must be: one bound, a metric that has it, attributes and classes that exist."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgid_audit.config.messages import Complaint, unknown
from imgid_audit.config.models import MACRO, RuleSettings, TaskSettings
from imgid_audit.core.policy import RuleKind
from imgid_audit.metrics import METRICS

GAP_METRICS: dict[str, tuple[RuleKind, ...]] = {
    "equalized_odds": ("max_gap",),
    "equalized_odds_mean": ("max_gap",),
    "demographic_parity": ("max_gap", "min_ratio"),
    "equal_opportunity": ("max_gap", "min_ratio"),
    "predictive_parity": ("max_gap", "min_ratio"),
}
"""Gaps that rules may name as if they were metrics, with the bounds that make sense for them."""

BOUNDS = "max_gap, min_value, max_value, min_ratio or max_drop"

IndexedRule = tuple[int, RuleSettings]


def rule_complaints(
    rules: Sequence[IndexedRule], task: TaskSettings | None, attributes: Sequence[str] | None
) -> Iterator[Complaint]:
    """(trail within `policy`, message) of every rule; None stands for a block that is itself wrong."""
    for index, rule in rules:
        at = ("rules", index)
        for trail, message in _one(rule, task, attributes):
            yield (*at, *trail), message
    yield from _ids(rules)


def _ids(rules: Sequence[IndexedRule]) -> Iterator[Complaint]:
    first: dict[str, int] = {}
    for index, rule in rules:
        name = rule.id or rule.default_id
        if name in first and rule.id:
            yield ("rules", index, "id"), f"{name!r} is already the id of rule {first[name]}"
        elif name in first:
            yield ("rules", index), f"needs an `id`: its default, {name!r}, is already that of rule {first[name]}"
        first.setdefault(name, index)


def _one(rule: RuleSettings, task: TaskSettings | None, attributes: Sequence[str] | None) -> Iterator[Complaint]:
    if len(rule.kinds) != 1:
        got = " and ".join(rule.kinds) or "none"
        yield (), f"must have exactly one of {BOUNDS}, got {got}"
    known = rule.metric in METRICS or rule.metric in GAP_METRICS
    if not known:
        yield ("metric",), unknown("metric", rule.metric, [*METRICS.names, *GAP_METRICS])
    yield from _across(rule, attributes)
    if rule.id is not None and not rule.id.strip():
        yield ("id",), "must not be blank"
    if not known:
        return
    yield from _bounds(rule)
    if task is not None:
        yield from _class(rule, task)


def _across(rule: RuleSettings, attributes: Sequence[str] | None) -> Iterator[Complaint]:
    for place, name in enumerate(rule.across):
        if attributes is not None and name not in attributes:
            trail = ("across",) if len(rule.across) == 1 else ("across", place)
            yield trail, unknown("attribute", name, attributes)
    if len(set(rule.across)) < len(rule.across):
        yield ("across",), f"must be different attributes, got {list(rule.across)}"
    for kind in ("max_gap", "min_ratio"):
        if kind in rule.kinds and not rule.across:
            yield (kind,), "compares groups and needs `across`: the attribute whose levels are compared"
    if rule.ignore and not rule.across:
        yield ("ignore",), "leaves out levels and needs `across`: the attribute that has them"


def _bounds(rule: RuleSettings) -> Iterator[Complaint]:
    allowed = GAP_METRICS.get(rule.metric)
    bottom, top = (0.0, 1.0) if allowed else METRICS[rule.metric].bounds
    for kind in rule.kinds:
        value = getattr(rule, kind)
        if allowed and kind not in allowed:
            yield (kind,), f"is no bound of {rule.metric}, which is a gap: use {' or '.join(allowed)}"
        elif kind == "max_drop" and METRICS[rule.metric].better is None:
            yield (kind,), f"has no meaning for {rule.metric}, which is neither better high nor low"
        elif kind == "min_ratio" and bottom < 0:
            yield (kind,), f"has no meaning for {rule.metric}, which may be negative: use max_gap"
        elif kind != "min_ratio" and value < bottom:
            yield (kind,), f"must be >= {bottom:g}, got {value:g}"
        elif value > top:
            hint = f": write {value:g} % as {value / 100:g}" if top == 1 and 1 < value <= 100 else ""
            yield (kind,), f"must be <= {top:g}, got {value:g}{hint}"


def _class(rule: RuleSettings, task: TaskSettings) -> Iterator[Complaint]:
    name, at = rule.class_name, ("class",)
    gap = rule.metric in GAP_METRICS
    if gap and task.type == "multiclass":
        instead = {"demographic_parity": "selection_rate", "predictive_parity": "precision"}.get(rule.metric, "recall")
        yield ("metric",), f"{rule.metric} is for binary tasks: in a multiclass task use {instead} with max_gap"
        return
    if name is None:
        return
    if task.type == "binary":
        if not gap and not METRICS[rule.metric].per_class:
            yield at, f"has no meaning for {rule.metric}, which speaks of all classes: remove it"
        elif name != task.positive and task.positive is not None:
            yield at, f"must be the positive class {task.positive!r} in a binary task, got {name!r}"
        return
    metric = METRICS[rule.metric]
    if not metric.per_class:
        yield at, f"has no meaning for {rule.metric}, which speaks of all classes: remove it"
    elif name == MACRO and not metric.macro:
        yield at, f"macro has no meaning for {rule.metric}: name a label, or leave `class` out for every class"
    elif name != MACRO and task.labels is not None and name not in task.labels:
        yield at, unknown("label", name, [*task.labels, MACRO])
