"""The result of an audit: typed facts, no formatting, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.predictions import OperatingPoint
from imgid_audit.core.slices import Slice
from imgid_audit.core.task import Task

UndefinedKind = Literal["empty", "below_minimum", "not_applicable", "suppressed"]
GapKind = Literal["difference", "ratio"]
VerdictStatus = Literal["pass", "fail", "inconclusive", "not_evaluated"]
FindingStatus = Literal["finding", "passed", "not_applicable", "skipped"]
Severity = Literal["info", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Undefined:
    """A quantity that has no value, and why. Never 0, never 1, never NaN."""

    kind: UndefinedKind
    reason: str


@dataclass(frozen=True, slots=True)
class Interval:
    """Two-sided confidence interval; `level` and `method` are of this very interval."""

    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on one slice.

    - `class_name`: the positive class, a one-vs-rest class, or None (macro mean, or a metric that
      has no class)
    - `interval`: None exactly where `value` is `Undefined`
    - `n`: rows of the slice; `support`: rows that the metric's denominator counts (positives for
      recall, negatives for specificity, the rarer outcome's rows for auroc, ...)
    - `subjects`: subjects among the supporting rows; None where rows are independent
    """

    metric: str
    class_name: str | None
    slice: Slice
    value: float | Undefined
    interval: Interval | None
    n: int
    support: int
    subjects: int | None


@dataclass(frozen=True, slots=True)
class Gap:
    """Disparity of a metric over the levels of a breakdown where it is defined.

    `value` is max - min (``difference``) or min / max (``ratio``); `interval` is simultaneous over
    all compared pairs; `best` and `worst` are in the metric's own direction (in the plain order,
    high is best, for metrics without one); `p_value` tests that all levels are equal and
    `p_adjusted` is Holm-adjusted over the audit.
    """

    metric: str
    class_name: str | None
    attribute: str
    kind: GapKind
    value: float | Undefined
    interval: Interval | None
    best: Slice | None
    worst: Slice | None
    p_value: float | None
    p_adjusted: float | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer. `low` and `high` are the very bounds that decided.

    `subjects_needed` says how many more subjects (images, where there are no subjects) each
    limiting slice would need to settle an inconclusive rule if the observed rates stay.
    `worst` is the slice that decided or comes nearest to breaking the rule.
    """

    rule: str
    status: VerdictStatus
    reason: str
    observed: float | None
    low: float | None
    high: float | None
    tolerance: float
    worst: Slice | None
    subjects_needed: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one registered check; a check that did not run is listed with why."""

    code: str
    title: str
    status: FindingStatus
    severity: Severity
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DataAccount:
    """Where every manifest row went. `predicted + failed + excluded == rows`.

    `splits` counts the rows of each split that are not excluded; `attributes` counts the evaluated rows of
    each level; `labels` the evaluated rows of each label; `reasons` the rows of each reason for
    failing or being excluded; `subjects` is over all rows, None without a subject column.
    """

    rows: int
    predicted: int
    failed: int
    excluded: int
    subjects: int | None
    splits: Mapping[str, int]
    attributes: Mapping[str, Mapping[str, int]]
    labels: Mapping[str, int]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, eq=False)
class ReliabilityCurve:
    """Calibration of one slice: per bin the count, mean score and observed frequency.

    Empty bins have count 0 and NaN in both means (they are never drawn). `edges` (bins + 1,).
    """

    slice: Slice
    edges: NDArray[np.float64]
    count: NDArray[np.int64]
    mean_score: NDArray[np.float64]
    frequency: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What `evaluate` computes from decisions. `confusion[t, p]` counts the total's rows."""

    task: Task
    estimates: tuple[Estimate, ...]
    gaps: tuple[Gap, ...]
    verdicts: tuple[Verdict, ...]
    confusion: NDArray[np.int64]
    reliability: tuple[ReliabilityCurve, ...]
    operating_point: OperatingPoint | None


@dataclass(frozen=True, slots=True, eq=False)
class AuditResult:
    """The whole audit: what ``audit.json`` says, in types.

    `provenance` (versions and hashes) and `settings` (the config as run) are plain JSON values;
    `run` holds time and place, the only part that may differ between identical runs.
    """

    name: str
    data: DataAccount
    evaluation: Evaluation
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    run: Mapping[str, Any]
