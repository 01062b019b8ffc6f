"""Tests that rows flip as often one way as the other: McNemar's, exact, by subject where there are any.

Sources: McNemar (1947) Psychometrika 12:153; by subject Obuchowski (1998) Stat. Med. 17:1495. The
exact test by subject draws a sign for each subject's net change: were the two models alike, swapping
them in a subject would change nothing. With one row a subject it is McNemar's exact test.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

Integers = NDArray[np.int64]

MOST_EXACT = 20_000
"""Largest sum of net changes whose distribution is computed whole; above it, Obuchowski's test."""


def flip_test(net: Integers, clustered: bool) -> tuple[float, str]:
    """p-value, two-sided, that net changes (units,) are as likely up as down, and its method.

    `net` has a unit's rows gained less those lost: of all subjects where the rows are `clustered`,
    else of rows (-1, 0 or 1). 1 where nothing changed.
    """
    if not clustered:
        return sign_flips(net), "exact McNemar"
    if int(np.abs(net).sum()) <= MOST_EXACT:
        return sign_flips(net), "exact McNemar by subject (sign flips)"
    return obuchowski(net), "McNemar by subject (Obuchowski)"


def sign_flips(net: Integers) -> float:
    """P(|sum of net changes with random signs| >= the observed one)."""
    size = np.abs(net[net != 0])
    if not len(size):
        return 1.0
    observed = abs(int(net.sum()))
    values, times = np.unique(size, return_counts=True)
    if len(values) == 1:
        v, m = int(values[0]), int(times[0])
        ups = (m * v + observed) // (2 * v)
        tail = float(special.bdtrc(ups - 1, m, 0.5))
        return min(1.0, 2 * tail) if observed else 1.0
    # the distribution of the sum of those that go up: each value's own is binomial on a lattice
    mass = np.ones(1)
    for v, m in zip(values.tolist(), times.tolist(), strict=True):
        part = np.zeros(v * m + 1)
        part[::v] = np.exp(_log_binomial(m) - m * np.log(2.0))
        mass = np.convolve(mass, part)
    total = int(size.sum())
    sums = 2 * np.arange(len(mass)) - total
    return float(min(1.0, mass[np.abs(sums) >= observed].sum()))


def _log_binomial(m: int) -> NDArray[np.float64]:
    k = np.arange(m + 1, dtype=np.float64)
    return np.asarray(special.gammaln(m + 1.0) - special.gammaln(k + 1) - special.gammaln(m - k + 1))


def obuchowski(net: Integers) -> float:
    """Chi-square test of the summed net change against its variance when nothing changed, by subject.

    (sum d)^2 / (K / (K - 1) sum d^2), K the subjects.
    """
    change = net.astype(np.float64)
    k = len(change)
    spread = float((change**2).sum()) * (k / (k - 1) if k > 1 else 1.0)
    return float(special.chdtrc(1, change.sum() ** 2 / spread)) if spread > 0 else 1.0
