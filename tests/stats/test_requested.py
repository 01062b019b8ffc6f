"""Comparisons on request: the asked function, of the effective counts, for plain proportions alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from imgid_audit.core.errors import InputError
from imgid_audit.core.policy import Forms
from imgid_audit.stats import two_samples
from imgid_audit.stats.bands import RateBand, StudentBand
from imgid_audit.stats.requested import pair_method, requested_limits

SUCCESSES, TRIALS = np.array([90.0, 60.0, 0.0]), np.array([100.0, 80.0, 0.0])
EFFECTIVE, SUBJECTS = np.array([40.0, 25.0, 0.0]), np.array([10.0, 6.0, 0.0])
ASKED = Forms(difference="miettinen_nurminen", ratio="koopman")
CLUSTERED = RateBand(SUCCESSES, TRIALS, EFFECTIVE, SUBJECTS, forms=ASKED)


@pytest.mark.parametrize(
    ("kind", "function"), [("difference", two_samples.miettinen_nurminen), ("ratio", two_samples.koopman)]
)
def test_effective_counts_and_the_fewer_degrees_of_freedom(kind, function: two_samples.TwoSamples) -> None:
    found = requested_limits(CLUSTERED, kind, 0.95)
    assert found is not None
    forward, backward = (36.0, 40.0, 18.75, 25.0), (18.75, 25.0, 36.0, 40.0)
    assert_allclose([part[0, 1] for part in found], function(*forward, 0.95, df=5), rtol=1e-12)
    assert_allclose([part[1, 0] for part in found], function(*backward, 0.95, df=5), rtol=1e-12)
    assert np.isnan([part[0, 2] for part in found]).all()


def test_independent_rows_are_plain_counts() -> None:
    band = RateBand(SUCCESSES, TRIALS, TRIALS, forms=ASKED)
    found = requested_limits(band, "difference", 0.9)
    assert found is not None
    assert_allclose([part[0, 1] for part in found], two_samples.miettinen_nurminen(90, 100, 60, 80, 0.9), rtol=1e-12)


def test_draws_of_assumed_rates_have_the_default() -> None:
    stacked = RateBand(*(np.stack([part, part]) for part in (SUCCESSES, TRIALS, EFFECTIVE, SUBJECTS)), forms=ASKED)
    assert requested_limits(stacked, "difference", 0.95) is None


def test_the_default_and_what_is_no_plain_proportion_are_left_alone() -> None:
    student = StudentBand(np.array([0.5, 0.6]), np.array([0.1, 0.1]), np.array([9.0, 9.0]), "rows", "t interval")
    for band in (replace(CLUSTERED, forms=Forms()), replace(CLUSTERED, transform=np.square), student):
        assert requested_limits(band, "difference", 0.95) is None
        assert pair_method(band, "difference").name == "MOVER"
    assert pair_method(CLUSTERED, "difference").name == "Miettinen-Nurminen"
    assert pair_method(CLUSTERED, "ratio").name == "Koopman"


def test_a_form_that_there_is_not_is_named() -> None:
    with pytest.raises(InputError, match=r"intervals > ratio must be one of mover, koopman, katz, got 'wald'"):
        Forms(ratio="wald")  # type: ignore[arg-type]
