"""Weights on cells give what resampled rows give."""

from __future__ import annotations

import numpy as np
from numpy.testing import assert_allclose

from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.stats.resampling import profile_weights, stream, subject_weights


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
    monkeypatch.setattr(resampling, "BLOCK", 60)
    assert_allclose(np.concatenate(list(subject_weights(np.random.default_rng(5), 20, 50))), whole)
    assert_allclose(np.concatenate(list(profile_weights(np.random.default_rng(5), counts, 50))), many)
