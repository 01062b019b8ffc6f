"""Bias-corrected temperature scaling: planted truth, oracles, and what is not known of a class never seen."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import log_softmax, softmax

from imgid_audit.evaluation.recalibration import fit_prior, fit_temperature, with_prior


def shifted(rows: int, temperature: float, bias: list[float], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels drawn from softmax(z / T + bias), scores softmax(z)."""
    generator = np.random.default_rng(seed)
    z = 2 * generator.normal(size=(rows, len(bias)))
    truth = softmax(z / temperature + np.array(bias), axis=1)
    label = (truth.cumsum(axis=1) < generator.random((rows, 1))).sum(axis=1).clip(max=len(bias) - 1)
    return label.astype(np.int32), softmax(z, axis=1)


def log_loss(label: np.ndarray, scores: np.ndarray) -> float:
    return float(-np.log(scores[np.arange(len(label)), label]).mean())


@pytest.mark.parametrize("temperature", [0.6, 1.0, 2.5])
@pytest.mark.parametrize("bias", [[1.0, -1.0], [1.5, 0.0, -1.5], [0.0, 0.0, 0.0, 0.0]])
def test_the_planted_temperature_and_bias_are_found(temperature: float, bias: list[float]) -> None:
    found, shift = fit_prior(*shifted(40_000, temperature, bias))
    assert_allclose(found, temperature, rtol=0.05)
    assert_allclose(shift, bias, atol=0.06)


def test_binary_is_logistic_regression_on_the_logit() -> None:
    """Of two classes 1 / T is the slope and the biases' difference the intercept."""
    import statsmodels.api as sm

    label, scores = shifted(700, 1.7, [0.6, -0.6], seed=5)
    line = np.log(scores[:, 1] / scores[:, 0])
    fit = sm.GLM(label, sm.add_constant(line), family=sm.families.Binomial()).fit(tol=1e-13)
    temperature, bias = fit_prior(label, scores)
    assert_allclose([bias[1] - bias[0], 1 / temperature], fit.params, rtol=1e-4)


def test_many_classes_are_between_one_temperature_and_a_full_regression() -> None:
    """The regression on all log scores has every such fit as a special case, which has every temperature as one."""
    from sklearn.linear_model import LogisticRegression

    label, scores = shifted(3000, 1.5, [1.0, 0.0, -0.5, -0.5], seed=2)
    full = LogisticRegression(C=1e9, max_iter=5000).fit(np.log(scores), label).predict_proba(np.log(scores))
    one = softmax(np.log(scores) / fit_temperature(label, scores), axis=1)
    fitted = log_loss(label, with_prior(scores, fit_prior(label, scores)))
    assert log_loss(label, full) <= fitted + 1e-9
    assert fitted < log_loss(label, one) - 0.05


def test_no_near_fit_is_better() -> None:
    label, scores = shifted(500, 0.8, [0.5, 0.5, -1.0], seed=4)
    temperature, bias = fit_prior(label, scores)
    best = log_loss(label, with_prior(scores, (temperature, bias)))
    generator = np.random.default_rng(0)
    for _ in range(50):
        other = temperature * np.exp(0.02 * generator.normal()), bias + 0.02 * generator.normal(size=3)
        assert best <= log_loss(label, with_prior(scores, other)) + 1e-9


def test_the_mean_score_is_the_frequency() -> None:
    label, scores = shifted(900, 2.0, [1.0, 0.0, -1.0], seed=7)
    found = with_prior(scores, fit_prior(label, scores))
    assert_allclose(found.mean(axis=0), np.bincount(label) / 900, atol=1e-6)
    assert_allclose(found.sum(axis=1), 1, atol=1e-12)


def test_adjusted_logits_are_brought_back() -> None:
    """Balanced softmax learns log p(x | y): scores of another prior differ from the natural ones by a bias."""
    generator = np.random.default_rng(3)
    prior = np.array([0.9, 0.09, 0.01])
    label = generator.choice(3, size=50_000, p=prior).astype(np.int32)
    x = label + generator.normal(size=len(label))
    like = -((x[:, None] - np.arange(3)) ** 2) / 2
    natural, balanced = (softmax(like + shift, axis=1) for shift in (np.log(prior), 0.0))
    temperature, bias = fit_prior(label, balanced)
    assert_allclose(temperature, 1, atol=0.05)
    assert_allclose(bias, np.log(prior) - np.log(prior).mean(), atol=0.12)
    assert_allclose(with_prior(balanced, (temperature, bias)), natural, atol=0.02)


def test_a_class_that_val_never_shows_keeps_its_bias() -> None:
    label, scores = shifted(2000, 1.5, [1.0, -1.0], seed=1)
    wide = np.column_stack([scores * 0.9, np.full(2000, 0.1)])
    temperature, bias = fit_prior(label, wide)
    alone = fit_prior(label, scores)
    assert bias[2] == 0
    assert_allclose(temperature, alone[0], rtol=1e-5)
    assert_allclose(bias[:2], alone[1], atol=1e-5)
    assert np.isfinite(with_prior(wide, (temperature, bias))).all()


def test_nothing_to_fit_is_left_alone() -> None:
    label = np.array([0, 1, 2] * 20, dtype=np.int32)
    temperature, bias = fit_prior(label, np.full((60, 3), 1 / 3))
    assert temperature == 1
    assert_array_equal(bias, np.zeros(3))
    with pytest.raises(ValueError, match="rows"):
        fit_prior(label[:0], np.zeros((0, 3)))


def test_every_row_right_stays_finite() -> None:
    label = np.array([0, 1, 2] * 20, dtype=np.int32)
    scores = np.full((60, 3), 0.05) + 0.85 * np.eye(3)[label]
    found = with_prior(scores, fit_prior(label, scores))
    assert np.isfinite(found).all()
    assert_array_equal(found.argmax(axis=1), label)


def test_one_class_alone() -> None:
    temperature, bias = fit_prior(np.zeros(30, dtype=np.int32), np.tile([0.7, 0.3], (30, 1)))
    assert np.isfinite(temperature)
    assert_array_equal(bias, [0, 0])


def test_rows_without_scores_stay_so() -> None:
    scores = np.array([[0.2, 0.8], [np.nan, np.nan]])
    found = with_prior(scores, (1.0, np.array([np.log(4.0), 0.0])))
    assert_allclose(found[0], np.exp(log_softmax([np.log(0.8), np.log(0.8)])))
    assert np.isnan(found[1]).all()
