"""What a search makes best: a quantity of the val rows, decided as the config decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from imgid_audit.comparison import ComparisonSpec, primary_left_out, primary_or_why
from imgid_audit.config import Config
from imgid_audit.core.comparison import Primary, Quantity
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.task import Task
from imgid_audit.core.values import Undefined
from imgid_audit.evaluation import decide
from imgid_audit.metrics import METRICS
from imgid_audit.report.compared.wording import primary as in_words

SELECTED = {
    "average": "accuracy",
    "worst_class": "recall of the worst class",
    "worst_group": "accuracy of the worst group",
}

QUANTITIES: Mapping[str, Quantity] = {
    "average": "overall",
    "worst_class": "worst_class",
    "worst_group": "worst_group",
}
"""What `train.select` asks for, as comparisons name it."""

SHOWN = 5
"""Groups or classes that a refusal names before it counts the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The quantity: `spec` computes it; `higher`: whether more of it is better; `words` for people."""

    spec: ComparisonSpec
    higher: bool
    words: str

    def of(self, decisions: Decisions) -> float | Undefined:
        return primary_or_why(decisions, self.spec)

    def why_not(self, decisions: Decisions) -> str:
        """Why the quantity cannot be computed of these rows, whom it leaves out, and what to do; '' where it can."""
        value = self.of(decisions)
        if not isinstance(value, Undefined):
            return ""
        left = self.left_out(decisions)
        parts = [f"{name} ({why})" for name, why in left.items()]
        if len(parts) > SHOWN:
            parts = [*parts[:SHOWN], f"{len(parts) - SHOWN} more"]
        told = f". Left out: {'; '.join(parts)}" if parts else ""
        ways = ["split otherwise"]
        ways += ["leave out fewer levels"] if self.spec.primary.ignore else []
        ways += ["set a lower policy.min_support"] if any("policy.min_support" in why for why in left.values()) else []
        todo = ", ".join([*ways, "or search by another metric"])
        return f"{self.words} cannot be computed: {value.reason}{told}. To go on, {todo}"

    def left_out(self, decisions: Decisions) -> Mapping[str, str]:
        """Groups or classes that the worst and the gap leave out for having too few rows, and why."""
        return primary_left_out(decisions, self.spec)


def objective_of(config: Config, task: Task) -> Objective:
    """What `train.search.objective` names, else what `train.select` picks epochs by."""
    search = config.train.search
    asked = None if search is None else search.objective
    if asked is None:
        select = config.train.select
        across = config.train.groups if select == "worst_group" else ()
        metric = "recall" if select == "worst_class" else "accuracy"
        primary = Primary(metric, None, across, QUANTITIES[select])
        words = SELECTED[select]
    else:
        class_name = asked.class_name if asked.class_name != "macro" else None
        if class_name is None and METRICS[asked.metric].per_class:
            class_name = task.positive
        worst = "gap" if asked.of == "gap" else "worst_group"
        primary = Primary(asked.metric, class_name, asked.across, worst if asked.across else "overall", asked.ignore)
        words = in_words(primary)
    spec = ComparisonSpec(
        primary, (primary.metric,), replace(config.interval_spec(), draws=0), config.policy.min_support
    )
    higher = primary.quantity != "gap" and METRICS[primary.metric].better != "lower"
    return Objective(spec, higher, f"{words} on val")


def ideal_decisions(task: Task, manifest: Manifest, split: str) -> Decisions:
    """A split's rows, each decided right with certainty: what is undefined of these is undefined of any network."""
    labels = manifest.label.codes
    scores = np.full((len(manifest), len(task.labels)), 0.0)
    known = labels >= 0
    scores[known, labels[known]] = 1.0
    status = np.where(manifest.status == Status.EXCLUDED, int(Status.EXCLUDED), int(Status.PREDICTED)).astype(np.int8)
    return decide(task, manifest, Predictions(scores, None, status, manifest.reason), split=split)
