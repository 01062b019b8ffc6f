"""The result of an audit: typed facts, no formatting, no IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.comparison import Comparison
from imgid_audit.core.fit import Fit
from imgid_audit.core.predictions import Costs, OperatingPoint
from imgid_audit.core.slices import Slice
from imgid_audit.core.task import Task
from imgid_audit.core.values import Interval as Interval
from imgid_audit.core.values import Undefined as Undefined
from imgid_audit.core.values import UndefinedKind as UndefinedKind

GapKind = Literal["difference", "ratio"]
Against = Literal["best", "overall", "reference"]
VerdictStatus = Literal["pass", "fail", "inconclusive", "not_evaluated"]
FindingStatus = Literal["finding", "inconclusive", "passed", "not_applicable", "skipped"]
Severity = Literal["info", "low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A metric's value on one slice.

    - `class_name`: the positive class, a one-vs-rest class, or None (macro mean, or a metric that
      has no class)
    - `interval`: None exactly where `value` is `Undefined`
    - `n`: rows of the slice; `support`: rows that the metric's denominator counts (positives for
      recall, negatives for specificity, the rarer outcome's rows for auroc, ...)
    - `subjects`: subjects among the supporting rows; None where rows are independent
    - `n` and `support` are None only where the value is ``suppressed`` (see `Privacy`)
    """

    metric: str
    class_name: str | None
    slice: Slice
    value: float | Undefined
    interval: Interval | None
    n: int | None
    support: int | None
    subjects: int | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """What max - min would show were all groups equal, at their sizes: its mean and its quantile at `level`."""

    mean: float
    upper: float
    level: float
    method: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Disparity of a metric over the levels of a breakdown where it is defined.

    `value` is max - min (``difference``) or min / max (``ratio``); `interval` is simultaneous over
    all compared pairs; `best` and `worst` are in the metric's own direction (in the plain order,
    high is best, for metrics without one); `p_value` tests that all levels are equal and
    `p_adjusted` is Holm-adjusted over the audit. `envelope` stands beside differences alone.
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
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Contrast:
    """One slice of an attribute against another: the best, all rows together, or a named reference.

    `value` is slice - reference (``difference``) or slice / reference (``ratio``); `interval` is
    simultaneous over the attribute's contrasts of that kind.
    """

    metric: str
    class_name: str | None
    attribute: str
    slice: Slice
    against: Against
    reference: Slice
    kind: GapKind
    value: float | Undefined
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class WaiverState:
    """A rule's waiver, and whether it held (`active`) on the day on which the rule was judged."""

    until: date
    by: str
    why: str
    active: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """A rule's answer. `low` and `high` are the very bounds that decided.

    `subjects_needed` says how many more subjects (images, where there are no subjects) each
    limiting slice would need for four studies in five to settle an inconclusive rule, and
    `subjects_needed_range` what one standard error of the observed rates makes of it (None as an
    upper end: no realistic number).
    `worst` is the slice that decided or comes nearest to breaking the rule. A `waiver` leaves all of
    this as it is. `method` says how the bounds were made; None where there are none.
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
    waiver: WaiverState | None = None
    method: str | None = None
    subjects_needed_range: Mapping[str, tuple[int, int | None]] | None = None

    @property
    def waived(self) -> bool:
        """Whether the rule is not met and does not count, because its waiver holds."""
        return self.status != "pass" and self.waiver is not None and self.waiver.active


@dataclass(frozen=True, slots=True)
class Finding:
    """Outcome of one registered check; one that did not run is listed with why.

    ``inconclusive``: it ran and found nothing, and the data cannot tell whether there is nothing. It changes no
    verdict and no exit code.
    """

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


@dataclass(frozen=True, slots=True)
class AtThreshold:
    """A slice at the deployed threshold of a binary task.

    `sensitivity_at` and `specificity_at` are what they would be at the low and at the high end of the
    threshold's interval; None where it has no interval, or the slice no rows that count.
    """

    sensitivity: Estimate
    specificity: Estimate
    sensitivity_at: tuple[float, float] | None
    specificity_at: tuple[float, float] | None

    @property
    def slice(self) -> Slice:
        return self.sensitivity.slice


@dataclass(frozen=True, slots=True)
class Recalibration:
    """How scores were recalibrated before anything was decided, and what that did to calibration.

    `method` is ``temperature``: softmax of log scores over `temperature` (> 0; above 1 makes them softer), fitted on
    the `n` predicted rows of `source`. `before` and `after` are of the evaluated rows, over all of them
    and each attribute's levels.
    """

    method: str
    temperature: float
    source: str
    n: int
    before: tuple[Estimate, ...] = ()
    after: tuple[Estimate, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """What `evaluate` computes from decisions. `confusion[t, p]` counts the total's rows.

    `beside`: estimates of metrics that were not asked for and stand beside one that was, over all
    rows and each attribute; they have no gaps.
    """

    task: Task
    estimates: tuple[Estimate, ...]
    gaps: tuple[Gap, ...]
    verdicts: tuple[Verdict, ...]
    confusion: NDArray[np.int64]
    reliability: tuple[ReliabilityCurve, ...]
    operating_point: OperatingPoint | None
    contrasts: tuple[Contrast, ...] = ()
    at_threshold: tuple[AtThreshold, ...] = ()
    costs: Costs | None = None
    calibration: Recalibration | None = None
    beside: tuple[Estimate, ...] = ()


@dataclass(frozen=True, slots=True)
class Privacy:
    """What the publishable files hide, so that no cell of 1 to `min_cell` - 1 rows can be read or computed.

    - `suppressed`: names of the hidden breakdowns: an attribute, an intersection's joined by ``*``,
      '' for all rows together
    - `rules`: ids of the rules over a hidden breakdown, and of those that compare with an earlier run
    - `curves`: names of the breakdowns whose reliability curves are hidden
    - `confusion`: whether the confusion matrix of all rows is hidden
    - `applied`: whether the result that carries this has been stripped of all that
    """

    min_cell: int
    suppressed: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    curves: tuple[str, ...] = ()
    confusion: bool = False
    applied: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class AuditResult:
    """The whole audit: what ``audit.json`` says, in types.

    `provenance` (versions and hashes) and `settings` (the config as run) are plain JSON values;
    `run` holds time and place, the only part that may differ between identical runs. `privacy` says
    what must be hidden before anything is published; None: nothing. `comparison` of mitigations is in
    ``comparison.json``, not in ``audit.json``; None where none was made. `fit`, how it was trained, is in
    ``fit.json``; None where nothing was trained.
    """

    name: str
    data: DataAccount
    evaluation: Evaluation
    findings: tuple[Finding, ...]
    notes: tuple[str, ...]
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    run: Mapping[str, Any]
    privacy: Privacy | None = None
    comparison: Comparison | None = None
    fit: Fit | None = None
