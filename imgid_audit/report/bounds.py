"""How a rule's numbers are written: in points, per cent or plain, as its kind and metric ask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from imgid_audit.report import numbers, words
from imgid_audit.report.numbers import Unit

DIFFERENCES = ("max_gap", "max_drop")
"""Kinds of rules whose bound is a difference."""

Write = Callable[[float, int], str]


def axis_unit(settings: Mapping[str, Any]) -> Unit | None:
    """The unit along a drawing: points (None) for a difference of rates, else as the rule's numbers are written."""
    kind = words.rule_kind(settings)
    if not settings or kind == "min_ratio":
        return "decimal"
    unit = words.unit(str(settings["metric"]))
    return None if kind in DIFFERENCES and unit == "percent" else unit


def writing(settings: Mapping[str, Any]) -> tuple[Write, int]:
    """The function that writes a rule's observed value and bounds, and the decimals to begin with."""
    unit = words.unit(str(settings.get("metric", ""))) if settings else "decimal"
    kind = words.rule_kind(settings)

    def write(value: float, digits: int) -> str:
        if kind in DIFFERENCES:
            return numbers.difference(value, unit, digits)
        return numbers.metric_value(value, "decimal" if kind == "min_ratio" else unit, digits)

    return write, 1 if unit == "percent" and kind != "min_ratio" else 3


def tolerance(settings: Mapping[str, Any], bound: float) -> str:
    """A rule's tolerance as its author wrote it: ``10 points``, ``80 %`` or ``0.8``."""
    unit = axis_unit(settings)
    if unit is None:
        return f"{numbers.setting(round(bound * 100, 9))}{numbers.NBSP}points"
    return numbers.tolerance(bound, unit)
