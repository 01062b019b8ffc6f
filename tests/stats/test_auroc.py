"""Ranking metrics against independent transcriptions, jackknives and brute force."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.metrics import average_precision_score, roc_auc_score

from imgid_audit.stats.auroc import Order, Runs, auroc, average_precision
from imgid_audit.stats.units import Units


def draw(n: int = 300, slices: int = 3, subjects: int = 40, digits: int | None = None, seed: int = 0):
    generator = np.random.default_rng(seed)
    subject = generator.integers(0, subjects, n)
    score = generator.normal(size=n) + generator.normal(size=subjects)[subject]
    positive = generator.random(n) < 1 / (1 + np.exp(-score))
    if digits is not None:
        score = np.round(score, digits)
    codes = generator.integers(0, slices, n).astype(np.int32)
    return score, positive, codes, subject.astype(np.int32)


def delong_variance(score: np.ndarray, positive: np.ndarray) -> float:
    """DeLong et al. (1988) from the kernel matrix, no ranks."""
    x, y = score[positive], score[~positive]
    kernel = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
    return kernel.mean(axis=1).var(ddof=1) / len(x) + kernel.mean(axis=0).var(ddof=1) / len(y)


def obuchowski_variance(score: np.ndarray, positive: np.ndarray, subject: np.ndarray) -> float:
    """Obuchowski (1997), cluster by cluster, from the kernel matrix."""
    x, y = np.flatnonzero(positive), np.flatnonzero(~positive)
    kernel = (score[x][:, None] > score[y][None, :]) + 0.5 * (score[x][:, None] == score[y][None, :])
    area, v10, v01 = kernel.mean(), kernel.mean(axis=1), kernel.mean(axis=0)
    m, n = len(x), len(y)
    s10 = s01 = s11 = 0.0
    clusters = np.unique(subject)
    for one in clusters:
        a = (v10[subject[x] == one] - area).sum()
        b = (v01[subject[y] == one] - area).sum()
        s10, s01, s11 = s10 + a * a, s01 + b * b, s11 + a * b
    i10, i01, i = len(np.unique(subject[x])), len(np.unique(subject[y])), len(clusters)
    s10, s01, s11 = s10 * i10 / ((i10 - 1) * m), s01 * i01 / ((i01 - 1) * n), s11 * i / (i - 1)
    return s10 / m + s01 / n + 2 * s11 / (m * n)


@pytest.mark.parametrize("digits", [None, 1, 0])
def test_values_and_delong(digits: int | None) -> None:
    score, positive, codes, _ = draw(digits=digits)
    runs = Runs.of(Order.of(score), positive, codes, 3)
    area, precision = auroc(runs, None), average_precision(runs, None)
    for s in range(3):
        part = codes == s
        assert_allclose(area.value[s], roc_auc_score(positive[part], score[part]), atol=1e-12)
        assert_allclose(precision.value[s], average_precision_score(positive[part], score[part]), atol=1e-12)
        assert_allclose(area.variance[s], delong_variance(score[part], positive[part]), rtol=1e-10)
        assert area.positives[s] == positive[part].sum()


@pytest.mark.parametrize("digits", [None, 0])
def test_clustered_variance(digits: int | None) -> None:
    score, positive, codes, subject = draw(digits=digits, seed=2)
    runs = Runs.of(Order.of(score), positive, codes, 3)
    found = auroc(runs, Units.of(codes, subject, 3, 40))
    for s in range(3):
        part = codes == s
        assert_allclose(found.variance[s], obuchowski_variance(score[part], positive[part], subject[part]), rtol=1e-10)


def test_every_row_its_own_subject_is_delong() -> None:
    score, positive, codes, _ = draw(digits=1)
    runs = Runs.of(Order.of(score), positive, codes, 3)
    own = Units.of(codes, np.arange(len(codes), dtype=np.int32), 3, len(codes))
    assert_allclose(auroc(runs, own).variance, auroc(runs, None).variance, rtol=1e-10)
    assert_allclose(average_precision(runs, own).variance, average_precision(runs, None).variance, rtol=1e-10)


@pytest.mark.parametrize("digits", [None, 0])
@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_influence_is_the_derivative_by_a_rows_weight(metric, digits: int | None) -> None:
    """Against the weighted metric of scikit-learn, with one row's weight nudged."""
    score, positive, _, _ = draw(n=60, digits=digits, seed=5)
    codes = np.zeros(60, dtype=np.int32)
    influence = metric(Runs.of(Order.of(score), positive, codes, 1), None, influence=True).influence
    oracle = roc_auc_score if metric is auroc else average_precision_score
    step = 1e-5
    for i in range(60):
        up, down = np.ones(60), np.ones(60)
        up[i] += step
        down[i] -= step
        slope = (oracle(positive, score, sample_weight=up) - oracle(positive, score, sample_weight=down)) / (2 * step)
        assert_allclose(influence[i], slope, atol=1e-8)
    assert_allclose(influence.sum(), 0, atol=1e-12)


def test_average_precision_error_against_a_bootstrap_of_rows() -> None:
    score, positive, _, _ = draw(n=500, seed=7)
    found = average_precision(Runs.of(Order.of(score), positive, np.zeros(500, dtype=np.int32), 1), None)
    generator = np.random.default_rng(0)
    replicates = []
    for _ in range(600):
        rows = generator.integers(0, 500, 500)
        replicates.append(average_precision_score(positive[rows], score[rows]))
    assert_allclose(np.sqrt(found.variance[0]), np.std(replicates), rtol=0.12)


def test_slices_without_a_class() -> None:
    score = np.arange(6.0)
    positive = np.array([True, True, False, False, True, False])
    codes = np.array([0, 0, 1, 1, 3, 3], dtype=np.int32)
    runs = Runs.of(Order.of(score), positive, codes, 4)
    for units in (None, Units.of(codes, np.arange(6, dtype=np.int32), 4, 6)):
        area, precision = auroc(runs, units), average_precision(runs, units)
        assert np.isnan(area.value[:3]).all()
        assert area.value[3] == 0
        assert np.isnan(area.variance).all()
        assert_allclose(precision.value, [1, np.nan, np.nan, 0.5])


def test_units_do_not_depend_on_how_they_are_numbered() -> None:
    codes = np.array([1, 0, 1, 1, 0], dtype=np.int32)
    subject = np.array([7, 7, 2, 7, 3], dtype=np.int32)
    few = Units.of(codes, subject, 2, 10)
    many = Units.of(codes, subject, 2, 100_000_000)
    assert few.of_row.tolist() == many.of_row.tolist()
    assert few.per_slice.tolist() == many.per_slice.tolist() == [2, 2]
