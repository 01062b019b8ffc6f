"""Laws of the intervals of every registered metric, through `evaluate`: width, range, level, size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, Forms, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate
from imgid_audit.metrics import METRICS, Metric

BINARY = Task("binary", ("no", "yes"), "yes")
MANY = Task("multiclass", ("a", "b", "c"))
TASKS = pytest.mark.parametrize("task", [BINARY, MANY], ids=["binary", "multiclass"])
EVERY = pytest.mark.parametrize("metric", METRICS, ids=lambda m: m.name)


def made(
    task: Task,
    label: NDArray[np.int32],
    scores: NDArray[np.float64],
    subject: NDArray[np.int32] | None,
    slices: int = 1,
) -> Decisions:
    """Decisions by the highest score; rows go to the `slices` levels of one attribute in turn of their subject."""
    codes = np.arange(len(label)) if subject is None else subject
    group = Factor("group", tuple(f"g{i}" for i in range(slices)), (codes % slices).astype(np.int32))
    held = None if subject is None else Factor("subject", tuple(str(i) for i in range(subject.max() + 1)), subject)
    return Decisions(task, label, scores.argmax(axis=1).astype(np.int32), scores, held, (group,))


def noisy(task: Task, rows: int, subjects: bool, seed: int = 0) -> Decisions:
    generator = np.random.default_rng(seed)
    classes = len(task.labels)
    label = generator.integers(0, classes, rows).astype(np.int32)
    scores = generator.dirichlet(np.ones(classes), rows) + 0.8 * np.eye(classes)[label]
    scores /= scores.sum(axis=1, keepdims=True)
    return made(task, label, scores, (np.arange(rows) // 4).astype(np.int32) if subjects else None, slices=3)


def defined(data: Decisions, metric: Metric, level: float = 0.95, forms: Forms | None = None) -> dict[object, Estimate]:
    spec = IntervalSpec(level=level, draws=200, forms=forms or Forms())
    found = evaluate(data, EvaluationSpec((metric.name,), intervals=spec)).estimates
    return {(e.class_name, e.slice): e for e in found if not isinstance(e.value, Undefined)}


def width(estimate: Estimate) -> float:
    assert estimate.interval is not None
    return estimate.interval.high - estimate.interval.low


SEPARATED = ("calibration_slope", "calibration_intercept")
"""A logistic line through scores that tell the classes apart has no coefficients: undefined, with a reason."""

SUBJECTS = {"independent": None, "pairs": 2, "four": 4, "one subject": 10_000}


@EVERY
@TASKS
@pytest.mark.parametrize("images", SUBJECTS.values(), ids=SUBJECTS)
@pytest.mark.parametrize("sure", [1.0, 0.9], ids=["certain", "confident"])
@pytest.mark.parametrize("right", [True, False], ids=["all right", "all wrong"])
def test_eight_of_eight_is_not_certainty(metric: Metric, task: Task, images: int | None, sure: float, right: bool):
    """Eight rows of every class, all alike and all right (or all wrong): no metric has an interval without width."""
    classes = len(task.labels)
    label = np.tile(np.arange(classes), 8).astype(np.int32)
    called = label if right else (label + 1) % classes
    scores = np.full((len(label), classes), (1 - sure) / (classes - 1))
    scores[np.arange(len(label)), called] = sure
    subject = None if images is None else (np.arange(len(label)) // (images * classes)).astype(np.int32)
    low, high = metric.bounds
    found = defined(made(task, label, scores, subject), metric)
    assert found or metric.name in SEPARATED
    for estimate in found.values():
        assert estimate.interval is not None
        assert low <= estimate.interval.low <= estimate.value <= estimate.interval.high <= high
        assert width(estimate) > 0.02 * min(high - low, 1.0)
        if estimate.subjects == 1:
            assert width(estimate) > 0.3 * min(high - low, 1.0), "one subject says very little"


@EVERY
@TASKS
@pytest.mark.parametrize("subjects", [False, True], ids=["rows", "subjects"])
@pytest.mark.parametrize("form", ["wilson", "clopper_pearson"])
def test_a_higher_level_is_wider(metric: Metric, task: Task, subjects: bool, form: str):
    data = noisy(task, 180, subjects)
    forms = Forms(form)
    series = [defined(data, metric, level, forms) for level in (0.5, 0.8, 0.95, 0.99)]
    for key in series[0]:
        limits = np.array([(one[key].interval.low, one[key].interval.high) for one in series])
        assert np.all(np.diff(limits[:, 0]) <= 1e-12), key
        assert np.all(np.diff(limits[:, 1]) >= -1e-12), key


@EVERY
@TASKS
@pytest.mark.parametrize("subjects", [False, True], ids=["rows", "subjects"])
def test_a_larger_sample_is_narrower(metric: Metric, task: Task, subjects: bool):
    """Nine times the same rows, as other subjects where there are any: a third of the width, or near it."""
    data = noisy(task, 240, subjects)
    times = 9
    rows = np.tile(np.arange(len(data)), times)
    grown = Decisions(
        task, data.label[rows], data.predicted[rows], data.scores[rows], None, (data.attributes[0].take(rows),)
    )
    if data.subject is not None:
        count = len(data.subject.levels)
        codes = (data.subject.codes[rows] + count * np.repeat(np.arange(times), len(data))).astype(np.int32)
        grown = replace(grown, subject=Factor("subject", tuple(str(i) for i in range(count * times)), codes))
    small, large = defined(data, metric), defined(grown, metric)
    assert small.keys() == large.keys()
    for key, one in small.items():
        assert width(large[key]) < 0.75 * width(one), key
        if metric.name != "ece_debiased":  # which other subjects a sign is taken from changes with their number
            assert_allclose(large[key].value, one.value, atol=1e-9)


PROPORTIONS = {
    "recall": lambda y, p: (y & p, y),
    "precision": lambda y, p: (y & p, p),
    "specificity": lambda y, p: (~y & ~p, ~y),
    "false_positive_rate": lambda y, p: (~y & p, ~y),
    "false_negative_rate": lambda y, p: (y & ~p, y),
    "selection_rate": lambda y, p: (p, np.ones_like(p)),
    "accuracy": lambda y, p: (y == p, np.ones_like(p)),
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize("form", ["wilson", "clopper_pearson"])
def test_rates_of_independent_rows_against_statsmodels(seed: int, level: float, form: str):
    """Every slice of random decisions, from small to large: Wilson, or the beta limits near the ends and on request."""
    from statsmodels.stats.proportion import proportion_confint

    generator = np.random.default_rng(seed)
    rows = (30, 90, 400, 3000)[seed]
    label = generator.integers(0, 2, rows).astype(np.int32)
    called = np.where(generator.random(rows) < 0.12, 1 - label, label)
    data = made(BINARY, label, np.eye(2)[called], None, slices=4)
    spec = EvaluationSpec(tuple(PROPORTIONS), intervals=IntervalSpec(level=level, forms=Forms(form)))
    checked = 0
    for estimate in evaluate(data, spec).estimates:
        of = where(data, estimate.slice)
        events, trials = PROPORTIONS[estimate.metric](label[of] == 1, called[of] == 1)
        x, n = int(events.sum()), int(trials.sum())
        if n == 0:
            assert isinstance(estimate.value, Undefined)
            continue
        exact = form == "clopper_pearson" or min(x, n - x) <= 3
        expected = proportion_confint(x, n, alpha=1 - level, method="beta" if exact else "wilson")
        expected = (0.0 if x == 0 else expected[0], 1.0 if x == n else expected[1])
        assert estimate.interval is not None
        assert_allclose((estimate.interval.low, estimate.interval.high), expected, atol=1e-10)
        assert estimate.interval.method == ("Clopper-Pearson" if exact else "Wilson")
        assert (estimate.value, estimate.support) == (x / n, n)
        checked += 1
    assert checked > 25


def where(data: Decisions, of: Slice) -> NDArray[np.bool_]:
    kept = np.ones(len(data), dtype=bool)
    for name, level in of.key.items():
        factor = data.attribute(name)
        kept &= factor.codes == factor.levels.index(level)
    return kept
