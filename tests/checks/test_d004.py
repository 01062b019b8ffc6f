"""D004: association by the bias-corrected Cramér's V, against SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association

from imgid_audit.checks.association import contingency, cramers_v


def test_large_tables_agree_with_scipy() -> None:
    """Where n is large the correction vanishes, and SciPy's plain V is the same."""
    table = np.array([[500_000, 200_000, 10_000], [100_000, 400_000, 300_000]])
    assert cramers_v(table) == pytest.approx(association(table, method="cramer"), abs=1e-5)


def test_the_correction_is_bergsmas() -> None:
    table = np.array([[12, 3, 5], [4, 9, 7], [6, 2, 2]])
    n, (r, c) = table.sum(), table.shape
    phi = chi2_contingency(table, correction=False).statistic / n - (r - 1) * (c - 1) / (n - 1)
    sides = [k - (k - 1) ** 2 / (n - 1) for k in (r, c)]
    assert cramers_v(table) == pytest.approx(np.sqrt(max(0, phi) / (min(sides) - 1)), rel=1e-12)


def test_independent_columns_are_near_zero_even_in_small_tables() -> None:
    rng = np.random.default_rng(0)
    values = [cramers_v(contingency(*rng.integers(0, 5, size=(2, 60)).astype(np.int32))) for _ in range(300)]
    plain = [association(contingency(*rng.integers(0, 5, size=(2, 60)).astype(np.int32))) for _ in range(100)]
    assert np.mean(values) < np.mean(plain) / 3


def test_one_level_has_no_association() -> None:
    assert cramers_v(contingency(np.zeros(9, np.int32), np.arange(9, dtype=np.int32))) is None


def test_few_subjects_correct_more() -> None:
    table = np.array([[30, 10], [12, 28]])
    few, many = cramers_v(table, units=10), cramers_v(table)
    assert few is not None
    assert many is not None
    assert few < many


def test_confounded_columns_are_named_strongest_first(run, make) -> None:
    rng = np.random.default_rng(0)
    label = rng.choice(["a", "b"], 600)
    device = np.where(label == "a", "x", "y")
    site = np.where(rng.random(600) < 0.8, device, rng.choice(["x", "y"], 600))
    free = rng.choice(["p", "q"], 600)
    finding = run("D004", make.manifest(list(label), device=list(device), site=list(site), free=list(free)))
    assert finding.status == "finding"
    assert finding.reason.index("label and device (V = 1.00)") < finding.reason.index("label and site")
    assert "free" not in finding.reason
    assert len(finding.evidence["pairs"]) == 6
    assert run("D004", make.manifest(list(label), free=list(free))).status == "passed"


def test_missing_is_a_level_like_any_other(run, make) -> None:
    labels = ["a"] * 50 + ["b"] * 50
    assert run("D004", make.manifest(labels, age=["(missing)"] * 50 + ["old"] * 50)).status == "finding"


def test_what_cannot_be_asked(run, make) -> None:
    assert run("D004", make.manifest(["a", "b"] * 9)).status == "not_applicable"
    assert run("D004", make.manifest(["a", "b"], sex=["f", "m"])).status == "skipped"
    assert run("D004", make.manifest(["a", "b"] * 9, sex=["f"] * 18)).status == "skipped"
