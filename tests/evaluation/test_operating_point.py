"""The uncertainty of a found threshold, slices at it, and decisions of least expected cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, recall_score, roc_curve
from statsmodels.stats.proportion import proportion_confint

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Costs, Decisions, OperatingPoint
from imgid_audit.core.task import Task
from imgid_audit.evaluation import decisions as deciding
from imgid_audit.evaluation import evaluate, find_operating_point
from imgid_audit.evaluation.decisions import least_cost, predicted_codes

TASK = Task("binary", ("no", "yes"), "yes")
INTERVALS = IntervalSpec(draws=400)


def val(n: int = 600, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    label = (generator.random(n) < 0.3).astype(np.int32)
    score = 1 / (1 + np.exp(-(generator.normal(size=n) + 1.5 * label - 1)))
    return label, np.column_stack([1 - score, score])


def test_the_maxima_are_scikit_learns() -> None:
    label, scores = val()
    fpr, tpr, candidates = roc_curve(label, scores[:, 1], drop_intermediate=False)
    best = find_operating_point(TASK, label, scores, "youden")
    assert best.threshold == candidates[np.argmax(tpr - fpr)]
    assert best.achieved == pytest.approx((tpr - fpr).max())
    assert best.criterion == "max youden"
    f1 = [f1_score(label, scores[:, 1] >= t) for t in np.unique(scores[:, 1])]
    found = find_operating_point(TASK, label, scores, "f1")
    assert found.threshold == np.unique(scores[:, 1])[np.argmax(f1)]
    assert found.achieved == pytest.approx(max(f1))
    assert found.low is found.level is found.draws is None


def test_of_equal_maxima_the_smallest_threshold_is_taken() -> None:
    label = np.array([0, 1, 0, 1], dtype=np.int32)
    scores = np.column_stack([1 - np.array([0.1, 0.2, 0.3, 0.4]), [0.1, 0.2, 0.3, 0.4]])
    assert find_operating_point(TASK, label, scores, "youden").threshold == 0.2


def test_the_reached_rate_has_the_audits_own_interval() -> None:
    label, scores = val()
    found = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=INTERVALS)
    negatives = label == 0
    cleared = int((scores[negatives, 1] < found.threshold).sum())
    low, high = proportion_confint(cleared, negatives.sum(), method="wilson")
    assert (found.achieved_low, found.achieved_high) == pytest.approx((low, high))
    assert found.level == 0.95
    assert "Wilson" in str(found.achieved_method)
    best = find_operating_point(TASK, label, scores, "youden", intervals=INTERVALS)
    assert best.achieved_low < best.achieved < best.achieved_high


def test_the_threshold_has_an_interval_and_says_how_it_was_drawn() -> None:
    label, scores = val()
    rows = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=INTERVALS)
    assert rows.low < rows.threshold < rows.high
    assert (rows.draws, rows.found, rows.method) == (400, 400, "percentile bootstrap over rows")
    # an order statistic: the ranks of its ends are about 1.96 standard deviations of a binomial away
    negative = np.sort(scores[label == 0, 1])
    ranks = np.searchsorted(negative, [rows.low, rows.high]) / len(negative)
    half = 1.96 * np.sqrt(0.09 / len(negative))
    assert ranks == pytest.approx([0.9 - half, 0.9 + half], abs=0.012)
    again = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=INTERVALS)
    assert again == rows
    other = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=replace(INTERVALS, seed=1))
    assert (other.low, other.high) != (rows.low, rows.high)
    narrow = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=replace(INTERVALS, level=0.5))
    assert rows.low < narrow.low < narrow.high < rows.high


def test_copies_of_a_subjects_rows_add_no_certainty() -> None:
    label, scores = val(200)
    copies = Factor("subject", tuple(map(str, range(200))), np.repeat(np.arange(200, dtype=np.int32), 10))
    one = find_operating_point(TASK, label, scores, "specificity", 0.9, intervals=INTERVALS)
    ten, all_ten = np.repeat(label, 10), np.repeat(scores, 10, axis=0)
    known = find_operating_point(TASK, ten, all_ten, "specificity", 0.9, subject=copies, intervals=INTERVALS)
    ignored = find_operating_point(TASK, ten, all_ten, "specificity", 0.9, intervals=INTERVALS)
    assert known.high - known.low == pytest.approx(one.high - one.low, rel=0.25)
    assert ignored.high - ignored.low < 0.6 * (known.high - known.low)
    assert known.method == "percentile bootstrap over subjects"


def test_draws_without_a_threshold_are_counted() -> None:
    label, scores = val(60)
    lone = Factor("subject", tuple(map(str, range(60))), np.arange(60, dtype=np.int32))
    label[:] = 0
    label[7] = 1
    found = find_operating_point(TASK, label, scores, "sensitivity", 0.9, subject=lone, intervals=INTERVALS)
    assert found.low is not None
    assert found.draws == 400
    assert found.found == pytest.approx(400 * (1 - np.exp(-1)), abs=35)
    none = find_operating_point(TASK, label, scores, "sensitivity", 0.9, intervals=IntervalSpec(draws=0))
    assert none.low is none.draws is None
    assert none.achieved_low is not None


def test_no_interval_where_most_draws_have_no_threshold() -> None:
    """Two subjects, one of positives and one of negatives: half of the draws hold both."""
    label, scores = np.repeat(np.array([0, 1], dtype=np.int32), 20), val(40)[1]
    two = Factor("subject", ("p", "q"), label)
    seen = set()
    for seed in range(12):
        asked = IntervalSpec(draws=40, seed=seed)
        found = find_operating_point(TASK, label, scores, "youden", subject=two, intervals=asked)
        assert (found.low is None) == (found.found < 20)
        seen.add(found.low is None)
    assert seen == {True, False}


@pytest.mark.parametrize(
    ("at", "value", "message"), [("specificity", None, "is required"), ("f1", 0.5, "must be specificity")]
)
def test_a_rate_needs_a_value_and_a_maximum_has_none(at: str, value: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        find_operating_point(TASK, *val(), at, value)


def test_slices_at_the_threshold_and_at_its_ends(random_decisions: Callable[..., Decisions]) -> None:
    made = random_decisions(n=900, levels=(3,), digits=2)
    point = OperatingPoint(0.4, "specificity >= 0.9", "val", low=0.3, high=0.55, level=0.95)
    task = made.task
    called = predicted_codes(task, made.scores, None, point)
    decisions = replace(made, predicted=called, operating_point=point)
    found = evaluate(decisions, EvaluationSpec(metrics=("accuracy",))).at_threshold
    assert [one.slice.levels for one in found] == [(), ("level 0",), ("level 1",), ("level 2",)]
    for one in found:
        rows = np.ones(900, dtype=bool)
        if one.slice.levels:
            rows = made.attributes[0].codes == made.attributes[0].levels.index(one.slice.levels[0])
        label, score = made.label[rows], made.scores[rows, 1]
        for threshold, caught, cleared in (
            (0.4, one.sensitivity.value, one.specificity.value),
            (0.3, one.sensitivity_at[0], one.specificity_at[0]),
            (0.55, one.sensitivity_at[1], one.specificity_at[1]),
        ):
            assert caught == pytest.approx(recall_score(label, score >= threshold))
            assert cleared == pytest.approx(recall_score(label, score >= threshold, pos_label=0))
        assert one.sensitivity.interval.low < one.sensitivity.value < one.sensitivity.interval.high
    assert evaluate(made, EvaluationSpec(metrics=("accuracy",))).at_threshold == ()


def test_a_group_without_positives_has_no_sensitivity_at_any_threshold(
    random_decisions: Callable[..., Decisions],
) -> None:
    made = random_decisions(n=300, levels=(2,))
    label = np.where(made.attributes[0].codes == 0, 0, made.label).astype(np.int32)
    point = OperatingPoint(0.5, "max f1", "val", low=0.4, high=0.6, level=0.95)
    found = evaluate(replace(made, label=label, operating_point=point), EvaluationSpec(metrics=("accuracy",)))
    first = found.at_threshold[1]
    assert first.sensitivity.value.kind == "empty"
    assert first.sensitivity_at is None
    assert first.specificity_at is not None


@settings(max_examples=50, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.integers(2, 5), n=st.integers(0, 30))
def test_the_decision_of_least_expected_cost_row_by_row(seed: int, classes: int, n: int) -> None:
    generator = np.random.default_rng(seed)
    table = generator.integers(0, 6, (classes, classes)).astype(float)
    scores = generator.dirichlet(np.ones(classes), n)
    found = least_cost(scores, Costs(tuple(map(tuple, table))))
    for row, chosen in zip(scores, found, strict=True):
        expected = [sum(row[i] * table[i][j] for i in range(classes)) for j in range(classes)]
        assert expected[chosen] == pytest.approx(min(expected))
        assert all(expected[j] > expected[chosen] - 1e-12 for j in range(chosen))


def test_equal_costs_decide_for_the_highest_score_and_equal_ones_for_the_first() -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(4), 500)
    flat = Costs(tuple(map(tuple, 1 - np.eye(4))))
    assert np.array_equal(least_cost(scores, flat), scores.argmax(axis=1))
    assert least_cost(np.full((3, 4), 0.25), flat).tolist() == [0, 0, 0]


def test_costs_are_done_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 100)
    costs = Costs(((0, 1, 9), (2, 0, 1), (5, 1, 0)))
    whole = least_cost(scores, costs)
    monkeypatch.setattr(deciding, "BLOCK", 20)
    assert np.array_equal(least_cost(scores, costs), whole)
    assert len(set(whole.tolist())) == 3


@pytest.mark.parametrize("positive", ["yes", "no"])
def test_the_equivalent_threshold_of_a_binary_task(positive: str) -> None:
    task = Task("binary", ("no", "yes"), positive)
    costs = Costs(((0.5, 2.0), (9.5, 0.5)))
    threshold = costs.threshold(task)
    assert threshold == pytest.approx(1.5 / 10.5 if positive == "yes" else 9 / 10.5)
    score = np.linspace(0, 1, 501)
    at = 1 if positive == "yes" else 0
    scores = np.column_stack([1 - score, score]) if at else np.column_stack([score, 1 - score])
    called = predicted_codes(task, scores, None, costs=costs)
    assert np.array_equal(called == at, score > threshold)
    assert Costs(((0, 1), (1, 1))).threshold(TASK) == 1
    for unit in (1e308, 5e-324):
        extreme = Costs(((0, unit), (unit, 0)))
        assert extreme.threshold(TASK) == 0.5
        assert np.array_equal(predicted_codes(TASK, scores, None, costs=extreme), scores.argmax(axis=1))
    assert Costs(((0, 0), (0, 0))).threshold(TASK) is None
    assert Costs(((0, 1, 1),) * 3).threshold(Task("multiclass", ("a", "b", "c"))) is None


def test_costs_need_scores_and_stand_alone() -> None:
    costs = Costs(((0, 1), (1, 0)))
    with pytest.raises(InputError, match="needs scores"):
        predicted_codes(TASK, None, np.zeros(2, dtype=np.int32), costs=costs)
    with pytest.raises(InputError, match="cannot stand beside"):
        predicted_codes(TASK, np.full((2, 2), 0.5), None, OperatingPoint(0.5, "", "given"), costs)
