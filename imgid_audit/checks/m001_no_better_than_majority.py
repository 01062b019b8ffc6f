"""M001: groups in which the model is not shown to beat always answering the group's commonest label."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import (
    Check,
    CheckContext,
    Outcome,
    found,
    listed,
    not_applicable,
    passed,
    percent,
    skipped,
)
from imgid_audit.core.factor import tally
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Interval
from imgid_audit.core.slices import Slice
from imgid_audit.io.settings import Settings


class Params(Settings):
    """Which slices are judged; the interval and its level are the audit's own."""

    min_rows: int | None = Field(None, ge=1, description="rows that a slice needs; default: policy.min_support")


def run(context: CheckContext, params: Params) -> Outcome:
    """Compares each slice's accuracy interval with the share of its commonest label.

    A slice is named where its lower bound does not exceed that share; slices under `min_rows` are
    counted apart, for they could show nothing.
    """
    if context.decisions is None or context.evaluation is None:
        return skipped("nothing is evaluated yet")
    if not len(context.decisions):
        return not_applicable("no row is evaluated")
    estimates = [e for e in context.evaluation.estimates if e.metric == "accuracy"]
    if not estimates:
        return skipped("accuracy is not among the metrics")
    least = params.min_rows or context.min_support
    rows: list[dict[str, Any]] = []
    told: list[str] = []
    small = 0
    for estimate in estimates:
        if not isinstance(estimate.value, float) or estimate.interval is None:
            continue
        if (estimate.n or 0) < least:
            small += 1
            continue
        share, label = _majority(context.decisions, estimate.slice)
        if estimate.interval.low <= share:
            rows.append(_row(estimate, estimate.interval, share, label))
            told.append(
                f"{estimate.slice} (accuracy {percent(estimate.value)}, from {percent(estimate.interval.low)}; "
                f"{label} alone is {percent(share)})"
            )
    evidence = {"slices": rows, "too_small": small}
    apart = f"; {small} {'slices are' if small > 1 else 'slice is'} too small to tell" if small else ""
    if told:
        reason = f"accuracy is not shown to beat the commonest label: {listed(told)}{apart}"
        return found(reason, **evidence)
    return passed(f"accuracy beats the commonest label in every slice that is large enough{apart}", **evidence)


def _majority(decisions: Decisions, where: Slice) -> tuple[float, str]:
    """Share in [0, 1] and name of the commonest label of a slice that has rows."""
    inside = np.ones(len(decisions), dtype=bool)
    for name, level in where.key.items():
        factor = decisions.attribute(name)
        inside &= factor.codes == factor.levels.index(level)
    count = None if decisions.count is None else decisions.count[inside]
    counts = tally(decisions.label[inside], len(decisions.task.labels), count)
    return float(counts.max() / counts.sum()), decisions.task.labels[int(counts.argmax())]


def _row(estimate: Estimate, interval: Interval, share: float, label: str) -> dict[str, Any]:
    return {
        "slice": estimate.slice.key,
        "accuracy": estimate.value,
        "low": interval.low,
        "high": interval.high,
        "majority_share": share,
        "majority_label": label,
        "n": estimate.n,
    }


CHECK = Check(
    name="M001",
    title="No better than the commonest label",
    summary="accuracy of each slice against the share of its commonest label",
    severity="medium",
    Params=Params,
    run=run,
    tells="slices",
)
