"""The bootstrap of means over classes: against a loop that resamples rows, and the replicates it could not use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import balanced_accuracy_score, f1_score

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, Forms, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate

Make = Callable[..., Decisions]
TASK = Task("multiclass", ("a", "b", "c"))


def total(decisions: Decisions, metric: str, mean: str = "bootstrap", draws: int = 4000) -> Estimate:
    spec = EvaluationSpec((metric,), (), IntervalSpec(draws=draws, forms=Forms(mean=mean)))
    return next(one for one in evaluate(decisions, spec).estimates if one.class_name is None)


def planted(subjects: int = 60, images: int = 5) -> Decisions:
    rng = np.random.default_rng(0)
    codes = np.repeat(np.arange(subjects, dtype=np.int32), images)
    label = rng.integers(0, 3, len(codes)).astype(np.int32)
    right = rng.random(len(codes)) < rng.beta(4, 1, subjects)[codes]
    predicted = np.where(right, label, (label + 1) % 3).astype(np.int32)
    return Decisions(TASK, label, predicted, None, Factor("subject", tuple(map(str, range(subjects))), codes), ())


@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("metric", ["balanced_accuracy", "f1"])
def test_against_a_loop_over_rows(metric: str, clustered: bool) -> None:
    decisions, rng = planted(), np.random.default_rng(1)
    if not clustered:
        decisions = Decisions(TASK, decisions.label, decisions.predicted, None, None, ())
    label, predicted, found = decisions.label, decisions.predicted, []
    rows_of = np.arange(len(label)).reshape(60, 5) if clustered else np.arange(len(label))[:, None]
    for _ in range(1500):
        rows = rows_of[rng.integers(0, len(rows_of), len(rows_of))].ravel()
        if metric == "f1":
            found.append(f1_score(label[rows], predicted[rows], average="macro"))
        else:
            found.append(balanced_accuracy_score(label[rows], predicted[rows]))
    one = total(decisions, metric)
    assert one.interval is not None
    assert one.interval.method == f"bootstrap over {'subjects' if clustered else 'rows'}, 4,000 draws"
    # a quantile of 1,500 draws has an error of about a tenth of a standard error
    spread = float(np.std(found))
    assert_allclose([one.interval.low, one.interval.high], np.quantile(found, [0.025, 0.975]), atol=0.35 * spread)


def test_draws_that_lack_a_class_are_counted() -> None:
    label = np.array([0] * 30 + [1] * 30 + [2] * 2, dtype=np.int32)
    predicted = label.copy()
    predicted[::7] = (predicted[::7] + 1) % 3
    one = total(Decisions(TASK, label, predicted, None, None, ()), "balanced_accuracy")
    assert one.interval is not None
    lacking = 1 - (1 - 2 / 62) ** 62  # the chance that both rows of class c stay away is the rest
    counted = int(one.interval.method.split(", ", 1)[1].split(" of ")[0].replace(",", ""))
    assert abs(counted / 4000 - lacking) < 4 * np.sqrt(lacking * (1 - lacking) / 4000)


def test_where_nothing_differs_the_closed_form_stays() -> None:
    label = np.arange(60, dtype=np.int32) % 3
    one = total(Decisions(TASK, label, label, None, None, ()), "balanced_accuracy")
    assert one.interval is not None
    assert "MOVER" in one.interval.method
    assert one.interval.low < one.interval.high


def test_without_draws_or_with_many_classes_the_closed_form_stays(random_decisions: Make) -> None:
    assert "bootstrap" not in total(planted(), "f1", draws=0).interval.method
    assert "bootstrap" not in total(random_decisions(n=4000, classes=60), "f1", draws=50).interval.method
