"""Values agree with scikit-learn, torchmetrics and fairlearn wherever they define the same thing."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn import metrics as sk

from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.evaluation import evaluate
from imgid_audit.metrics import METRICS

EXACT = {"rtol": 0, "atol": 1e-12}
Make = Callable[..., Decisions]
OWN_TESTS = ("ece", "ece_debiased", "calibration_slope", "calibration_intercept")
"""Metrics that scikit-learn does not have; see below and test_calibration.py."""


def estimates(decisions: Decisions, *names: str) -> list[Estimate]:
    crossed = (tuple(factor.name for factor in decisions.attributes),)
    spec = EvaluationSpec(names or METRICS.names, crossed, IntervalSpec(draws=0))
    return list(evaluate(decisions, spec).estimates)


def rows_of(decisions: Decisions, estimate: Estimate) -> np.ndarray:
    mask = np.ones(len(decisions), dtype=bool)
    for name, level in estimate.slice.key.items():
        mask &= decisions.attribute(name).texts() == level
    return mask


def reference(name: str, decisions: Decisions, mask: np.ndarray, k: int | None) -> float:
    """The metric of one class against the rest (k None: no class), by scikit-learn."""
    label, predicted = decisions.label[mask], decisions.predicted[mask]
    if name == "accuracy":
        return sk.accuracy_score(label, predicted)
    if name == "balanced_accuracy":
        return sk.balanced_accuracy_score(label, predicted)
    scores = decisions.scores[mask]
    classes = range(len(decisions.task.labels))
    if name == "log_loss":
        return sk.log_loss(label, scores, labels=list(classes))
    if name == "brier":
        if decisions.task.kind == "binary":
            return sk.brier_score_loss(label, scores[:, 1], labels=[0, 1])
        return sk.brier_score_loss(label, scores, labels=list(classes))
    y, p = label == k, predicted == k
    if name == "auroc":
        return sk.roc_auc_score(y, scores[:, k])
    if name == "average_precision":
        return sk.average_precision_score(y, scores[:, k])
    return {
        "recall": lambda: sk.recall_score(y, p),
        "precision": lambda: sk.precision_score(y, p),
        "specificity": lambda: sk.recall_score(~y, ~p),
        "false_positive_rate": lambda: 1 - sk.recall_score(~y, ~p),
        "false_negative_rate": lambda: 1 - sk.recall_score(y, p),
        "f1": lambda: sk.f1_score(y, p),
        "selection_rate": lambda: p.mean(),
    }[name]()


@pytest.mark.parametrize("subjects", [None, 40])
@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("classes", [2, 4])
def test_scikit_learn(random_decisions: Make, classes: int, digits: int | None, subjects: int | None) -> None:
    decisions = random_decisions(n=600, classes=classes, digits=digits, subjects=subjects, seed=classes)
    compared = 0
    for one in estimates(decisions):
        if one.metric in OWN_TESTS or isinstance(one.value, Undefined):
            continue
        mask = rows_of(decisions, one)
        assert one.n == mask.sum()
        if one.class_name is None and METRICS[one.metric].per_class:
            expected = np.mean([reference(one.metric, decisions, mask, k) for k in range(classes)])
        else:
            k = None if one.class_name is None else decisions.task.labels.index(one.class_name)
            expected = reference(one.metric, decisions, mask, k)
        assert_allclose(one.value, expected, **EXACT, err_msg=f"{one.metric} {one.class_name} {one.slice}")
        compared += 1
    assert compared > 100


@pytest.mark.parametrize("classes", [2, 3])
def test_one_row_groups(random_decisions: Make, classes: int) -> None:
    """Every slice is one row: what scikit-learn calls 0 with a warning is undefined, the rest agrees."""
    decisions = random_decisions(n=12, classes=classes, levels=(500,), seed=3)
    seen = {"value": 0, "undefined": 0}
    for one in estimates(decisions):
        mask = rows_of(decisions, one)
        if not one.slice.attributes or not mask.any():
            continue
        if isinstance(one.value, Undefined):
            seen["undefined"] += 1
            continue
        k = None if one.class_name is None else decisions.task.labels.index(one.class_name)
        if one.metric not in OWN_TESTS:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                assert_allclose(one.value, reference(one.metric, decisions, mask, k), **EXACT)
        assert one.interval is not None
        assert one.interval.low < one.interval.high
        seen["value"] += 1
    assert min(seen.values()) > 10


# torchmetrics casts multiclass scores to float32, whose bin edges are others: no rounded scores there
@pytest.mark.parametrize(("classes", "digits"), [(2, None), (2, 2), (5, None)])
def test_torchmetrics_calibration(random_decisions: Make, classes: int, digits: int | None) -> None:
    import torch
    from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

    decisions = random_decisions(n=800, classes=classes, digits=digits, seed=11)
    scores = decisions.scores.copy()
    # scores of exactly 0 and 1, and on the edges of bins, as saturated models give
    scores[:40] = np.eye(classes)[np.arange(40) % classes]
    if classes == 2:
        scores[40:56, 1] = np.tile([0.2, 0.4, 0.6, 0.8], 4)
        scores[40:56, 0] = 1 - scores[40:56, 1]
    decisions = Decisions(decisions.task, decisions.label, decisions.predicted, scores, None, decisions.attributes)
    for one in estimates(decisions, "ece"):
        mask = rows_of(decisions, one)
        label = torch.from_numpy(decisions.label[mask].astype(np.int64))
        if classes == 2:
            theirs = binary_calibration_error(torch.from_numpy(scores[mask, 1]), label, n_bins=15, norm="l1")
        else:
            theirs = multiclass_calibration_error(torch.from_numpy(scores[mask]), label, classes, n_bins=15, norm="l1")
        tolerance = 1e-12 if theirs.dtype == torch.float64 else 1e-6
        assert_allclose(one.value, float(theirs), rtol=0, atol=tolerance)


def test_torchmetrics_macro(random_decisions: Make) -> None:
    import torch
    from torchmetrics.functional import classification as tm

    decisions = random_decisions(n=700, classes=4, seed=5)
    label, scores = torch.from_numpy(decisions.label.astype(np.int64)), torch.from_numpy(decisions.scores)
    predicted = torch.from_numpy(decisions.predicted.astype(np.int64))
    found = {
        one.metric: one.value
        for one in estimates(decisions, "recall", "precision", "specificity", "f1", "auroc", "average_precision")
        if one.class_name is None and not one.slice.attributes
    }
    theirs = {
        "recall": tm.multiclass_recall(predicted, label, 4),
        "precision": tm.multiclass_precision(predicted, label, 4),
        "specificity": tm.multiclass_specificity(predicted, label, 4),
        "f1": tm.multiclass_f1_score(predicted, label, 4),
        "auroc": tm.multiclass_auroc(scores, label, 4),
        "average_precision": tm.multiclass_average_precision(scores, label, 4),
    }
    for name, value in theirs.items():
        # torchmetrics computes these in float32
        assert_allclose(found[name], float(value), rtol=0, atol=1e-6, err_msg=name)


def test_fairlearn_groups_and_gaps(random_decisions: Make) -> None:
    import fairlearn.metrics as fairlearn

    decisions = random_decisions(n=500, seed=7)
    group = decisions.attributes[0].texts()
    functions = {
        "accuracy": sk.accuracy_score,
        "recall": fairlearn.true_positive_rate,
        "specificity": fairlearn.true_negative_rate,
        "false_positive_rate": fairlearn.false_positive_rate,
        "false_negative_rate": fairlearn.false_negative_rate,
        "selection_rate": fairlearn.selection_rate,
        "precision": sk.precision_score,
    }
    frame = fairlearn.MetricFrame(
        metrics=functions, y_true=decisions.label, y_pred=decisions.predicted, sensitive_features=group
    )
    evaluation = evaluate(decisions, EvaluationSpec(tuple(functions), intervals=IntervalSpec(draws=0)))
    name = decisions.attributes[0].name
    for one in evaluation.estimates:
        if one.slice.attributes == (name,):
            assert_allclose(one.value, frame.by_group[one.metric][one.slice.levels[0]], **EXACT)
    difference, ratio = frame.difference(), frame.ratio()
    data = {"y_true": decisions.label, "y_pred": decisions.predicted, "sensitive_features": group}
    criteria = {
        ("equalized_odds", "difference"): fairlearn.equalized_odds_difference(**data),
        ("equalized_odds", "ratio"): fairlearn.equalized_odds_ratio(**data),
        ("equalized_odds_mean", "difference"): fairlearn.equalized_odds_difference(**data, agg="mean"),
        ("equalized_odds_mean", "ratio"): fairlearn.equalized_odds_ratio(**data, agg="mean"),
        ("demographic_parity", "difference"): fairlearn.demographic_parity_difference(**data),
        ("demographic_parity", "ratio"): fairlearn.demographic_parity_ratio(**data),
    }
    checked = 0
    for gap in evaluation.gaps:
        if gap.attribute != name:
            continue
        if gap.metric in functions:
            expected = (difference if gap.kind == "difference" else ratio)[gap.metric]
        else:
            expected = criteria[gap.metric, gap.kind]
        assert_allclose(gap.value, expected, **EXACT, err_msg=f"{gap.metric} {gap.kind}")
        assert gap.interval.low <= gap.value <= gap.interval.high
        checked += 1
    assert checked == 2 * len(functions) + 6


def test_what_is_not_there_is_undefined_and_says_why(random_decisions: Make) -> None:
    decisions = random_decisions(n=60, classes=3, levels=(2,), seed=1)
    label = decisions.label.copy()
    in_first = decisions.attributes[0].codes == 0
    label[in_first & (label == 2)] = 0
    decisions = Decisions(decisions.task, label, decisions.predicted, decisions.scores, None, decisions.attributes)
    found = {
        (one.metric, one.class_name): one
        for one in estimates(decisions)
        if one.slice.levels == ("level 0",) and len(one.slice.levels) == 1
    }
    for metric in ("recall", "false_negative_rate", "auroc", "average_precision"):
        own, macro = found[metric, "class 2"].value, found[metric, None].value
        assert own == Undefined("empty", "no rows of class 'class 2'")
        assert isinstance(macro, Undefined)
        assert "'class 2'" in macro.reason
    assert isinstance(found["balanced_accuracy", None].value, Undefined)
    assert isinstance(found["specificity", "class 2"].value, float)
    for one in found.values():
        assert (one.interval is None) == isinstance(one.value, Undefined)
        assert isinstance(one.value, Undefined) or not math.isnan(one.value)


def test_without_scores_score_metrics_are_listed_as_not_applicable(random_decisions: Make) -> None:
    for subjects in (None, 20):
        decisions = random_decisions(n=80, classes=3, scores=False, subjects=subjects)
        found = estimates(decisions)
        for metric in METRICS:
            for one in (one for one in found if one.metric == metric.name):
                if metric.needs == "scores":
                    assert one.value == Undefined("not_applicable", "no scores")
                else:
                    assert one.value != Undefined("not_applicable", "no scores")
        assert {one.metric for one in found} == set(METRICS.names)
