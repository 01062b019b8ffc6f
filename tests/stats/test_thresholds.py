"""The search of a threshold and its bootstrap: against rows that are really repeated, and planted truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import f1_score, recall_score

from imgid_audit.stats import thresholds
from imgid_audit.stats.thresholds import Candidates, Target, choose, limits, redraw

TARGETS = (
    Target("specificity", 0.9),
    Target("sensitivity", 0.75),
    Target("fpr", 0.2),
    Target("f1"),
    Target("youden"),
)


def criterion(target: Target, score: np.ndarray, positive: np.ndarray, threshold: float) -> float:
    """The criterion by scikit-learn, from rows."""
    called = score >= threshold
    if target.criterion == "f1":
        return float(f1_score(positive, called, zero_division=0))
    sensitivity = recall_score(positive, called, zero_division=0)
    specificity = recall_score(~positive, ~called, zero_division=0)
    named = {
        "sensitivity": sensitivity,
        "specificity": specificity,
        "fpr": 1 - specificity,
        "youden": sensitivity + specificity - 1,
    }
    return float(named[target.criterion])


def by_rows(target: Target, score: np.ndarray, positive: np.ndarray) -> float:
    """The documented choice over the rows' own scores, NaN where the criterion has no rows."""
    lacks = {"sensitivity": (positive,), "f1": (positive,), "youden": (positive, ~positive)}
    if not all(rows.any() for rows in lacks.get(target.criterion, (~positive,))):
        return float("nan")
    candidates = [*np.unique(score), np.nextafter(score.max(), np.inf)]
    values = np.array([criterion(target, score, positive, t) for t in candidates])
    if target.value is None:
        return float(candidates[np.flatnonzero(values >= values.max() - 1e-12)[0]])
    met = values <= target.value + 1e-12 if target.criterion == "fpr" else values >= target.value - 1e-12
    return float(candidates[np.flatnonzero(met)[-1 if target.criterion == "sensitivity" else 0]])


@settings(max_examples=60, deadline=None)
@given(
    rows=st.lists(st.tuples(st.booleans(), st.integers(0, 8), st.integers(0, 3)), min_size=1, max_size=30),
    target=st.sampled_from(TARGETS),
)
def test_a_replicate_is_the_rows_repeated(rows: list[tuple[bool, int, int]], target: Target) -> None:
    positive = np.array([row[0] for row in rows])
    score = np.array([row[1] / 8 for row in rows])
    weight = np.array([row[2] for row in rows])
    if not weight.any():
        return
    candidates = Candidates.of(score)
    size = len(candidates.lowest)
    counts = np.bincount(candidates.of_row + size * positive, weights=weight, minlength=2 * size).reshape(1, 2, size)
    chosen, reached = choose(target, counts)
    found = candidates.thresholds(chosen, counts)[0]
    drawn, said = np.repeat(score, weight), np.repeat(positive, weight)
    expected = by_rows(target, drawn, said)
    assert found == expected or (np.isnan(found) and np.isnan(expected))
    if not np.isnan(found):
        assert reached[0] == pytest.approx(criterion(target, drawn, said, found))


def counted(target: Target, score: np.ndarray, positive: np.ndarray) -> float:
    """`by_rows` with its criteria counted in a table of rows by candidates."""
    if not (positive.any() and (~positive).any()):
        return by_rows(target, score, positive)
    candidates = np.append(np.unique(score), np.nextafter(score.max(), np.inf))
    called = score[:, None] >= candidates
    hits, alarms = called[positive].sum(axis=0), called[~positive].sum(axis=0)
    sensitivity, fpr = hits / positive.sum(), alarms / (~positive).sum()
    values = {
        "sensitivity": sensitivity,
        "fpr": fpr,
        "specificity": 1 - fpr,
        "youden": sensitivity - fpr,
        "f1": 2 * hits / (hits + alarms + positive.sum()),
    }[target.criterion]
    if target.value is None:
        return float(candidates[np.flatnonzero(values >= values.max() - 1e-12)[0]])
    met = values <= target.value + 1e-12 if target.criterion == "fpr" else values >= target.value - 1e-12
    return float(candidates[np.flatnonzero(met)[-1 if target.criterion == "sensitivity" else 0]])


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.criterion)
@pytest.mark.parametrize(("clustered", "digits"), [(True, 1), (False, 1), (False, 0)])
def test_the_bootstrap_has_the_distribution_of_resampled_rows(target: Target, clustered: bool, digits: int) -> None:
    generator = np.random.default_rng(4)
    subject = np.repeat(np.arange(30, dtype=np.int32), 4)
    positive = generator.random(120) < 0.4
    score = np.round(generator.normal(size=120) + np.repeat(generator.normal(size=30), 4) + 1.5 * positive, digits)
    found = redraw(target, score, positive, subject if clustered else None, np.random.default_rng(1), 1000)
    naive = np.empty(600)
    for i in range(600):
        units = generator.integers(0, 30 if clustered else 120, 30 if clustered else 120)
        rows = np.concatenate([np.flatnonzero(subject == unit) for unit in units]) if clustered else units
        naive[i] = counted(target, score[rows], positive[rows])
    assert np.isfinite(found).all()
    assert stats.ks_2samp(found, naive).pvalue > 1e-3


def test_draws_without_the_rows_that_count_are_counted_and_left_out() -> None:
    score, positive = np.array([0.1, 0.4, 0.6]), np.array([False, False, True])
    found = redraw(Target("sensitivity", 0.9), score, positive, None, np.random.default_rng(0), 20_000)
    assert np.isnan(found).mean() == pytest.approx((2 / 3) ** 3, abs=0.015)
    assert set(found[np.isfinite(found)]) == {0.6}


def test_blocks_and_seed_change_nothing_or_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    score, positive = generator.random(500), generator.random(500) < 0.5
    subject = generator.integers(0, 90, 500).astype(np.int32)
    whole = [redraw(TARGETS[0], score, positive, s, np.random.default_rng(3), 300) for s in (None, subject)]
    monkeypatch.setattr(thresholds, "BLOCK", 7000)
    parts = [redraw(TARGETS[0], score, positive, s, np.random.default_rng(3), 300) for s in (None, subject)]
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))
    other = redraw(TARGETS[0], score, positive, subject, np.random.default_rng(4), 300)
    assert not np.array_equal(whole[1], other)


def test_many_distinct_scores_become_that_many_candidates(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(2)
    score, positive = generator.random(20_000), generator.random(20_000) < 0.5
    exact = redraw(TARGETS[0], score, positive, None, np.random.default_rng(3), 200)
    monkeypatch.setattr(thresholds, "COARSEST", 1000)
    coarse = redraw(TARGETS[0], score, positive, None, np.random.default_rng(3), 200)
    assert set(coarse) <= set(score)
    for tail in (0.025, 0.5, 0.975):
        assert np.quantile(coarse, tail) == pytest.approx(np.quantile(exact, tail), abs=0.004)


def test_limits_are_thresholds_that_were_drawn_and_hold_the_point() -> None:
    found = np.array([0.1, 0.2, 0.3, np.nan, 0.4, 0.9])
    assert limits(found, 0.5, 0.35) == (0.2, 0.4)
    assert limits(found, 0.5, 0.05) == (0.05, 0.4)
    assert limits(np.array([0.1, np.nan]), 0.5, 0.35) is None


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "correlation"), [(1, 0.0), (5, 0.3)])
def test_the_interval_holds_the_populations_threshold(rows: int, correlation: float) -> None:
    """Specificity .9 of normal scores: the population's threshold is the normal quantile."""
    truth, generator, hits = stats.norm.ppf(0.9), np.random.default_rng(6), 0
    subject = np.repeat(np.arange(200, dtype=np.int32), rows)
    for draw in range(300):
        positive = np.repeat(generator.random(200) < 0.3, rows)
        shared = np.repeat(generator.normal(size=200), rows)
        noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * generator.normal(size=200 * rows)
        found = redraw(TARGETS[0], noise + 1.5 * positive, positive, subject, np.random.default_rng(draw), 400)
        low, high = limits(found, 0.95, float(np.median(found)))
        hits += low <= truth <= high
    assert 0.91 <= hits / 300 <= 0.99
