"""Temperature scaling: the fit against a grid and a known truth, and what it must not change."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax

from imgid_audit.evaluation.recalibration import WIDEST, at_end, fit_temperature, with_temperature


def simulated(rows: int, classes: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z / temperature), scores softmax(z)."""
    generator = np.random.default_rng(seed)
    z = 2 * generator.normal(size=(rows, classes))
    truth = softmax(z / temperature, axis=1)
    label = (truth.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1).clip(max=classes - 1)
    return label.astype(np.int32), softmax(z, axis=1)


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_planted_temperature_is_found(classes: int, temperature: float) -> None:
    label, scores = simulated(20_000, classes, temperature)
    assert_allclose(fit_temperature(label, scores), temperature, rtol=0.06)


def test_the_fit_is_the_minimum_of_scikit_learns_log_loss() -> None:
    from sklearn.metrics import log_loss

    label, scores = simulated(300, 3, 2.0, seed=3)
    found = fit_temperature(label, scores)
    grid = np.exp(np.linspace(-1, 2, 301))
    losses = [log_loss(label, softmax(np.log(scores) / t, axis=1)) for t in grid]
    best = log_loss(label, softmax(np.log(scores) / found, axis=1))
    assert best <= min(losses) + 1e-12
    assert_allclose(found, grid[int(np.argmin(losses))], rtol=0.011)


def test_binary_temperature_is_a_logistic_slope() -> None:
    """Of two classes, 1 / T is the slope of the outcome on the logit without an intercept."""
    import statsmodels.api as sm

    label, scores = simulated(500, 2, 1.7, seed=5)
    line = np.log(scores[:, 1] / scores[:, 0])
    fit = sm.GLM(label, line[:, None], family=sm.families.Binomial()).fit(tol=1e-12)
    assert_allclose(1 / fit_temperature(label, scores), fit.params[0], rtol=1e-5)


@pytest.mark.parametrize("temperature", [1 / WIDEST, 0.3, 1.0, 7.0, WIDEST])
def test_the_top_label_and_the_sum_stay(temperature: float) -> None:
    generator = np.random.default_rng(1)
    scores = generator.dirichlet(np.full(4, 0.2), 5000)
    near = np.full((3, 4), 0.25)
    near[0, 2] = np.nextafter(0.25, 1)  # a lead that scaling rounds away
    near[1, 1:3] = np.nextafter(0.25, 1)
    scores = np.concatenate([scores, near, np.eye(4), [[0.5, 0.5, 0, 0]]])
    found = with_temperature(scores, temperature)
    assert_array_equal(found.argmax(axis=1), scores.argmax(axis=1))
    assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    assert np.all((found >= 0) & (found <= 1))


def test_rows_without_a_prediction_stay_without() -> None:
    scores = np.array([[np.nan, np.nan], [0.2, 0.8]])
    found = with_temperature(scores, 2.0)
    assert np.isnan(found[0]).all()
    assert np.isnan(scores[0]).all()
    assert_allclose(found[1], [1 / 3, 2 / 3])
    assert_allclose(scores[1], [0.2, 0.8])


@pytest.mark.parametrize("classes", [2, 4])
def test_where_no_temperature_helps_it_is_1(classes: int) -> None:
    """Equal scores stay equal at any temperature, and those of one label in two at a half are the best there are."""
    label = (np.arange(60) % classes).astype(np.int32)
    assert fit_temperature(label, np.full((60, classes), 1 / classes)) == 1.0


def test_a_perfect_validation_split_stops_at_the_end_of_the_range() -> None:
    label = np.array([0, 1, 0, 1], dtype=np.int32)
    scores = np.where(label[:, None] == [0, 1], 0.7, 0.3)
    found = fit_temperature(label, scores)
    assert_allclose(found, 1 / WIDEST)
    assert at_end(found)
    assert not at_end(1.0)
    with pytest.raises(ValueError, match="rows"):
        fit_temperature(label[:0], scores[:0])
