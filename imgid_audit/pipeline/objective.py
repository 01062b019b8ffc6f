"""What a search makes best: a quantity of the val rows, decided as the config decides."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from imgid_audit.comparison import ComparisonSpec, primary_left_out, primary_or_why
from imgid_audit.config import Config
from imgid_audit.core.comparison import Primary
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.task import Task
from imgid_audit.core.values import Undefined
from imgid_audit.evaluation import decide
from imgid_audit.metrics import METRICS

SELECTED = {
    "average": "accuracy",
    "worst_class": "recall of the worst class",
    "worst_group": "accuracy of the worst group",
}


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """The quantity: `spec` computes it; `higher`: whether more of it is better; `words` for people."""

    spec: ComparisonSpec
    higher: bool
    words: str

    def of(self, decisions: Decisions) -> float | Undefined:
        return primary_or_why(decisions, self.spec)

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
        quantity = {"average": "overall", "worst_class": "worst_class", "worst_group": "worst_group"}[select]
        metric = "recall" if select == "worst_class" else "accuracy"
        primary = Primary(metric, None, across, quantity)  # type: ignore[arg-type]
        words = SELECTED[select]
    else:
        class_name = asked.class_name if asked.class_name != "macro" else None
        if class_name is None and METRICS[asked.metric].per_class:
            class_name = task.positive
        worst = "gap" if asked.of == "gap" else "worst_group"
        primary = Primary(asked.metric, class_name, asked.across, worst if asked.across else "overall", asked.ignore)
        words = _words(primary)
    spec = ComparisonSpec(
        primary, (primary.metric,), replace(config.interval_spec(), draws=0), config.policy.min_support
    )
    higher = primary.quantity != "gap" and METRICS[primary.metric].better != "lower"
    return Objective(spec, higher, f"{words} on val")


def _words(primary: Primary) -> str:
    of = f" of {primary.class_name}" if primary.class_name else ""
    what = {"gap": "gap of ", "worst_group": "worst "}.get(primary.quantity, "")
    across = f" across {' x '.join(primary.across)}" if primary.across else ""
    return f"{what}{primary.metric}{of}{across}"


def ideal_decisions(task: Task, manifest: Manifest, split: str) -> Decisions:
    """A split's rows, each decided right with certainty: what is undefined of these is undefined of any network."""
    labels = manifest.label.codes
    scores = np.full((len(manifest), len(task.labels)), 0.0)
    known = labels >= 0
    scores[known, labels[known]] = 1.0
    status = np.where(manifest.status == Status.EXCLUDED, int(Status.EXCLUDED), int(Status.PREDICTED)).astype(np.int8)
    return decide(task, manifest, Predictions(scores, None, status, manifest.reason), split=split)
