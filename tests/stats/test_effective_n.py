"""The design effect against a loop over subjects, and its shrinkage at the ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.testing import assert_allclose

from imgid_audit.stats.effective_n import design_effect, segment_sum


def by_hand(y: np.ndarray, m: np.ndarray) -> float:
    """One slice, one rate, subject by subject, from the definition."""
    kept = m > 0
    y, m = y[kept], m[kept]
    n, x, k = m.sum(), y.sum(), len(m)
    p = x / n
    prior = 1 + ((m**2).sum() / n - 1) * 0.5
    holders = sum(1 for yi in y if yi > 0) if x <= n - x else sum(1 for yi, mi in zip(y, m, strict=True) if mi > yi)
    if 2 * x == n:
        holders = min(sum(1 for yi in y if yi > 0), sum(1 for yi, mi in zip(y, m, strict=True) if mi > yi))
    if k < 2 or p in (0, 1):
        return max(1.0, prior)
    variance = k / (k - 1) * sum((yi - p * mi) ** 2 for yi, mi in zip(y, m, strict=True)) / n**2
    data = variance / (p * (1 - p) / n)
    weight = holders / (holders + 4)
    return max(1.0, weight * data + (1 - weight) * prior)


def test_against_a_loop_over_subjects() -> None:
    generator = np.random.default_rng(0)
    sizes = [0, 1, 2, 5, 40, 0, 200]
    offsets = np.concatenate(([0], np.cumsum(sizes)))
    m = generator.integers(0, 6, (offsets[-1], 3))
    y = generator.binomial(m, generator.beta(1, 4, (offsets[-1], 1)))
    effect, subjects = design_effect(y, m, offsets)
    for s, (first, last) in enumerate(pairwise(offsets)):
        for k in range(3):
            assert subjects[s, k] == (m[first:last, k] > 0).sum()
            if m[first:last, k].sum():
                assert_allclose(effect[s, k], by_hand(y[first:last, k], m[first:last, k]), rtol=1e-10)
            else:
                assert effect[s, k] == 1


def test_one_row_a_subject_costs_almost_nothing() -> None:
    y = np.random.default_rng(1).integers(0, 2, 500)
    effect, _ = design_effect(y, np.ones(500), np.array([0, 500]))
    assert 1 <= effect[0] < 1.01


def test_copies_of_a_row_count_once() -> None:
    """Ten identical images of each subject are worth one: the design effect comes out near ten."""
    y = 10 * np.random.default_rng(2).integers(0, 2, 400)
    effect, _ = design_effect(y, np.full(400, 10), np.array([0, 400]))
    assert 9 < effect[0] <= 10.1


def test_without_the_rarer_outcome_the_prior_alone_speaks() -> None:
    effect, _ = design_effect(np.zeros(30), np.full(30, 5), np.array([0, 30]))
    assert_allclose(effect, 1 + (5 - 1) * 0.5)


def test_segment_sum_of_empty_segments() -> None:
    assert_allclose(segment_sum(np.arange(5.0), np.array([0, 0, 2, 2, 5, 5])), [0, 1, 0, 9, 0])
    assert_allclose(segment_sum(np.zeros((0, 2)), np.array([0, 0])), [[0, 0]])
