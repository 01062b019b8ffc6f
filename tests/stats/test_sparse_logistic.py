"""The L1 logistic regression against scikit-learn, and by the conditions that its optimum must meet."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from imgid_audit.stats.sparse_logistic import sparse_logistic


def rows(n: int, d: int, classes: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % classes
    means = rng.normal(size=(classes, d)) * (np.arange(d) < 4)
    return means[codes] + rng.normal(size=(n, d)), codes


def objective(x: np.ndarray, y: np.ndarray, weight: np.ndarray, bias: np.ndarray, c: float) -> float:
    z = x @ weight.T + bias
    z = z - z.max(axis=1, keepdims=True)
    losses = np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]
    return float(c * losses.sum() + np.abs(weight).sum())


def sklearn_fit(x: np.ndarray, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    kind = {"l1_ratio": 1} if LogisticRegression().get_params()["penalty"] == "deprecated" else {"penalty": "l1"}
    fit = LogisticRegression(C=c, solver="saga", tol=1e-7, max_iter=20_000, random_state=0, **kind).fit(x, y)
    return fit.coef_, fit.intercept_


@pytest.mark.parametrize("c", [1.0, 0.1, 0.03])
def test_many_classes_are_scikit_learns(c: float) -> None:
    x, y = rows(150, 8, 3, 0)
    weight, bias = sparse_logistic(x, y, 3, c, tolerance=1e-9, steps=50_000)
    coef, intercept = sklearn_fit(x, y, c)
    assert objective(x, y, weight, bias, c) <= objective(x, y, coef, intercept, c) + 1e-6
    np.testing.assert_allclose(weight, coef, atol=2e-3)
    np.testing.assert_allclose(bias - bias.mean(), intercept - intercept.mean(), atol=2e-3)


@pytest.mark.parametrize("c", [1.0, 0.05])
def test_two_classes_are_scikit_learns_binary_model(c: float) -> None:
    x, y = rows(150, 8, 2, 1)
    weight, bias = sparse_logistic(x, y, 2, c, tolerance=1e-9, steps=50_000)
    coef, intercept = sklearn_fit(x, y, c)
    np.testing.assert_allclose(weight[1] - weight[0], coef[0], atol=1e-3)
    assert bias[1] - bias[0] == pytest.approx(intercept[0], abs=1e-3)
    np.testing.assert_allclose(weight[0], -weight[1], atol=1e-12)


def test_the_optimum_meets_its_conditions_with_more_features_than_rows() -> None:
    x, y = rows(40, 90, 3, 2)
    c = 0.5
    weight, bias = sparse_logistic(x, y, 3, c, tolerance=1e-10, steps=100_000)
    z = np.exp(x @ weight.T + bias)
    slope = c * (z / z.sum(axis=1, keepdims=True) - np.eye(3)[y]).T
    np.testing.assert_allclose(slope.sum(axis=1), 0, atol=1e-5)  # intercepts are free
    inner = slope @ x
    assert (np.abs(inner) <= 1 + 1e-5).all()
    held = weight != 0
    assert 0 < held.sum() < held.size / 2
    np.testing.assert_allclose(inner[held], -np.sign(weight[held]), atol=1e-5)


def test_where_it_starts_does_not_change_where_it_ends() -> None:
    x, y = rows(100, 10, 4, 3)
    cold = sparse_logistic(x, y, 4, 0.2, tolerance=1e-9, steps=50_000)
    start = (np.random.default_rng(0).normal(size=(4, 10)), np.ones(4))
    warm = sparse_logistic(x, y, 4, 0.2, start, tolerance=1e-9, steps=50_000)
    np.testing.assert_allclose(warm[0], cold[0], atol=1e-5)


def test_a_penalty_that_is_too_strong_leaves_intercepts_alone() -> None:
    x, y = rows(90, 5, 3, 4)
    y = np.where(np.arange(90) < 60, 0, y)
    weight, bias = sparse_logistic(x, y, 3, 1e-4)
    assert not weight.any()
    share = np.bincount(y, minlength=3) / 90
    np.testing.assert_allclose(np.exp(bias) / np.exp(bias).sum(), share, atol=1e-2)
