"""Every registered metric keeps the same laws, whatever it measures."""

from __future__ import annotations

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate
from imgid_audit.metrics import METRICS

SPEC = IntervalSpec(draws=60)
BINARY = Task("binary", ("no", "yes"), "yes")
MANY = Task("multiclass", ("a", "b", "c"))


def decisions(task: Task, rows: int, seed: int, *, subjects: bool = False) -> Decisions:
    rng = np.random.default_rng(seed)
    classes = len(task.labels)
    label = rng.integers(0, classes, rows).astype(np.int32)
    scores = rng.dirichlet(np.ones(classes), rows)
    scores[np.arange(rows), label] += 0.7
    scores /= scores.sum(axis=1, keepdims=True)
    group = Factor("group", ("x", "y", "nobody"), rng.integers(0, 2, rows).astype(np.int32))
    codes = (np.arange(rows) // 3).astype(np.int32)
    subject = Factor("subject", tuple(f"s{i}" for i in range(codes.max() + 1)), codes) if subjects else None
    predicted = scores.argmax(axis=1).astype(np.int32)
    return Decisions(task, label, predicted, scores, subject, (group,))


def estimates(data: Decisions, metric: str) -> tuple[Estimate, ...]:
    return evaluate(data, EvaluationSpec((metric,), intervals=SPEC)).estimates


CASES = [(task, subjects) for task in (BINARY, MANY) for subjects in (False, True)]


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
@pytest.mark.parametrize(("task", "subjects"), CASES)
def test_values_and_intervals_are_in_range(metric, task: Task, subjects: bool):
    low, high = metric.bounds
    found = estimates(decisions(task, 240, 1, subjects=subjects), metric.name)
    assert any(not isinstance(e.value, Undefined) for e in found)
    for estimate in found:
        if isinstance(estimate.value, Undefined):
            assert estimate.interval is None
            continue
        interval = estimate.interval
        assert interval is not None
        assert low <= interval.low <= estimate.value <= interval.high <= high
        assert interval.low < interval.high, "an estimate from a sample is never certain"
        assert interval.level == SPEC.level
        assert interval.method
        assert 0 < estimate.support <= estimate.n
        assert (estimate.subjects is not None) == subjects


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
@pytest.mark.parametrize("task", [BINARY, MANY], ids=["binary", "multiclass"])
def test_nothing_gives_undefined_with_a_reason(metric, task: Task):
    found = [e for e in estimates(decisions(task, 60, 2), metric.name) if e.slice.levels == ("nobody",)]
    assert found
    for estimate in found:
        assert isinstance(estimate.value, Undefined)
        assert estimate.value.kind == "empty"
        assert estimate.value.reason
        assert estimate.n == 0


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
@pytest.mark.parametrize("task", [BINARY, MANY], ids=["binary", "multiclass"])
def test_the_order_of_rows_does_not_matter(metric, task: Task):
    data = decisions(task, 150, 3, subjects=True)
    order = np.random.default_rng(0).permutation(len(data))
    shuffled = Decisions(
        task,
        data.label[order],
        data.predicted[order],
        data.scores[order],
        data.subject.take(order),
        tuple(f.take(order) for f in data.attributes),
    )
    for one, two in zip(estimates(data, metric.name), estimates(shuffled, metric.name), strict=True):
        if isinstance(one.value, Undefined):
            assert one == two
        else:
            assert two.value == pytest.approx(one.value, abs=1e-12)
            assert (two.n, two.support, two.subjects) == (one.n, one.support, one.subjects)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_without_scores_a_score_metric_is_not_applicable_and_others_do_not_change(metric):
    data = decisions(BINARY, 90, 4)
    bare = Decisions(BINARY, data.label, data.predicted, None, None, data.attributes)
    without = estimates(bare, metric.name)
    if metric.needs == "scores":
        assert {e.value.kind for e in without if isinstance(e.value, Undefined)} == {"not_applicable"}
        assert all(isinstance(e.value, Undefined) for e in without)
    else:
        assert without == estimates(data, metric.name)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)
def test_it_is_documented(metric):
    assert metric.summary.strip()
    assert metric.source.strip()
    assert metric.better in ("higher", "lower", None)


@pytest.mark.parametrize("metric", [m for m in METRICS if m.per_class], ids=lambda m: m.name)
def test_classes_are_named_and_the_macro_mean_is_the_mean(metric):
    found = [e for e in estimates(decisions(MANY, 300, 5), metric.name) if not e.slice.attributes]
    by_class = {e.class_name: e.value for e in found}
    assert set(MANY.labels) <= set(by_class)
    assert (None in by_class) == metric.macro
    if metric.macro:
        assert by_class[None] == pytest.approx(np.mean([by_class[label] for label in MANY.labels]), abs=1e-12)
