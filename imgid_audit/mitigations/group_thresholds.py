"""Group thresholds: each group gets thresholds of its own, so that rates become alike. Reads groups at inference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import Settings, problem_at
from imgid_audit.mitigations.base import Ask, Counts, Mitigation
from imgid_audit.vision.treatment import Scored, Treatment

WARNING = (
    "decides by group membership, which may be unlawful (disparate treatment, for example), and by chance "
    "between two thresholds: ask before you use it"
)


class GroupThresholdsParams(Settings):
    """Which rates become alike, and what is maximised meanwhile."""

    constraint: Literal[
        "equalized_odds",
        "demographic_parity",
        "true_positive_rate_parity",
        "true_negative_rate_parity",
        "false_positive_rate_parity",
        "false_negative_rate_parity",
    ] = "equalized_odds"
    objective: Literal[
        "balanced_accuracy_score", "accuracy_score", "selection_rate", "true_positive_rate", "true_negative_rate"
    ] = Field("balanced_accuracy_score", description="equalized_odds allows the first two alone")
    grid_size: int = Field(1000, ge=10, le=100_000, description="values of the rate that are tried")

    @model_validator(mode="after")
    def _objective_fits(self) -> GroupThresholdsParams:
        if self.constraint == "equalized_odds" and self.objective.endswith("_rate"):
            message = f"must be balanced_accuracy_score or accuracy_score for equalized_odds, got {self.objective!r}"
            raise problem_at(message, "objective")
        return self


def given_scores() -> Any:
    """What fairlearn takes for a fitted classifier: its rows are the scores themselves."""
    from sklearn.base import BaseEstimator

    class GivenScores(BaseEstimator):  # type: ignore[misc]
        def fit(self, _x: Any, _y: Any) -> GivenScores:
            return self

        def predict(self, x: NDArray[Any]) -> NDArray[Any]:
            return np.asarray(x, dtype=np.float64)[:, 0]

        def __sklearn_is_fitted__(self) -> bool:
            return True

    return GivenScores()


def build(params: GroupThresholdsParams, ask: Ask) -> Treatment:
    """Decisions by fairlearn's ThresholdOptimizer; `InputError` for a task that is not binary."""
    if not ask.binary:
        raise InputError("group_thresholds is for binary tasks: it finds thresholds of the positive class")
    positive = len(ask.labels) - 1 if ask.positive is None else ask.labels.index(ask.positive)

    def decide(fit: Scored, rows: Scored, seed: int) -> Codes:
        from fairlearn.postprocessing import ThresholdOptimizer

        known, to_decide = _groups(fit), _groups(rows)
        truth = (fit.labels == positive).astype(np.int64)
        _require_both_classes(known, truth, fit, ask, positive)
        _require_known(to_decide, known, rows)
        optimizer = ThresholdOptimizer(
            estimator=given_scores(), constraints=params.constraint, objective=params.objective,
            grid_size=params.grid_size, prefit=True, predict_method="predict",
        )  # fmt: skip
        optimizer.fit(fit.scores[:, [positive]], truth, sensitive_features=known)
        called = optimizer.predict(
            rows.scores[:, [positive]], sensitive_features=to_decide, random_state=np.random.RandomState(seed % 2**32)
        )
        return np.where(np.asarray(called).ravel() == 1, positive, 1 - positive).astype(np.int32)

    return Treatment(decide=decide)


def _groups(rows: Scored) -> Codes:
    if rows.groups is None:
        raise InputError("group_thresholds needs `train.groups`: the attributes that define a group")
    return rows.groups


def _named(code: int, rows: Scored) -> str:
    return repr(rows.group_names[code]) if code < len(rows.group_names) else f"number {code}"


def _require_both_classes(groups: Codes, truth: NDArray[np.int64], fit: Scored, ask: Ask, positive: int) -> None:
    """A group with one class alone has no rates to make alike."""
    rows = np.bincount(groups)
    hits = np.bincount(groups, weights=truth, minlength=len(rows))
    wrong = []
    for value, label in ((0, ask.labels[positive]), (1, ask.labels[1 - positive])):
        counts = hits if value == 0 else rows - hits
        wrong += [
            f"group_thresholds: no row that it is fitted on has group {_named(int(code), fit)} and label {label!r}"
            for code in np.flatnonzero((rows > 0) & (counts == 0))
        ]
    if wrong:
        raise InputError(f"{'; '.join(wrong)}: set aside more rows (`data.split.adjust`), or define larger groups")


def _require_known(groups: Codes, known: Codes, rows: Scored) -> None:
    """A group without thresholds would silently be called negative."""
    strange = np.setdiff1d(groups, known)
    if len(strange):
        names = ", ".join(_named(int(code), rows) for code in strange[:5])
        raise InputError(f"group_thresholds has no threshold for group {names}: no row that it is fitted on has it")


def unmet(_params: GroupThresholdsParams, _ask: Ask, counts: Counts) -> Sequence[str]:
    """Groups that training has and val does not."""
    if counts.adjust:
        return ()
    empty = [name for name, rows in counts.val_groups.items() if not rows and counts.groups.get(name)]
    return tuple(f"no val row of group {name!r}, whose thresholds are found there" for name in empty)


METHOD = Mitigation(
    name="group_thresholds",
    summary="thresholds of each group's own that make rates alike; reads groups at inference",
    source="ThresholdOptimizer of fairlearn; Hardt et al., Equality of Opportunity in Supervised Learning, NIPS 2016",
    Params=GroupThresholdsParams,
    build=build,
    acts_on=lambda _: ("decision",),
    needs=lambda _: frozenset({"class labels", "group labels in validation", "group labels at inference"}),
    excludes=("cost_matrix",),
    space={"objective": ("balanced_accuracy_score", "accuracy_score")},
    unmet=unmet,
    warning=WARNING,
)
