"""Weights on cells give what resampled rows give."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import binom

from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.stats.resampling import alike, profile_weights, replicate, stream, subject_weights


def test_weights_have_the_moments_of_resampling() -> None:
    generator = np.random.default_rng(0)
    drawn = np.concatenate(list(subject_weights(generator, 30, 4000)))
    assert drawn.shape == (4000, 30)
    assert (drawn.sum(axis=1) == 30).all()
    assert_allclose(drawn.mean(), 1)
    assert_allclose(drawn.var(), 1 - 1 / 30, rtol=0.05)
    profiles = np.concatenate(list(profile_weights(generator, np.array([10, 30, 60]), 4000)))
    assert (profiles.sum(axis=1) == 100).all()
    assert_allclose(profiles.mean(axis=0), [10, 30, 60], rtol=0.03)
    assert_allclose(profiles.var(axis=0), [9, 21, 24], rtol=0.1)


def test_streams_differ_by_slice_and_family_and_repeat() -> None:
    one, two = Slice(("sex",), ("F",)), Slice(("sex",), ("M",))
    draws = {
        (where, family): stream(0, where, family).integers(0, 1 << 40)
        for where in (TOTAL, one, two)
        for family in ("a", "b")
    }
    assert len(set(draws.values())) == 6
    assert stream(0, one, "a").integers(0, 1 << 40) == draws[one, "a"]
    assert stream(1, one, "a").integers(0, 1 << 40) != draws[one, "a"]


def test_blocks_do_not_change_the_draws(monkeypatch) -> None:
    from imgid_audit.stats import resampling

    whole = np.concatenate(list(subject_weights(np.random.default_rng(5), 20, 50)))
    counts = np.array([3, 4, 5])
    many = np.concatenate(list(profile_weights(np.random.default_rng(5), counts, 50)))
    topped = np.concatenate(list(subject_weights(np.random.default_rng(5), 701, 50)))
    monkeypatch.setattr(resampling, "BLOCK", 60)
    assert_allclose(np.concatenate(list(subject_weights(np.random.default_rng(5), 20, 50))), whole)
    assert_allclose(np.concatenate(list(subject_weights(np.random.default_rng(5), 701, 50))), topped)
    assert_allclose(np.concatenate(list(profile_weights(np.random.default_rng(5), counts, 50))), many)


def test_weights_of_many_units_are_multinomial() -> None:
    """Against the binomial margin of each weight and the covariance of two, which multinomial counts have."""
    units, draws = 600, 20_000
    drawn = np.concatenate(list(subject_weights(np.random.default_rng(3), units, draws))).astype(np.float64)
    assert drawn.shape == (draws, units)
    assert (drawn.sum(axis=1) == units).all()
    expected = binom.pmf(np.arange(7), units, 1 / units)
    found = np.bincount(drawn.astype(np.int64).ravel(), minlength=7)[:7] / drawn.size
    assert_allclose(found, expected, atol=6 * np.sqrt(expected / drawn.size).max(), rtol=0.05)
    # any half of the units holds a binomial number of the draws: fixed totals, and no unit favoured
    half = drawn[:, : units // 2].sum(axis=1)
    assert_allclose(half.mean(), units / 2, atol=6 * np.sqrt(units / 4 / draws))
    assert_allclose(half.var(), units / 4, rtol=6 * np.sqrt(2 / draws))
    assert np.abs(drawn.mean(axis=0) - 1).max() < 6 / np.sqrt(draws)


def test_a_row_that_draws_too_many_is_drawn_again(monkeypatch) -> None:
    from imgid_audit.stats import resampling

    monkeypatch.setattr(resampling, "sqrt", lambda _: np.inf)  # a rate of 1: half of the rows exceed it
    drawn = np.concatenate(list(subject_weights(np.random.default_rng(3), 600, 4000))).astype(np.float64)
    assert (drawn.sum(axis=1) == 600).all()
    assert_allclose(drawn.var(), 1 - 1 / 600, rtol=0.01)


def test_drawing_kinds_of_units_is_drawing_units() -> None:
    """The same mean and spread of a ratio of sums, whether 3,000 units are drawn or their 12 kinds."""
    rng = np.random.default_rng(0)
    cells = sparse.csr_array(
        np.array([[i, j] for i in range(3) for j in range(1, 5)], dtype=float)[rng.integers(0, 12, 3000)]
    )
    kinds = alike(cells)
    assert kinds is not None
    first, count = kinds
    assert len(first) == 12
    assert count.sum() == 3000
    assert_allclose(count @ cells[first].toarray(), cells.sum(axis=0))

    def ratio(drawn: np.ndarray) -> np.ndarray:
        return drawn[:, 0] / drawn[:, 1]

    by_unit = replicate(subject_weights(np.random.default_rng(1), 3000, 8000), cells, ratio)
    by_kind = replicate(profile_weights(np.random.default_rng(2), count, 8000), cells[first], ratio)
    assert_allclose(by_kind.mean(), by_unit.mean(), atol=6 * by_unit.std() / np.sqrt(8000))
    assert_allclose(by_kind.std(), by_unit.std(), rtol=0.06)
    assert_allclose(np.quantile(by_kind, [0.025, 0.975]), np.quantile(by_unit, [0.025, 0.975]), atol=by_unit.std() / 8)


def test_units_that_differ_are_drawn_one_by_one() -> None:
    rng = np.random.default_rng(0)
    assert alike(sparse.csr_array(rng.random((3000, 2)))) is None
    assert alike(sparse.csr_array(np.ones((10, 2)))) is None
