"""Methods that decide: least expected cost by brute force, and fairlearn's thresholds by their constraint."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.optimize import minimize_scalar

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.vision.treatment import Scored

COSTS = {"a": {"b": 1, "c": 9}, "b": {"a": 2, "c": 3}, "c": {"a": 4, "b": 0.5, "c": 0.25}}
LABELS = ("a", "b", "c")


def decide(name: str, ask: Ask, fit: Scored, rows: Scored, seed: int = 0, **params: Any) -> np.ndarray:
    method = MITIGATIONS[name]
    rule = method.build(method.Params.model_validate(params), ask).decide
    assert rule is not None
    return rule(fit, rows, seed)


def test_least_cost_is_that_of_brute_force() -> None:
    scores = np.random.default_rng(0).dirichlet([1, 1, 1], 300)
    rows = Scored(scores, np.zeros(300, np.int32), None)
    for costs, ask in ((COSTS, Ask(LABELS, False, "head")), (None, Ask(LABELS, False, "full", COSTS))):
        found = decide("cost_matrix", ask, rows, rows, costs=costs)
        for p, said in zip(scores, found, strict=True):
            expected = [
                sum(share * COSTS[true].get(guess, 0) for share, true in zip(p, LABELS, strict=True))
                for guess in LABELS
            ]
            assert expected[said] == min(expected)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_with_two_classes_the_trained_scores_cross_the_threshold_where_the_truth_does(share: float) -> None:
    # For rows whose true probability is q, the score that minimises the loss is below 1/6 as long as q is.
    miss, alarm = 5.0, 1.0
    for q in np.linspace(0.01, 0.99, 99):

        def loss(p: float, q: float = q) -> float:
            plain = -(q * np.log(p) + (1 - q) * np.log(1 - p))
            return float((1 - share) * plain + share * (q * miss / 5 * (1 - p) + (1 - q) * alarm / 5 * p))

        best = minimize_scalar(loss, bounds=(1e-9, 1 - 1e-9), method="bounded", options={"xatol": 1e-10}).x
        if abs(q - 1 / 6) > 1e-3:
            assert (best > 1 / 6) == (q > 1 / 6)


@pytest.mark.parametrize(
    ("costs", "message"),
    [
        (None, "needs `costs`"),
        ({"a": {"b": 1, "c": 1}, "b": {"a": 1, "c": 1}}, "lacks a block for the true label 'c'"),
        ({**COSTS, "a": {"b": 1}}, "costs > a lacks the cost of predicting 'c'"),
        ({**COSTS, "d": {"a": 1}}, "unknown label 'd'"),
        ({**COSTS, "a": {"b": 0, "c": 0, "a": 1}}, "more than 0"),
    ],
)
def test_costs_that_do_not_fit(costs: Any, message: str) -> None:
    method = MITIGATIONS["cost_matrix"]
    with pytest.raises(InputError) as told:
        method.build(method.Params.model_validate({"costs": costs}), Ask(LABELS, False, "head"))
    assert message in str(told.value)


def test_a_negative_cost_and_a_boolean_label_are_refused() -> None:
    params = MITIGATIONS["cost_matrix"].Params
    for costs in ({"a": {"b": -1}}, {"a": {"b": float("inf")}}, {True: {"b": 1}}):
        with pytest.raises(ValidationError):
            params.model_validate({"costs": costs})


BINARY = Ask(("no", "yes"), True, "head", positive="yes")


def world(n: int, seed: int) -> Scored:
    """Two groups whose scores separate unequally well and whose positives are unequally frequent."""
    rng = np.random.default_rng(seed)
    groups = (rng.random(n) < 0.4).astype(np.int32)
    labels = (rng.random(n) < np.where(groups == 0, 0.5, 0.3)).astype(np.int32)
    z = np.where(groups == 0, 2.0, 1.0) * (labels - 0.5) + rng.normal(size=n) - 0.2 * groups
    yes = 1 / (1 + np.exp(-1.5 * z))
    return Scored(np.stack([1 - yes, yes], axis=1), labels, groups, ("left", "right"))


def rates(said: np.ndarray, rows: Scored, label: int | None) -> list[float]:
    mask = np.ones(len(said), bool) if label is None else rows.labels == label
    return [float((said[mask & (rows.groups == g)] == 1).mean()) for g in (0, 1)]


@pytest.mark.parametrize(
    ("constraint", "alike"),
    [
        ("equalized_odds", (0, 1)),
        ("demographic_parity", (None,)),
        ("true_positive_rate_parity", (1,)),
        ("false_positive_rate_parity", (0,)),
    ],
)
def test_rates_become_alike_on_the_rows_it_is_fitted_on_and_nearly_on_others(constraint: str, alike: Any) -> None:
    fit, fresh = world(6000, 0), world(6000, 1)
    before = [abs(np.subtract(*rates(fit.scores.argmax(axis=1), fit, label))) for label in alike]
    assert max(before) > 0.08
    for rows, most in ((fit, 0.03), (fresh, 0.05)):
        said = decide("group_thresholds", BINARY, fit, rows, constraint=constraint)
        for label in alike:
            assert abs(np.subtract(*rates(said, rows, label))) < most
    # the share of positive calls over many draws: the constraint itself, without the noise of a draw
    many = np.mean([decide("group_thresholds", BINARY, fit, fit, seed, constraint=constraint) for seed in range(12)], 0)
    for label in alike:
        mask = np.ones(len(many), bool) if label is None else fit.labels == label
        left, right = (many[mask & (fit.groups == g)].mean() for g in (0, 1))
        assert abs(left - right) < 0.012


def test_the_positive_class_is_the_tasks_own() -> None:
    fit = world(3000, 0)
    turned = Scored(fit.scores[:, ::-1], 1 - fit.labels, fit.groups, fit.group_names)
    said = decide("group_thresholds", BINARY, fit, fit, 3, constraint="true_positive_rate_parity")
    other = Ask(("yes", "no"), True, "head", positive="yes")
    assert (
        decide("group_thresholds", other, turned, turned, 3, constraint="true_positive_rate_parity").tolist()
        == (1 - said).tolist()
    )


def test_the_seed_decides_and_test_labels_do_not() -> None:
    fit, rows = world(1000, 0), world(1000, 1)
    unseen = Scored(rows.scores, 1 - rows.labels, rows.groups)
    one = decide("group_thresholds", BINARY, fit, rows, 1).tolist()
    assert one == decide("group_thresholds", BINARY, fit, rows, 1).tolist()
    assert one == decide("group_thresholds", BINARY, fit, unseen, 1).tolist()
    assert one != decide("group_thresholds", BINARY, fit, rows, 2).tolist()


def test_groups_that_cannot_be_served_are_named() -> None:
    fit = world(500, 0)
    alone = Scored(fit.scores, np.where(fit.groups == 1, 0, fit.labels).astype(np.int32), fit.groups, fit.group_names)
    with pytest.raises(InputError, match="group 'right' and label 'yes'"):
        decide("group_thresholds", BINARY, alone, fit)
    left = fit.groups == 0
    part = Scored(fit.scores[left], fit.labels[left], fit.groups[left], fit.group_names)
    with pytest.raises(InputError, match="no threshold for group 'right'"):
        decide("group_thresholds", BINARY, part, fit)
    with pytest.raises(InputError, match=r"train\.groups"):
        decide("group_thresholds", BINARY, Scored(fit.scores, fit.labels, None), fit)
    method = MITIGATIONS["group_thresholds"]
    counts = Counts({"no": 5, "yes": 5}, {"left": 5, "right": 5}, {"left": 5, "right": 0}, {}, 0)
    assert "'right'" in next(iter(method.unmet(method.Params(), BINARY, counts)))


def test_only_binary_tasks_and_objectives_that_fit() -> None:
    method = MITIGATIONS["group_thresholds"]
    with pytest.raises(InputError, match="binary tasks"):
        method.build(method.Params(), Ask(LABELS, False, "head"))
    with pytest.raises(ValidationError, match="for equalized_odds"):
        method.Params(objective="selection_rate")
    assert method.acts_on(method.Params()) == ("decision",)
    assert "group labels at inference" in method.needs(method.Params())
    assert "unlawful" in method.warning
