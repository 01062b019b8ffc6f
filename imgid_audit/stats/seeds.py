"""A mean over training seeds of paired changes: the scatter of seeds and the sampling of test rows, combined.

Seeds and test rows are crossed: every seed's network answers every row. The variance of the mean over both
is that of seeds, plus that of rows, less their interaction, which either of the two estimates holds once
already (Brennan 2001, Generalizability Theory). The limits add in squares the half-width that
each part would have alone, at its own t quantile, and so hold at least what they say (Banerjee 1960,
Sankhya 22:357). Welch and Satterthwaite's one quantile for the summed variance is narrower, and called one of
eight methods that do nothing something in up to 9 % of simulated comparisons, for 5 % (docs/validity.md).

A value that each network picks among several (its worst group) has a bias that need not cancel. Beside the plain
change then stands one whose picks were made on other rows, and the interval is the hull of both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from imgid_audit.stats.effective_n import PRIOR_CORRELATION, PRIOR_SUBJECTS
from imgid_audit.stats.intervals import Floats, quantile

PSEUDO_FLIPS = 2.0
"""Rows that flip unseen, one either way (Bonett & Price 2012, J. Educ. Behav. Stat. 37:479): no flips prove no zero."""

HALVINGS = 60
"""Bisection steps of a p-value, on its logarithm."""

SMALLEST = -300.0
"""The logarithm of the smallest p-value that is told from 0."""


@dataclass(frozen=True, slots=True)
class RowSampling:
    """What the sampling of test rows adds to a mean over seeds.

    - `variance`: of the mean over seeds; `interaction`: the part of it that differs from seed to seed, which
      the scatter of seeds holds too; `unseen`: the part of flips that were not seen
    - `units`: subjects, or rows, that count
    - `freedom`: degrees of freedom of the variance: fewer than units - 1 where few of them weigh most
    """

    variance: float
    interaction: float
    unseen: float
    units: int
    freedom: float


@dataclass(frozen=True, slots=True)
class OverSeeds:
    """A mean over `seeds` networks, its `seed_variance` (of the mean, from their scatter), and its `rows`.

    `apart`: the same mean of values whose levels were picked on other rows; None where nothing is picked.
    """

    value: float
    seed_variance: float
    seeds: int
    rows: RowSampling
    apart: float | None = None

    @property
    def seed_error(self) -> float:
        return float(np.sqrt(self.seed_variance))

    @property
    def test_error(self) -> float:
        return float(np.sqrt(self.rows.variance))

    def half(self, level: float) -> float:
        """Half the width around either value at `level` in [0, 1); never less than that of test rows alone."""
        tail = (1.0 + level) / 2.0
        return self._half(*self._quantiles(tail))

    def limits(self, level: float) -> tuple[float, float]:
        """The interval at `level`: the hull of those around the value and around `apart`."""
        half, other = self.half(level), self.value if self.apart is None else self.apart
        return min(self.value, other) - half, max(self.value, other) + half

    def p_value(self) -> float:
        """1 less the level at which a limit reaches 0; 1 where a value is 0, or where the two have two signs."""
        other = self.value if self.apart is None else self.apart
        return self._p_value(min(abs(self.value), abs(other)) if self.value * other > 0 else 0.0)

    def p_alone(self) -> float:
        """The p-value of the value without `apart`: at most `p_value`."""
        return self._p_value(abs(self.value))

    def _p_value(self, size: float) -> float:
        if not size > 0:
            return 1.0
        low, high = SMALLEST, 0.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            tail = float(np.exp(middle)) / 2
            # the lower tail keeps the digits that 1 - p would lose
            half = self._half(*self._quantiles(tail))
            low, high = (middle, high) if half > size else (low, middle)
        return float(np.exp((low + high) / 2))

    def _quantiles(self, tail: float) -> tuple[float, float]:
        """Student's, of seeds and of rows."""
        return float(special.stdtrit(self.seeds - 1, tail)), float(special.stdtrit(self.rows.freedom, tail))

    def _half(self, of_seeds: float, of_rows: float) -> float:
        rows = self.rows
        alone = max(rows.variance - rows.interaction, rows.unseen)
        return float(np.sqrt(max(of_seeds**2 * self.seed_variance + of_rows**2 * alone, of_rows**2 * rows.variance)))


def over_seeds(values: Floats, rows: RowSampling, apart: Floats | None = None) -> OverSeeds:
    """From one value a seed, (seeds,), and one picked apart; ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError("the scatter of seeds needs two seeds or more")
    # a common value is its own mean, and has no scatter, to the last bit
    same = bool((values == values[0]).all())
    mean = float(values[0]) if same else float(values.mean())
    spread = 0.0 if same else float(values.var(ddof=1)) / len(values)
    return OverSeeds(mean, spread, len(values), rows, None if apart is None else float(apart.mean()))


def row_sampling(
    shares: Floats,
    counted: NDArray[np.bool_],
    moved: NDArray[np.bool_],
    subject: NDArray[np.int32] | None,
    flip: float,
    weight: Floats | None = None,
) -> RowSampling:
    """Variance of a mean over seeds from the rows' shares in each seed's value.

    - `shares` (seeds, n): first-order shares, summing to 0 over the rows of each seed
    - `counted` (n,): rows that the quantity is over; `moved` (n,): rows whose answer changed
    - `subject` (n,): codes; None: rows are independent
    - `flip`: what one more row that flips would change
    - `weight` (n,): what each row that flips changes; None: all rows alike

    By subject the variance is that of subjects' sums, shrunk as `paired.flip_effect`: towards a correlation
    of one half by how many subjects hold a row that moved, and never below that of independent rows. Where a few
    large subjects weigh as much as all others, they alone are what the variance is known from: as many units
    count as have equal weight in it (Satterthwaite 1946, Biometrics Bull. 2:110).
    """
    counts = counted.nonzero()[0]
    part = shares[:, counts]
    n = len(counts)
    mean = part.mean(axis=0)
    square = np.ones(n) if weight is None else weight[counts] ** 2
    if subject is None:
        alike = _alike(square)
        unseen = PSEUDO_FLIPS * flip**2
        variance = _corrected(float((mean**2).sum()), alike) + unseen
        return RowSampling(variance, _interaction(part), unseen, n, _freedom(alike))
    _, unit = np.unique(subject[counts], return_inverse=True)
    sizes = np.bincount(unit).astype(np.float64)
    sums = np.stack([np.bincount(unit, weights=each, minlength=len(sizes)) for each in part]).astype(np.float64)
    # what each subject would add to the variance at the assumed correlation, over what its rows would alone
    alone = np.bincount(unit, weights=square, minlength=len(sizes))
    expected = alone * (1.0 + (sizes - 1.0) * PRIOR_CORRELATION)
    prior, alike = float(expected.sum() / alone.sum()) if n else 1.0, _alike(expected)
    independent = _corrected(float((mean**2).sum()), _alike(square))
    held = min(len(np.unique(unit[moved[counts]])), alike)
    trust = held / (held + PRIOR_SUBJECTS) if len(sizes) > 1 else 0.0
    by_subject = _corrected(float((sums.mean(axis=0) ** 2).sum()), alike) if trust else 0.0
    variance = max(trust * by_subject + (1 - trust) * independent * prior, independent)
    unseen = PSEUDO_FLIPS * flip**2 * prior
    return RowSampling(float(variance + unseen), _interaction(sums), float(unseen), len(sizes), _freedom(alike))


def _alike(variances: Floats) -> float:
    """How many units of equal variance tell as much of their sum as these: (sum v)^2 / sum v^2; 0 of none."""
    total = float((variances**2).sum())
    return float(variances.sum()) ** 2 / total if total > 0 else 0.0


def _freedom(units: float) -> float:
    return max(units - 1.0, 1.0)


def _corrected(squares: float, units: float) -> float:
    return squares * units / _freedom(units)


def _interaction(sums: Floats) -> float:
    """Variance of the mean over seeds from what units do in one seed and not in another, (seeds, units)."""
    seeds = len(sums)
    return float(sums.var(axis=0, ddof=1).sum() / seeds) if seeds > 1 and sums.size else 0.0


def estimate_limits(values: Floats, low: Floats, high: Floats, level: float) -> tuple[float, float, float]:
    """Mean over seeds and its limits, from each seed's value and its limits for the test rows, all (seeds,).

    The rows' half-width is the mean of those of the seeds, for they answer the same rows; it is added in
    squares to the seeds' own, each side by itself.
    """
    mean = float(values.mean())
    seeds = len(values)
    scatter = float(quantile(level, seeds - 1.0)) ** 2 * float(values.var(ddof=1)) / seeds
    below, above = float((values - low).mean()), float((high - values).mean())
    return mean, mean - float(np.sqrt(scatter + below**2)), mean + float(np.sqrt(scatter + above**2))
