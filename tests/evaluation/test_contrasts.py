"""Groups against the best, all rows and a reference: values by hand, coverage in a planted world."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Contrast, Undefined
from imgid_audit.core.slices import TOTAL
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate

Make = Callable[..., Decisions]
TASK = Task("binary", ("no", "yes"), "yes")


def hits(**found: tuple[int, int]) -> Decisions:
    """Positives of each group: how many were found and how many missed."""
    levels = tuple(found)
    rows = [(group, hit) for group, (yes, no) in enumerate(found.values()) for hit in [1] * yes + [0] * no]
    group, predicted = np.array(rows, dtype=np.int32).T
    return Decisions(TASK, np.ones(len(rows), np.int32), predicted, None, None, (Factor("group", levels, group),))


def contrasts(decisions: Decisions, metric: str = "recall", **references: str) -> dict[tuple[str, str, str], Contrast]:
    spec = EvaluationSpec((metric,), (), IntervalSpec(draws=0), references=references)
    found = evaluate(decisions, spec).contrasts
    return {(one.against, one.slice.levels[0], one.kind): one for one in found}


def test_values_by_hand() -> None:
    found = contrasts(hits(a=(90, 10), b=(60, 40), c=(80, 20)), group="c")
    value = {key: one.value for key, one in found.items()}
    assert value["best", "b", "difference"] == pytest.approx(-0.3)
    assert value["best", "b", "ratio"] == pytest.approx(0.6 / 0.9)
    assert ("best", "a", "difference") not in value
    assert value["overall", "a", "difference"] == pytest.approx(0.9 - 230 / 300)
    assert value["overall", "b", "ratio"] == pytest.approx(0.6 / (230 / 300))
    assert value["reference", "a", "difference"] == pytest.approx(0.1)
    assert found["overall", "a", "ratio"].reference == TOTAL
    for one in found.values():
        assert one.interval.low < one.value < one.interval.high


def test_no_reference_no_contrast_with_one() -> None:
    assert {key[0] for key in contrasts(hits(a=(9, 1), b=(6, 4)))} == {"best", "overall"}


def test_the_best_is_in_the_metrics_own_direction() -> None:
    found = contrasts(hits(a=(90, 10), b=(60, 40)), "false_negative_rate")
    assert found["best", "b", "difference"].value == pytest.approx(0.3)


def test_a_ratio_over_nothing_is_undefined() -> None:
    found = contrasts(hits(a=(0, 40), b=(10, 30)), group="a")
    assert isinstance(found["reference", "b", "ratio"].value, Undefined)
    assert found["reference", "b", "difference"].value == pytest.approx(0.25)


def test_a_group_that_is_most_of_the_rows_is_near_to_all_of_them() -> None:
    """The correlation with the total: 950 of 1,000 rows differ from it by what the other 50 are."""
    found = contrasts(hits(a=(760, 190), b=(40, 10)))
    wide, narrow = found["overall", "b", "difference"].interval, found["overall", "a", "difference"].interval
    assert narrow.high - narrow.low < 0.25 * (wide.high - wide.low)


@pytest.mark.parametrize("against", ["best", "overall", "reference"])
def test_intervals_hold_together(against: str) -> None:
    rng, rates, n = np.random.default_rng(1), (0.9, 0.8, 0.85, 0.9), (60, 100, 200, 400)
    overall = float(np.average(rates, weights=n))
    held, draws = 0, 300
    for _ in range(draws):
        drawn = {
            name: (int(yes := rng.binomial(size, rate)), int(size - yes))
            for name, rate, size in zip("abcd", rates, n, strict=True)
        }
        truth = dict(zip("abcd", rates, strict=True))
        ok = True
        for (kind, level, form), one in contrasts(hits(**drawn), group="d").items():
            if kind != against or form != "difference":
                continue
            base = overall if kind == "overall" else truth[one.reference.levels[0]]
            ok &= one.interval.low <= truth[level] - base <= one.interval.high
        held += ok
    assert held / draws >= 0.92  # nominal .95 less two Monte-Carlo errors


def test_many_classes_have_contrasts_of_the_mean_alone(random_decisions: Make) -> None:
    few, many = (
        evaluate(random_decisions(n=3000, classes=classes, levels=(2,)), EvaluationSpec(("recall",))).contrasts
        for classes in (5, 25)
    )
    assert {one.class_name for one in few} > {None}
    assert {one.class_name for one in many} <= {None}


def test_an_area_is_not_taken_for_the_mean_of_its_groups() -> None:
    """Equal areas, unequal sizes and prevalences: the correlation that a rate has with its total does not hold here."""
    rng, sizes, prevalence = np.random.default_rng(2), (100, 500, 100), (0.1, 0.5, 0.3)
    group = Factor("group", ("a", "b", "c"), np.repeat(np.arange(3, dtype=np.int32), sizes))
    held, draws = 0, 200
    for _ in range(draws):
        label = (rng.random(700) < np.repeat(prevalence, sizes)).astype(np.int32)
        score = 1 / (1 + np.exp(-(1.5 * label + rng.standard_normal(700))))
        scores = np.stack([1 - score, score], axis=1)
        data = Decisions(TASK, label, (score > 0.5).astype(np.int32), scores, None, (group,))
        found = [one for key, one in contrasts(data, "auroc").items() if key[0] == "overall" and key[2] == "difference"]
        held += all(one.interval.low <= 0 <= one.interval.high for one in found)
    assert held / draws >= 0.92
