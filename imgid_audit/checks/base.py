"""What a check is: a stable code, what it reads, and an outcome that is never silence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from imgid_audit.core.factor import Texts
from imgid_audit.core.fit import Fit
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Evaluation, Finding, FindingStatus, Severity
from imgid_audit.core.task import Task

Tells = Literal["nothing", "labels", "attributes", "slices", "pairs"]
"""Nothing of groups; of each label; of each level; of every breakdown; of attributes that nobody asked to cross."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckContext:
    """All that checks may read; what is None was not there, and checks that need it say so.

    `image_sha256` (n,) aligns with the manifest: hex digests, None where a file was not read.
    `min_support` is the policy's. `fit` is how the audited network was trained here, `settings` the config that
    it was trained with, as plain values, and `given` the config as it was written: a search may have chosen others.
    """

    task: Task
    manifest: Manifest
    decisions: Decisions | None = None
    evaluation: Evaluation | None = None
    image_sha256: Texts | None = None
    intervals: IntervalSpec = field(default_factory=IntervalSpec)
    min_support: int = 10
    fit: Fit | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check says: one of the five statuses, why in a sentence, and the numbers behind it."""

    status: FindingStatus
    reason: str
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Check:
    """A registered check. `name` is its code, stable for ever; `run` is pure.

    - `severity` is that of a finding; outcomes that are none are ``info``
    - `tells`: the finest counts of rows that its reason and evidence give away, so that they are not
      published where those are hidden; the default is the careful one
    """

    name: str
    title: str
    summary: str
    severity: Severity
    Params: type[BaseModel]
    run: Callable[[CheckContext, Any], Outcome]
    tells: Tells = "pairs"

    @property
    def anchor(self) -> str:
        """Where the documentation of checks speaks of it: ``d001-missing-metadata``."""
        return f"{self.name}-{self.title}".lower().replace(" ", "-")

    def finding(self, outcome: Outcome) -> Finding:
        """The outcome as the audit's result keeps it."""
        severity: Severity = self.severity if outcome.status == "finding" else "info"
        return Finding(self.name, self.title, outcome.status, severity, outcome.reason, outcome.evidence)


def passed(reason: str, **evidence: Any) -> Outcome:
    """The check ran and found nothing."""
    return Outcome("passed", reason, evidence)


def inconclusive(reason: str, **evidence: Any) -> Outcome:
    """The check ran, found nothing, and the data cannot tell that there is nothing."""
    return Outcome("inconclusive", reason, evidence)


def found(reason: str, **evidence: Any) -> Outcome:
    """The check ran and found something that a reader must know."""
    return Outcome("finding", reason, evidence)


def not_applicable(reason: str) -> Outcome:
    """The question makes no sense here, and why."""
    return Outcome("not_applicable", reason)


def skipped(reason: str) -> Outcome:
    """The question makes sense but what answers it is not here, and why."""
    return Outcome("skipped", reason)


def percent(share: float) -> str:
    """A share in [0, 1] for a sentence: 0 % and 100 % only where exact."""
    for digits in range(1, 12):
        text = f"{100 * share:.{digits}f}"
        if (float(text) > 0 or share <= 0) and (float(text) < 100 or share >= 1):
            return f"{text} %"
    return f"{100 * share!r} %"


def listed(parts: list[str], most: int = 5) -> str:
    """The first `most` parts for a sentence, and how many there are besides."""
    more = len(parts) - most
    return "; ".join(parts[:most]) + (f"; and {more} more" if more > 0 else "")
