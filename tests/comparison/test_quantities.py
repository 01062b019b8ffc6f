"""What is estimated of one network and of a method: against scikit-learn, fairlearn and the metrics' own intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import accuracy_score, balanced_accuracy_score, brier_score_loss, recall_score

from imgid_audit.comparison import MethodRuns, compare_methods, primary_value
from imgid_audit.core.errors import InputError
from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.core.result import Undefined
from imgid_audit.evaluation import evaluate
from tests.comparison.world import BINARY, MANY, SEEDS, World, changes, estimates, spec


def test_every_network_against_scikit_learn_and_fairlearn() -> None:
    from fairlearn.metrics import MetricFrame

    world = World()
    baseline = world.runs("baseline")
    found = compare_methods(baseline, [], spec(metrics=("balanced_accuracy", "recall")))
    for seed, one in zip(SEEDS, baseline.decisions, strict=True):
        of = MetricFrame(metrics=accuracy_score, y_true=one.label, y_pred=one.predicted, sensitive_features=world.group)
        expected = {
            ("overall", "accuracy"): accuracy_score(one.label, one.predicted),
            ("overall", "balanced_accuracy"): balanced_accuracy_score(one.label, one.predicted),
            ("overall", "recall"): recall_score(one.label, one.predicted, average="macro"),
            ("worst_group", "accuracy"): of.group_min(),
            ("gap", "accuracy"): of.difference(),
            ("worst_class", "recall"): recall_score(one.label, one.predicted, average=None).min(),
        }
        for (quantity, metric), value in expected.items():
            assert_allclose(estimates(found, "baseline", quantity, metric)[seed].value, value)
        worst = estimates(found, "baseline", "worst_group")[seed]
        assert worst.slice.levels == (f"g{of.by_group.argmin()}",)
        assert worst.n == (world.group == of.by_group.argmin()).sum()
        assert worst.interval is None


def test_the_mean_over_seeds_is_the_mean_of_what_each_network_ships() -> None:
    world = World()
    baseline = world.runs("baseline", noise=1.0)
    found = compare_methods(baseline, [], spec())
    for quantity in ("overall", "worst_group", "gap", "worst_class"):
        of = estimates(found, "baseline", quantity, None if quantity != "overall" else "accuracy")
        assert_allclose(of[None].value, np.mean([of[seed].value for seed in SEEDS]))
        interval = of[None].interval
        assert interval is not None
        assert interval.low < of[None].value < interval.high
        assert interval.level == 0.95


def test_estimates_of_a_seed_have_the_metric_s_own_interval() -> None:
    world = World(images=3)
    baseline = world.runs("baseline")
    found = compare_methods(baseline, [], spec(metrics=("accuracy", "auroc")))
    for seed, one in zip(SEEDS, baseline.decisions, strict=True):
        audit = evaluate(one, EvaluationSpec(("accuracy", "auroc", "ece", "brier")))
        expected = {(e.metric, e.slice): e for e in audit.estimates if e.class_name is None}
        for quantity in ("overall", "group"):
            for each in found.estimates:
                if each.seed == seed and each.quantity == quantity:
                    own = expected[each.metric, each.slice]
                    assert (each.value, each.interval, each.n, each.subjects) == (
                        own.value, own.interval, own.n, own.subjects,
                    )  # fmt: skip


def test_a_lower_is_better_metric_has_its_worst_group_at_the_top() -> None:
    world = World(BINARY)
    found = compare_methods(world.runs("baseline"), [], spec("false_negative_rate"))
    for seed in SEEDS:
        groups = [
            one.value
            for one in found.estimates
            if one.seed == seed and one.quantity == "group" and one.metric == "false_negative_rate"
        ]
        assert estimates(found, "baseline", "worst_group")[seed].value == max(groups)
        assert_allclose(estimates(found, "baseline", "gap")[seed].value, max(groups) - min(groups))


def test_binary_tasks_have_the_worst_of_both_classes() -> None:
    world = World(BINARY)
    world.base[:, 1] += 1.0  # the negative class is the worse one
    baseline = world.runs("baseline")
    found = compare_methods(baseline, [], spec("recall"))
    for seed, one in zip(SEEDS, baseline.decisions, strict=True):
        each = estimates(found, "baseline", "worst_class")[seed]
        assert each.class_name == "no"
        assert_allclose(each.value, recall_score(one.label, one.predicted, pos_label=0))
        assert estimates(found, "baseline", "overall", "recall")[seed].class_name == "yes"
        brier = brier_score_loss(one.label, one.scores[:, 1])
        assert_allclose(estimates(found, "baseline", "overall", "brier")[seed].value, brier)


def test_a_named_class_is_judged_beside_the_mean() -> None:
    world = World()
    found = compare_methods(world.runs("baseline"), [world.runs("m", 0.5)], spec("recall", class_name="b"))
    assert {one.class_name for one in changes(found, "worst_group")} == {"b"}
    assert {one.class_name for one in changes(found, "overall", "recall")} == {"b", None}
    assert [one.class_name for one in found.changes if one.verdict is not None] == ["b"]
    with pytest.raises(InputError, match="not of 'zebra'"):
        compare_methods(world.runs("baseline"), [], spec("recall", class_name="zebra"))


def test_small_and_ignored_groups_are_left_out_and_named() -> None:
    world = World(groups=4)
    world.group[:] = np.where(world.group == 3, 0, world.group)
    world.group[:6] = 3
    baseline = world.runs("baseline")
    found = compare_methods(baseline, [], spec(ignore=("g1",)))
    assert set(found.left_out) == {"g1", "g3"}
    assert "ignored" in found.left_out["g1"]
    assert "6 rows" in found.left_out["g3"]
    kept = (world.group == 0) | (world.group == 2)
    for seed, one in zip(SEEDS, baseline.decisions, strict=True):
        right = one.label == one.predicted
        expected = min(right[world.group == g].mean() for g in np.unique(world.group[kept]))
        assert estimates(found, "baseline", "worst_group")[seed].value == expected
    assert len([one for one in found.estimates if one.quantity == "group" and one.seed is None]) == 4


def test_levels_without_rows_and_rare_classes_are_left_out() -> None:
    world = World(groups=3)
    world.label[:] = np.where(world.label == 2, 0, world.label)
    world.label[:4] = 2
    factor = world.attributes[0]
    world.attributes = (replace(factor, levels=(*factor.levels, "nobody")),)
    found = compare_methods(world.runs("baseline"), [], spec())
    assert found.left_out == {"nobody": "no rows", "class c": "4 rows that count, fewer than policy.min_support (10)"}
    nobody = [one for one in found.estimates if one.slice.levels == ("nobody",)]
    assert all(isinstance(one.value, Undefined) and one.interval is None for one in nobody)
    assert {one.class_name for one in found.estimates if one.quantity == "worst_class"} <= {"a", "b"}


def test_one_group_has_no_gap() -> None:
    world = World(groups=1)
    found = compare_methods(world.runs("baseline"), [world.runs("m", 1.0)], spec(quantity="gap"))
    (one,) = changes(found, "gap")
    assert isinstance(one.value, Undefined)
    assert (one.interval, one.p_value, one.verdict) == (None, None, "no evidence")


def test_of_one_group_with_enough_rows_there_is_no_worst() -> None:
    """g1 has 6 rows of 600: what is left, g0, would be all rows under another name."""
    world = World(groups=2)
    world.group[:] = 0
    world.group[:6] = 1
    found = compare_methods(world.runs("baseline"), [world.runs("m", 1.0)], spec())
    (one,) = changes(found, "worst_group")
    assert one.value == Undefined("not_applicable", "fewer than two groups with enough rows")
    assert (one.interval, one.p_value, one.verdict) == (None, None, "no evidence")
    assert all(isinstance(each.value, Undefined) for each in estimates(found, "baseline", "worst_group").values())
    assert found.left_out == {"g1": "6 rows that count, fewer than policy.min_support (10)"}
    assert primary_value(world.decisions(0.0, 0.1), spec()) is None
    assert primary_value(world.decisions(0.0, 0.1), spec(min_support=6)) is not None


def test_of_one_class_with_enough_rows_there_is_no_worst() -> None:
    world = World(BINARY)
    world.label[:] = 0
    world.label[:6] = 1
    found = compare_methods(world.runs("baseline"), [], spec())
    value = estimates(found, "baseline", "worst_class")[None].value
    assert value == Undefined("not_applicable", "fewer than two classes with enough rows")


@pytest.mark.parametrize(("metric", "class_name"), [("recall", None), ("recall", "c"), ("auroc", None)])
def test_a_group_that_lacks_rows_of_a_class_says_of_which(metric: str, class_name: str | None) -> None:
    world = World(groups=2)
    first = np.flatnonzero((world.group == 1) & (world.label == 2))
    world.label[first[4:]] = 0
    left = compare_methods(world.runs("baseline"), [], spec(metric, class_name=class_name)).left_out
    assert left == {"g1": "4 rows that count for class 'c', fewer than policy.min_support (10)"}


def test_without_groups_there_are_no_group_quantities() -> None:
    world = World()
    found = compare_methods(world.runs("baseline"), [world.runs("m")], spec(quantity="overall"))
    assert {one.quantity for one in found.changes} == {"overall", "worst_class"}


@pytest.mark.parametrize("quantity", ["overall", "worst_group", "gap"])
@pytest.mark.parametrize("metric", ["accuracy", "recall", "brier"])
def test_the_primary_value_of_one_network(quantity: str, metric: str) -> None:
    world = World(MANY)
    baseline = world.runs("baseline")
    asked = spec(metric, quantity)  # type: ignore[arg-type]
    found = estimates(compare_methods(baseline, [], asked), "baseline", quantity, metric)  # type: ignore[arg-type]
    for seed, one in zip(SEEDS, baseline.decisions, strict=True):
        assert primary_value(one, asked) == found[seed].value


def test_the_primary_value_of_a_network_without_groups_is_none() -> None:
    assert primary_value(World(groups=1).decisions(0.0, 0.1), spec(quantity="gap")) is None


def test_runs_that_do_not_go_together_are_refused() -> None:
    world = World()
    baseline, method = world.runs("baseline"), world.runs("m")
    with pytest.raises(ValueError, match="seeds"):
        compare_methods(baseline, [replace(method, seeds=(0, 1, 2, 9))], spec())
    with pytest.raises(ValueError, match="test rows"):
        compare_methods(baseline, [World(seed=5).runs("m")], spec())
    with pytest.raises(ValueError, match="two seeds"):
        MethodRuns("m", (0,), method.decisions[:1])
    with pytest.raises(ValueError, match="two seeds"):
        MethodRuns("m", SEEDS, method.decisions[:3])
