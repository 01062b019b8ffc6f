"""The exact coverage of differences and ratios that docs/methods.md prints, recomputed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from imgid_audit.stats import mover, two_samples
from imgid_audit.stats.intervals import Bounds, Floats, rate_limits

DOCUMENT = Path(__file__).parents[2] / "docs" / "methods.md"
SIZES = [(10, 10), (20, 20), (50, 50), (200, 200), (10, 50), (50, 10), (20, 200), (200, 20), (50, 200)]
RATES = (0.05, 0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.99)
LEVEL = 0.95
Limits = Callable[[Floats, float, Floats, float], Bounds]


def own_limits(combine: Callable[..., Bounds]) -> Limits:
    """The default: MOVER of the limits that the proportions themselves are shown with."""

    def limits(x1: Floats, n1: float, x2: Floats, n2: float) -> Bounds:
        one, two = (rate_limits(x, n, n, np.inf, LEVEL) for x, n in ((x1, n1), (x2, n2)))
        return combine(x1 / n1, one, x2 / n2, two)

    return limits


def plain(function: two_samples.TwoSamples) -> Limits:
    return lambda x1, n1, x2, n2: function(x1, n1, x2, n2, LEVEL)


COMPARISONS: list[tuple[str, str, Limits]] = [
    ("difference", "MOVER of the proportions' limits (default)", own_limits(mover.difference)),
    ("difference", "Newcombe, of Wilson limits alone", plain(two_samples.newcombe)),
    ("difference", "Miettinen-Nurminen", plain(two_samples.miettinen_nurminen)),
    ("ratio", "MOVER-R of the proportions' limits (default)", own_limits(mover.ratio)),
    ("ratio", "MOVER-R of Wilson limits alone", plain(two_samples.mover_r)),
    ("ratio", "Koopman", plain(two_samples.koopman)),
    ("ratio", "Katz", plain(two_samples.katz)),
]


def row(kind: str, name: str, limits: Limits) -> str:
    """One row of the document's table: mean and least coverage, share below 93 %, mean width."""
    coverage, widths = [], []
    for n1, n2 in SIZES:
        x1, x2 = np.meshgrid(np.arange(n1 + 1.0), np.arange(n2 + 1.0), indexing="ij")
        low, high = limits(x1, float(n1), x2, float(n2))
        width = high - low if kind == "difference" else np.log(np.minimum(high, 1e3) / np.maximum(low, 1e-3))
        for a in RATES:
            for b in RATES:
                chance = np.outer(stats.binom.pmf(range(n1 + 1), n1, a), stats.binom.pmf(range(n2 + 1), n2, b))
                true = a - b if kind == "difference" else a / b
                coverage.append(float((chance * ((low <= true + 1e-12) & (true <= high + 1e-12))).sum()))
                widths.append(float((chance * width).sum()))
    below = np.mean(np.array(coverage) < LEVEL - 0.02)
    numbers = f"{np.mean(coverage):.3f} | {min(coverage):.3f} | {100 * below:.1f} % | {np.mean(widths):.3f}"
    return f"| {kind} | {name} | {numbers} |"


@pytest.mark.parametrize(
    ("kind", "name", "limits"), COMPARISONS, ids=[f"{kind} {name}" for kind, name, _ in COMPARISONS]
)
def test_documented_coverage(kind: str, name: str, limits: Limits) -> None:
    assert row(kind, name, limits) in DOCUMENT.read_text(encoding="utf-8").splitlines()
