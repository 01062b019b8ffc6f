"""comparison.json: what a comparison of mitigations found. Its schema is ``comparison.schema.json`` beside this file.

`estimates` are plain quantities, all rows and groups, each once a (metric, class, slice, method, seed). What picks the
worst of several, a gap, what speaks of recalibrated scores, and what another criterion selected is in `summaries`, of
the same shape. `method` is the mitigation, `interval_method` how its interval was made. The file is private.

Format version 1: the first.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

from imgid_audit.core.comparison import Comparison, MethodChange, MethodEstimate, MethodRecord, Primary, Trial, Winner
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.export.audit_json import plain
from imgid_audit.export.comparison_reader import FORMAT_VERSION, read_comparison

__all__ = ["change_values", "comparison_document", "comparison_schema", "encode_comparison", "read_comparison"]

PLAIN = ("overall", "group")
"""Quantities that a metric has on a slice, as in audit.json."""


def encode_comparison(comparison: Comparison) -> bytes:
    """The comparison as UTF-8 JSON with a line feed at the end. Raises ValueError for a NaN or an infinity."""
    text = json.dumps(comparison_document(comparison), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "replace")


def comparison_schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of comparison.json."""
    text = files("imgid_audit.export").joinpath("comparison.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def comparison_document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as JSON values; of `value` and `undefined` exactly one is null."""
    return {
        "format_version": FORMAT_VERSION,
        "scope": comparison.scope,
        "backbone": comparison.backbone,
        "baseline": comparison.baseline,
        "primary": primary_values(comparison.primary),
        "criterion": comparison.criterion,
        "seeds": list(comparison.seeds),
        "trials": comparison.trials,
        "level": comparison.level,
        "rows": dict(comparison.rows),
        "methods": [_record(record) for record in comparison.records],
        "estimates": [estimate_values(one) for one in comparison.estimates if is_plain(one)],
        "summaries": [estimate_values(one) for one in comparison.estimates if not is_plain(one)],
        "changes": [change_values(one) for one in comparison.changes],
        "winner": None if comparison.winner is None else _winner(comparison.winner),
        "left_out": dict(comparison.left_out),
        "notes": list(comparison.notes),
        "settings": plain(comparison.settings),
        "hashes": plain(comparison.hashes),
    }


def is_plain(one: MethodEstimate) -> bool:
    """Whether an estimate is of all rows or of a group, of scores as they are, selected as was declared."""
    return one.quantity in PLAIN and not one.recalibrated and one.selected == "declared"


def primary_values(primary: Primary) -> dict[str, Any]:
    """What was declared beforehand, as JSON values."""
    return {
        "metric": primary.metric,
        "class": primary.class_name,
        "across": list(primary.across),
        "quantity": primary.quantity,
        "ignore": list(primary.ignore),
    }


def _record(record: MethodRecord) -> dict[str, Any]:
    return {
        "name": record.name,
        "methods": list(record.methods),
        "scope": record.scope,
        "acts_on": list(record.acts_on),
        "needs": list(record.needs),
        "source": record.source,
        "parameters": plain(record.parameters),
        "status": record.status,
        "reason": record.reason or None,
        "seeds": list(record.seeds),
        "seconds": float(record.seconds),
        "trials": [_trial(trial) for trial in record.trials],
        "chosen": record.chosen,
        "chosen_by_average": record.chosen_by_average,
        "chosen_by_test": record.chosen_by_test,
        "val": [_number(value) for value in record.val],
        "images_seen": int(record.images_seen),
        "rows_seen": int(record.rows_seen),
        "images_total": int(record.images_total),
        "rows_total": int(record.rows_total),
        "tuned": [{name: float(value) for name, value in one.items()} for one in record.tuned],
        "shifts_prior": record.shifts_prior,
        "uses_adjust": record.uses_adjust,
        "notes": list(record.notes),
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "parameters": plain(trial.parameters),
        "val": _number(trial.val),
        "average": _number(trial.average),
        "test": _number(trial.test),
        "failed": trial.failed or None,
    }


def _winner(winner: Winner) -> dict[str, Any]:
    return {
        "method": winner.method,
        "seed": winner.seed,
        "val": _number(winner.val),
        "weights": winner.weights or None,
        "sha256": winner.sha256 or None,
        "reason": winner.reason or None,
    }


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def defined_values(value: float | Undefined) -> dict[str, Any]:
    """A value, or what it lacks: of `value` and `undefined` exactly one is null."""
    if isinstance(value, Undefined):
        return {"value": None, "undefined": value.kind, "reason": value.reason}
    return {"value": float(value), "undefined": None, "reason": None}


def interval_values(interval: Interval | None) -> dict[str, Any]:
    """Bounds, level and method; nulls where there is none."""
    if interval is None:
        return {"low": None, "high": None, "level": None, "interval_method": None}
    low, high = float(interval.low), float(interval.high)
    return {"low": low, "high": high, "level": float(interval.level), "interval_method": interval.method}


def estimate_values(one: MethodEstimate) -> dict[str, Any]:
    """An estimate as JSON values."""
    return {
        "metric": one.metric,
        "class": one.class_name,
        "slice": one.slice.key,
        **defined_values(one.value),
        **interval_values(one.interval),
        "n": None if one.n is None else int(one.n),
        "support": None if one.support is None else int(one.support),
        "subjects": None if one.subjects is None else int(one.subjects),
        "method": one.method,
        "seed": one.seed,
        "quantity": one.quantity,
        "recalibrated": one.recalibrated,
        "selected": one.selected,
    }


def change_values(one: MethodChange) -> dict[str, Any]:
    """A change as JSON values, as comparison.json and the CSV table have it."""
    return {
        "method": one.method,
        "quantity": one.quantity,
        "metric": one.metric,
        "class": one.class_name,
        "slice": one.slice.key,
        **defined_values(one.value),
        **interval_values(one.interval),
        **side_values("before", one.before),
        **side_values("after", one.after),
        "p_value": _number(one.p_value),
        "p_adjusted": _number(one.p_adjusted),
        "verdict": one.verdict,
        "levelling_down": one.levelling_down,
        "seed_error": _number(one.seed_error),
        "test_error": _number(one.test_error),
        "recalibrated": one.recalibrated,
        "selected": one.selected,
    }


def side_values(name: str, value: float | Undefined) -> dict[str, Any]:
    """One end of a change: null beside what it lacks where it has no value."""
    if isinstance(value, Undefined):
        return {name: None, f"{name}_undefined": value.kind, f"{name}_reason": value.reason}
    return {name: float(value), f"{name}_undefined": None, f"{name}_reason": None}
