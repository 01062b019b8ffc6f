"""Published numbers: ProPublica's COMPAS confusion counts (Larson et al. 2016)."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Evaluation
from imgid_audit.core.task import Task
from imgid_audit.evaluation import evaluate

COUNTS = {"Black": (990, 805, 532, 1369), "White": (1139, 349, 461, 505)}
"""TN, FP, FN, TP."""


@pytest.fixture(scope="module")
def compas() -> Evaluation:
    label, predicted, race = [], [], []
    for code, counts in enumerate(COUNTS.values()):
        label += np.repeat([0, 0, 1, 1], counts).tolist()
        predicted += np.repeat([0, 1, 0, 1], counts).tolist()
        race += [code] * sum(counts)
    decisions = Decisions(
        Task("binary", ("no", "yes"), "yes"),
        np.array(label, dtype=np.int32),
        np.array(predicted, dtype=np.int32),
        None,
        None,
        (Factor("race", tuple(COUNTS), np.array(race, dtype=np.int32)),),
    )
    metrics = ("false_positive_rate", "false_negative_rate", "precision", "selection_rate", "accuracy")
    return evaluate(decisions, EvaluationSpec(metrics, intervals=IntervalSpec(draws=0)))


def test_rates(compas: Evaluation) -> None:
    found = {(one.metric, one.slice.levels): one for one in compas.estimates}
    for metric, black, white, digits in (
        ("false_positive_rate", 0.4485, 0.2345, 4),
        ("false_negative_rate", 0.2799, 0.4772, 4),
        ("precision", 0.63, 0.59, 2),
    ):
        assert round(found[metric, ("Black",)].value, digits) == black
        assert round(found[metric, ("White",)].value, digits) == white
    missed = found["false_negative_rate", ("Black",)]
    assert_allclose([missed.interval.low, missed.interval.high], [0.260132, 0.300462], atol=5e-7)
    assert (missed.interval.method, missed.interval.level) == ("Wilson", 0.95)
    assert (missed.n, missed.support, missed.subjects) == (3696, 1901, None)


def test_gaps(compas: Evaluation) -> None:
    found = {(gap.metric, gap.kind): gap for gap in compas.gaps}
    assert_allclose(found["equalized_odds", "difference"].value, 0.213925, atol=5e-7)
    assert_allclose(found["demographic_parity", "difference"].value, 0.240200, atol=5e-7)
    assert_allclose(found["demographic_parity", "ratio"].value, 0.591638, atol=5e-7)
    odds = found["equalized_odds", "difference"]
    assert odds.best.levels == ("White",)
    assert odds.worst.levels == ("Black",)
    assert odds.p_value < 1e-20
    assert found["demographic_parity", "difference"].p_value == found["selection_rate", "ratio"].p_value


def test_gap_of_two_groups_is_newcombes(compas: Evaluation) -> None:
    from statsmodels.stats.proportion import confint_proportions_2indep

    gap = next(g for g in compas.gaps if g.metric == "false_positive_rate" and g.kind == "difference")
    expected = confint_proportions_2indep(805, 1795, 349, 1488, compare="diff", method="newcomb")
    assert_allclose([gap.interval.low, gap.interval.high], expected, atol=1e-12)


def test_confusion(compas: Evaluation) -> None:
    assert compas.confusion.tolist() == [[2129, 1154], [993, 1874]]
