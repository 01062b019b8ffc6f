"""Reads audit.json back into the types that it was written from."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.predictions import Costs, OperatingPoint
from imgid_audit.core.result import (
    AtThreshold,
    AuditResult,
    Contrast,
    DataAccount,
    Envelope,
    Estimate,
    Evaluation,
    Finding,
    Gap,
    Interval,
    Privacy,
    Recalibration,
    ReliabilityCurve,
    Undefined,
    Verdict,
    WaiverState,
)
from imgid_audit.core.slices import Slice
from imgid_audit.core.task import Task
from imgid_audit.export.audit_json import FORMAT_VERSION


def read_audit(path: Path) -> AuditResult:
    """The result of a run's audit.json. Raises InputError where the file is not one that this version reads."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            Problem(str(path), f"is not JSON ({error}); evaluate the run again to write it anew")
        ) from error
    version = found.get("format_version") if isinstance(found, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(
            Problem(
                str(path),
                f"has format_version {version!r}, this version reads {FORMAT_VERSION}; evaluate the run again",
            )
        )
    try:
        return decode(found)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        message = f"is not a whole audit.json ({type(error).__name__}: {error}); evaluate the run again"
        raise InputError(Problem(str(path), message)) from error


def decode(found: Mapping[str, Any]) -> AuditResult:
    """The result that a document was made of; KeyError, TypeError or ValueError where it is not one."""
    task = found["task"]
    point = found["operating_point"]
    evaluation = Evaluation(
        task=Task(task["type"], tuple(task["labels"]), task["positive"]),
        estimates=tuple(_estimate(e) for e in found["estimates"]),
        gaps=tuple(_gap(g) for g in found["gaps"]),
        verdicts=tuple(_verdict(v) for v in found["verdicts"]),
        confusion=np.asarray(found["confusion"], dtype=np.int64),
        reliability=tuple(_curve(c) for c in found["reliability"]),
        operating_point=None if point is None else OperatingPoint(**point),
        contrasts=tuple(_contrast(c) for c in found.get("contrasts", ())),
        at_threshold=tuple(_at_threshold(a) for a in found.get("at_threshold", ())),
        costs=_costs(found.get("costs"), task["labels"]),
        calibration=_recalibration(found.get("calibration")),
        beside=tuple(_estimate(e) for e in found.get("beside", ())),
    )
    return AuditResult(
        name=found["name"],
        data=DataAccount(**found["data"]),
        evaluation=evaluation,
        findings=tuple(_finding(f) for f in found["findings"]),
        notes=tuple(found["notes"]),
        settings=found["settings"],
        provenance=found["provenance"],
        run=found["run"],
        privacy=_privacy(found.get("privacy")),
    )


def _finding(found: Mapping[str, Any]) -> Finding:
    given = dict(found)
    if given.pop("inconclusive", False):
        given["status"] = "inconclusive"
    return Finding(**given)


def _recalibration(found: Mapping[str, Any] | None) -> Recalibration | None:
    if found is None:
        return None
    before, after = (tuple(_estimate(e) for e in found[name]) for name in ("before", "after"))
    return Recalibration(found["method"], found["temperature"], found["source"], found["n"], before, after)


def _privacy(found: Mapping[str, Any] | None) -> Privacy | None:
    if found is None:
        return None
    names = {name: tuple(found[name]) for name in ("suppressed", "rules", "curves")}
    return Privacy(found["min_cell"], **names, confusion=found["confusion"])


def _slice(key: Mapping[str, str]) -> Slice:
    return Slice(tuple(key), tuple(key.values()))


def _slice_or_none(key: Mapping[str, str] | None) -> Slice | None:
    return None if key is None else _slice(key)


def _value(found: Mapping[str, Any]) -> float | Undefined:
    if found["undefined"] is not None:
        return Undefined(found["undefined"], found["reason"])
    return float(found["value"])


def _interval(found: Mapping[str, Any]) -> Interval | None:
    if found["low"] is None:
        return None
    return Interval(found["low"], found["high"], found["level"], found["method"])


def _estimate(found: Mapping[str, Any]) -> Estimate:
    return Estimate(
        metric=found["metric"],
        class_name=found["class"],
        slice=_slice(found["slice"]),
        value=_value(found),
        interval=_interval(found),
        n=found["n"],
        support=found["support"],
        subjects=found["subjects"],
    )


def _at_threshold(found: Mapping[str, Any]) -> AtThreshold:
    ends = (found["sensitivity_at"], found["specificity_at"])
    caught, cleared = (None if pair is None else (float(pair[0]), float(pair[1])) for pair in ends)
    return AtThreshold(_estimate(found["sensitivity"]), _estimate(found["specificity"]), caught, cleared)


def _costs(found: Mapping[str, Any] | None, labels: Sequence[str]) -> Costs | None:
    if found is None:
        return None
    return Costs(tuple(tuple(float(found["table"][true][said]) for said in labels) for true in labels))


def _gap(found: Mapping[str, Any]) -> Gap:
    return Gap(
        metric=found["metric"],
        class_name=found["class"],
        attribute=found["attribute"],
        kind=found["kind"],
        value=_value(found),
        interval=_interval(found),
        best=_slice_or_none(found["best"]),
        worst=_slice_or_none(found["worst"]),
        p_value=found["p_value"],
        p_adjusted=found["p_adjusted"],
        envelope=None if found.get("envelope") is None else Envelope(**found["envelope"]),
    )


def _contrast(found: Mapping[str, Any]) -> Contrast:
    unlimited = found["low"] is not None and found["high"] is None
    return Contrast(
        metric=found["metric"],
        class_name=found["class"],
        attribute=found["attribute"],
        slice=_slice(found["slice"]),
        against=found["against"],
        reference=_slice(found["reference"]),
        kind=found["kind"],
        value=_value(found),
        interval=_interval({**found, "high": inf} if unlimited else found),
    )


def _verdict(found: Mapping[str, Any]) -> Verdict:
    ranges = found.get("subjects_needed_range")
    return Verdict(
        **{
            **found,
            "worst": _slice_or_none(found["worst"]),
            "waiver": _waiver(found.get("waiver")),
            "subjects_needed_range": None if ranges is None else {k: (low, high) for k, (low, high) in ranges.items()},
        }
    )


def _waiver(found: Mapping[str, Any] | None) -> WaiverState | None:
    if found is None:
        return None
    return WaiverState(date.fromisoformat(found["until"]), found["by"], found["why"], found["active"])


def _curve(found: Mapping[str, Any]) -> ReliabilityCurve:
    return ReliabilityCurve(
        slice=_slice(found["slice"]),
        edges=np.asarray(found["edges"], dtype=np.float64),
        count=np.asarray(found["count"], dtype=np.int64),
        mean_score=np.asarray(found["mean_score"], dtype=np.float64),
        frequency=np.asarray(found["frequency"], dtype=np.float64),
    )
