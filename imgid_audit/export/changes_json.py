"""The difference of two runs as JSON values, with the keys of audit.json where they mean the same."""

from __future__ import annotations

from typing import Any

from imgid_audit.core.result import Undefined
from imgid_audit.evaluation.changes import Change, Flips
from imgid_audit.report.changed import RunDifference, Side, beyond_chance, sentence, verdict_line


def changes_document(difference: RunDifference) -> dict[str, Any]:
    """Both runs, notes, changes, flips and verdicts; of `value` and `undefined` exactly one is null."""
    multiclass = difference.task == "multiclass"
    return {
        "first": _side(difference.first),
        "second": _side(difference.second),
        "paired": difference.found.paired,
        "notes": list(difference.notes),
        "changes": [_change(one, multiclass) for one in difference.found.changes],
        "flips": [_flips(one) for one in difference.found.flips],
        "verdicts": [
            {"rule": one.rule, "before": one.before, "after": one.after, "text": verdict_line(one)}
            for one in difference.verdicts
        ],
    }


def _side(side: Side) -> dict[str, Any]:
    return {"folder": side.folder, "name": side.name, "cells": side.cells, "predicted": side.predicted}


def _number(value: float | Undefined) -> float | None:
    return None if isinstance(value, Undefined) else value


def _change(one: Change, multiclass: bool) -> dict[str, Any]:
    interval, undefined = one.interval, one.value if isinstance(one.value, Undefined) else None
    return {
        "metric": one.metric,
        "class": one.class_name,
        "slice": one.slice.key,
        "before": _number(one.first),
        "after": _number(one.second),
        "value": _number(one.value),
        "undefined": None if undefined is None else undefined.kind,
        "reason": None if undefined is None else undefined.reason,
        "low": None if interval is None else interval.low,
        "high": None if interval is None else interval.high,
        "level": None if interval is None else interval.level,
        "method": None if interval is None else interval.method,
        "p_value": one.p_value,
        "p_adjusted": one.p_adjusted,
        "beyond_chance": beyond_chance(one),
        "support": list(one.support),
        "subjects": None if one.subjects is None else list(one.subjects),
        "text": sentence(one, multiclass=multiclass),
    }


def _flips(one: Flips) -> dict[str, Any]:
    return {
        "slice": one.slice.key,
        "rows": one.rows,
        "lost": one.lost,
        "gained": one.gained,
        "subjects": one.subjects,
        "p_value": one.p_value,
        "p_adjusted": one.p_adjusted,
        "method": one.method,
    }
