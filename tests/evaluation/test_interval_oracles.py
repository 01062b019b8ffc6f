"""Intervals of score metrics and F1, as `evaluate` gives them, against slow or foreign computations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.testing import assert_allclose
from numpy.typing import NDArray
from scipy import stats

from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Estimate, Undefined
from imgid_audit.evaluation import evaluate
from tests.stats.test_auroc import delong_variance, obuchowski_variance

Make = Callable[..., Decisions]
Mask = NDArray[np.bool_]
LEVEL = 0.95


def slices(data: Decisions, metric: str) -> Iterator[tuple[Estimate, Mask]]:
    for one in evaluate(data, EvaluationSpec((metric,))).estimates:
        assert not isinstance(one.value, Undefined)
        rows = np.ones(len(data), dtype=bool)
        for name, level in one.slice.key.items():
            factor = data.attribute(name)
            rows &= factor.codes == factor.levels.index(level)
        yield one, rows


def agrees(one: Estimate, low: float, high: float, tolerance: float = 1e-10) -> None:
    assert one.interval is not None
    assert_allclose((one.interval.low, one.interval.high), (low, high), atol=tolerance)


def on_logit_scale(value: float, error: float, df: int) -> tuple[float, float]:
    half = stats.t.ppf(0.5 + LEVEL / 2, df) * error / (value * (1 - value))
    centre = np.log(value / (1 - value))
    return 1 / (1 + np.exp(half - centre)), 1 / (1 + np.exp(-half - centre))


def fay_feuer(mean: float, error: float, worst: float, units: int) -> tuple[float, float]:
    """Limits of a mean from SciPy's gamma distribution; the error has Student's quantile."""
    tail = (1 - LEVEL) / 2
    variance = (error * stats.t.ppf(1 - tail, max(units - 1, 1)) / stats.norm.ppf(1 - tail)) ** 2
    more, spread = mean + worst, variance + worst**2
    low = stats.gamma.ppf(tail, mean**2 / variance, scale=variance / mean)
    return float(low), float(stats.gamma.ppf(1 - tail, more**2 / spread, scale=spread / more))


@pytest.mark.parametrize("digits", [None, 1])
@pytest.mark.parametrize("seed", range(3))
def test_auroc_of_independent_rows_is_delongs(random_decisions: Make, seed: int, digits: int | None) -> None:
    data = random_decisions(n=250, seed=seed, digits=digits)
    for one, rows in slices(data, "auroc"):
        score, positive = data.scores[rows, 1], data.label[rows] == 1
        error = np.sqrt(delong_variance(score, positive))
        fewer = min(int(positive.sum()), int((~positive).sum()))
        low, high = on_logit_scale(one.value, error, fewer - 1)
        least, most = fay_feuer(1 - one.value, error, 0.25 / fewer, fewer)
        agrees(one, min(low, 1 - most), max(high, 1 - least))


@pytest.mark.parametrize("seed", range(3))
def test_auroc_with_subjects_is_obuchowskis(random_decisions: Make, seed: int) -> None:
    data = random_decisions(n=250, seed=seed, subjects=60)
    for one, rows in slices(data, "auroc"):
        score, positive, subject = data.scores[rows, 1], data.label[rows] == 1, data.subject.codes[rows]
        error = np.sqrt(obuchowski_variance(score, positive, subject))
        fewer = min(len(np.unique(subject[positive])), len(np.unique(subject[~positive])))
        low, high = on_logit_scale(one.value, error, fewer - 1)
        least, most = fay_feuer(1 - one.value, error, 0.25 / fewer, fewer)
        agrees(one, min(low, 1 - most), max(high, 1 - least))


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_mean_losses_have_the_gamma_interval(random_decisions: Make, metric: str) -> None:
    data = random_decisions(n=250)
    score, positive = data.scores[:, 1], data.label == 1
    with np.errstate(divide="ignore"):
        loss = (score - positive) ** 2 if metric == "brier" else -np.log(np.where(positive, score, 1 - score))
    for one, rows in slices(data, metric):
        part = loss[rows]
        worst = 1.0 if metric == "brier" else max(part.max(), np.log(2 * len(part)))
        agrees(one, *fay_feuer(part.mean(), stats.sem(part), worst / 2 / len(part), len(part)), tolerance=1e-9)


def test_f1_is_wilsons_interval_of_the_jaccard_index_transformed(random_decisions: Make) -> None:
    from statsmodels.stats.proportion import proportion_confint

    data = random_decisions(n=600)
    for one, rows in slices(data, "f1"):
        label, called = data.label[rows] == 1, data.predicted[rows] == 1
        both, either = int((label & called).sum()), int((label | called).sum())
        low, high = proportion_confint(both, either, method="wilson")
        agrees(one, 2 * low / (1 + low), 2 * high / (1 + high))
