"""audit.json: an audit's result as JSON, and back. The schema is ``audit.schema.json`` beside this file.

Keys stand in a fixed order, and the order of levels, labels and rows is the result's own; plain
values (settings, provenance, evidence, run) have their keys sorted. Floats have the digits that give
the same float back. There is no NaN and no infinity: what has no value is null beside its reason.

Format version 1: the first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import numpy as np

from imgid_audit.core.predictions import Costs
from imgid_audit.core.result import (
    AtThreshold,
    AuditResult,
    Contrast,
    DataAccount,
    Estimate,
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

FORMAT_VERSION = 1


def encode(result: AuditResult) -> bytes:
    """The result as UTF-8 JSON with a line feed at the end. Raises ValueError for a NaN or an infinity."""
    text = json.dumps(document(result), indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode("utf-8", "replace")


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of audit.json."""
    text = files("imgid_audit.export").joinpath("audit.schema.json").read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def document(result: AuditResult) -> dict[str, Any]:
    """The result as JSON values."""
    evaluation = result.evaluation
    task, point = evaluation.task, evaluation.operating_point
    return {
        "format_version": FORMAT_VERSION,
        "name": result.name,
        "notes": list(result.notes),
        "task": {"type": task.kind, "labels": list(task.labels), "positive": task.positive},
        "data": _data(result.data),
        "estimates": [_estimate(e) for e in evaluation.estimates],
        "gaps": [_gap(g) for g in evaluation.gaps],
        "contrasts": [_contrast(c) for c in evaluation.contrasts],
        "verdicts": [verdict_values(v) for v in evaluation.verdicts],
        "findings": [_finding(f) for f in result.findings],
        "operating_point": None if point is None else asdict(point),
        "at_threshold": [_at_threshold(a) for a in evaluation.at_threshold],
        "costs": None if evaluation.costs is None else _costs(evaluation.costs, task),
        "beside": [_estimate(e) for e in evaluation.beside],
        "calibration": None if evaluation.calibration is None else _recalibration(evaluation.calibration),
        "confusion": evaluation.confusion.tolist(),
        "reliability": [_curve(c) for c in evaluation.reliability],
        "settings": plain(result.settings),
        "provenance": plain(result.provenance),
        "run": plain(result.run),
        "privacy": None if result.privacy is None else _privacy(result.privacy),
    }


def _recalibration(found: Recalibration) -> dict[str, Any]:
    return {
        "method": found.method,
        "temperature": float(found.temperature),
        "source": found.source,
        "n": found.n,
        "before": [_estimate(e) for e in found.before],
        "after": [_estimate(e) for e in found.after],
    }


def _privacy(hiding: Privacy) -> dict[str, Any]:
    return {
        "min_cell": hiding.min_cell,
        "suppressed": list(hiding.suppressed),
        "rules": list(hiding.rules),
        "curves": list(hiding.curves),
        "confusion": hiding.confusion,
    }


def plain(value: Any) -> Any:
    """A value as JSON can hold it, keys sorted; NumPy numbers as Python's, other objects as their text."""
    if isinstance(value, Mapping):
        return {str(key): plain(value[key]) for key in sorted(value, key=str)}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return [plain(item) for item in sorted(value, key=str)]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _number(value: float | None) -> float | None:
    return None if value is None else float(value)


def _data(data: DataAccount) -> dict[str, Any]:
    return {
        "rows": data.rows,
        "predicted": data.predicted,
        "failed": data.failed,
        "excluded": data.excluded,
        "subjects": data.subjects,
        "splits": dict(data.splits),
        "attributes": {attribute: dict(levels) for attribute, levels in data.attributes.items()},
        "labels": dict(data.labels),
        "reasons": dict(data.reasons),
    }


def _value(value: float | Undefined) -> dict[str, Any]:
    """Exactly one of `value` and `undefined` is null."""
    if isinstance(value, Undefined):
        return {"value": None, "undefined": value.kind, "reason": value.reason}
    return {"value": float(value), "undefined": None, "reason": None}


def _interval(interval: Interval | None) -> dict[str, Any]:
    if interval is None:
        return {"low": None, "high": None, "level": None, "method": None}
    low, high = float(interval.low), float(interval.high)
    return {"low": low, "high": high, "level": float(interval.level), "method": interval.method}


def _slice(of: Slice | None) -> dict[str, str] | None:
    return None if of is None else of.key


def _estimate(e: Estimate) -> dict[str, Any]:
    return {
        "metric": e.metric,
        "class": e.class_name,
        "slice": _slice(e.slice),
        **_value(e.value),
        **_interval(e.interval),
        "n": None if e.n is None else int(e.n),
        "support": None if e.support is None else int(e.support),
        "subjects": None if e.subjects is None else int(e.subjects),
    }


def _at_threshold(a: AtThreshold) -> dict[str, Any]:
    return {
        "slice": _slice(a.slice),
        "sensitivity": _estimate(a.sensitivity),
        "specificity": _estimate(a.specificity),
        "sensitivity_at": None if a.sensitivity_at is None else list(a.sensitivity_at),
        "specificity_at": None if a.specificity_at is None else list(a.specificity_at),
    }


def _costs(costs: Costs, task: Task) -> dict[str, Any]:
    table = {true: dict(zip(task.labels, row, strict=True)) for true, row in zip(task.labels, costs.table, strict=True)}
    return {"table": table, "threshold": costs.threshold(task)}


def _gap(g: Gap) -> dict[str, Any]:
    return {
        "metric": g.metric,
        "class": g.class_name,
        "attribute": g.attribute,
        "kind": g.kind,
        **_value(g.value),
        **_interval(g.interval),
        "best": _slice(g.best),
        "worst": _slice(g.worst),
        "p_value": _number(g.p_value),
        "p_adjusted": _number(g.p_adjusted),
        "envelope": None if g.envelope is None else asdict(g.envelope),
    }


def _contrast(c: Contrast) -> dict[str, Any]:
    found = {
        "metric": c.metric,
        "class": c.class_name,
        "attribute": c.attribute,
        "slice": _slice(c.slice),
        "against": c.against,
        "reference": _slice(c.reference),
        "kind": c.kind,
        **_value(c.value),
        **_interval(c.interval),
    }
    # a ratio whose denominator may be 0 has no upper limit
    return {**found, "high": None} if found["high"] == math.inf else found


def verdict_values(v: Verdict) -> dict[str, Any]:
    """A verdict as JSON values, as audit.json has it."""
    needed, ranges = v.subjects_needed, v.subjects_needed_range
    return {
        "rule": v.rule,
        "status": v.status,
        "reason": v.reason,
        "observed": _number(v.observed),
        "low": _number(v.low),
        "high": _number(v.high),
        "tolerance": float(v.tolerance),
        "worst": _slice(v.worst),
        "subjects_needed": None if needed is None else {level: int(n) for level, n in needed.items()},
        "subjects_needed_range": None if ranges is None else {level: list(ends) for level, ends in ranges.items()},
        "waiver": _waiver(v.waiver),
        "method": v.method,
    }


def _waiver(w: WaiverState | None) -> dict[str, Any] | None:
    return None if w is None else {"until": w.until.isoformat(), "by": w.by, "why": w.why, "active": w.active}


def _finding(f: Finding) -> dict[str, Any]:
    """Readers know four statuses: of those, a check that cannot tell is nearest to one that was skipped."""
    inconclusive = f.status == "inconclusive"
    return {
        "code": f.code,
        "title": f.title,
        "status": "skipped" if inconclusive else f.status,
        "severity": f.severity,
        "reason": f.reason,
        "evidence": plain(f.evidence),
        "inconclusive": inconclusive,
    }


def _curve(curve: ReliabilityCurve) -> dict[str, Any]:
    return {
        "slice": _slice(curve.slice),
        "edges": curve.edges.tolist(),
        "count": curve.count.tolist(),
        "mean_score": _defined(curve.mean_score),
        "frequency": _defined(curve.frequency),
    }


def _defined(means: np.ndarray[Any, np.dtype[np.float64]]) -> list[float | None]:
    """Means of bins; null for a bin without rows."""
    return [None if np.isnan(mean) else mean for mean in means.tolist()]
