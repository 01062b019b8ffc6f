"""Reads comparison.json back into the types that it was written from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from imgid_audit.core.comparison import Comparison, MethodChange, MethodEstimate, MethodRecord, Primary, Trial, Winner
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.result import Interval, Undefined
from imgid_audit.core.slices import Slice

FORMAT_VERSION = 1

AGAIN = "compare again to write it anew"


def read_comparison(path: Path) -> Comparison:
    """The comparison of a run's comparison.json: what was written, estimates before summaries.

    Raises InputError where the file is not one that this version reads.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise InputError(Problem(str(path), f"is not JSON ({error}); {AGAIN}")) from error
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        message = f"has format_version {version!r}, this version reads {FORMAT_VERSION}; {AGAIN}"
        raise InputError(Problem(str(path), message))
    try:
        return decode_comparison(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"is not a whole comparison.json ({type(error).__name__}: {error}); {AGAIN}"
        raise InputError(Problem(str(path), message)) from error


def decode_comparison(found: Mapping[str, Any]) -> Comparison:
    """The comparison that a document was made of; KeyError, TypeError or ValueError where it is not one."""
    winner = found["winner"]
    return Comparison(
        scope=found["scope"],
        backbone=found["backbone"],
        baseline=found["baseline"],
        primary=primary_of(found["primary"]),
        criterion=found["criterion"],
        seeds=tuple(found["seeds"]),
        trials=found["trials"],
        rows=dict(found["rows"]),
        records=tuple(_record(one) for one in found["methods"]),
        estimates=tuple(estimate_of(one) for one in (*found["estimates"], *found["summaries"])),
        changes=tuple(change_of(one) for one in found["changes"]),
        winner=None if winner is None else _winner(winner),
        left_out=dict(found["left_out"]),
        notes=tuple(found["notes"]),
        level=found["level"],
        settings=found["settings"],
        hashes=found["hashes"],
    )


def primary_of(found: Mapping[str, Any]) -> Primary:
    """What was declared, of its JSON values."""
    return Primary(found["metric"], found["class"], tuple(found["across"]), found["quantity"], tuple(found["ignore"]))


def _winner(found: Mapping[str, Any]) -> Winner:
    texts = {key: found[key] or "" for key in ("weights", "sha256", "reason")}
    return Winner(found["method"], found["seed"], found["val"], **texts)


def _record(found: Mapping[str, Any]) -> MethodRecord:
    lists: dict[str, Any] = {key: tuple(found[key]) for key in ("methods", "acts_on", "needs", "seeds", "val", "notes")}
    same = ("name", "scope", "source", "parameters", "status", "seconds", "shifts_prior", "images_seen", "rows_seen")
    return MethodRecord(
        **{key: found[key] for key in (*same, "chosen", "chosen_by_average", "chosen_by_test")},
        **lists,
        reason=found["reason"] or "",
        trials=tuple(_trial(trial) for trial in found["trials"]),
        # files of earlier versions lack these
        uses_adjust=found.get("uses_adjust", False),
        tuned=tuple(found.get("tuned", ())),
        images_total=found.get("images_total", 0),
        rows_total=found.get("rows_total", 0),
    )


def _trial(found: Mapping[str, Any]) -> Trial:
    return Trial(found["parameters"], found["val"], found["average"], found["test"], found["failed"] or "")


def slice_of(key: Mapping[str, str]) -> Slice:
    """The slice of its key, level by attribute."""
    return Slice(tuple(key), tuple(key.values()))


def value_of(found: Mapping[str, Any]) -> float | Undefined:
    """The value, or why there is none."""
    if found["undefined"] is not None:
        return Undefined(found["undefined"], found["reason"])
    return float(found["value"])


def side_of(found: Mapping[str, Any], name: str) -> float | Undefined:
    """The value of that name, or why there is none."""
    kind = found[f"{name}_undefined"]
    return Undefined(kind, found[f"{name}_reason"]) if kind is not None else float(found[name])


def interval_of(found: Mapping[str, Any]) -> Interval | None:
    """The interval; None where there are no bounds."""
    if found["low"] is None:
        return None
    return Interval(found["low"], found["high"], found["level"], found["interval_method"])


def estimate_of(found: Mapping[str, Any]) -> MethodEstimate:
    """An estimate of its JSON values."""
    same = ("method", "seed", "quantity", "metric", "n", "support", "subjects", "recalibrated", "selected")
    return MethodEstimate(
        **{key: found[key] for key in same},
        class_name=found["class"],
        slice=slice_of(found["slice"]),
        value=value_of(found),
        interval=interval_of(found),
    )


def change_of(found: Mapping[str, Any]) -> MethodChange:
    """A change of its JSON values."""
    same = ("method", "quantity", "metric", "p_value", "p_adjusted", "verdict", "levelling_down")
    more = ("seed_error", "test_error", "recalibrated", "selected")
    return MethodChange(
        **{key: found[key] for key in (*same, *more)},
        class_name=found["class"],
        slice=slice_of(found["slice"]),
        value=value_of(found),
        interval=interval_of(found),
        before=side_of(found, "before"),
        after=side_of(found, "after"),
    )
