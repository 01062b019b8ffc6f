"""Simulated worlds: subjects with their own rates, and what the product's closed forms read of them.

The grid was fixed before the study: subjects a group, true rates, images a subject with their
intra-subject correlation, numbers of groups, and attributes that belong to the subject or vary
within one. A draw is a slice of one big breakdown, so that the product's own code measures
thousands of studies at once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Literal

import numpy as np
from scipy import special, stats

from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.effective_n import Moments
from imgid_audit.stats.intervals import Floats

Attribute = Literal["of the subject", "within subjects"]
SUBJECTS = (10, 20, 50, 200, 1000, 2000)
RATES = (0.5, 0.8, 0.9, 0.95, 0.99)
IMAGES = ((1, 0.0), (5, 0.0), (5, 0.2), (5, 0.5), (20, 0.0), (20, 0.2), (20, 0.5))
GROUPS = (2, 4, 12)
BLOCK = 2_000_000


@dataclass(frozen=True, slots=True)
class Cell:
    """One point of the grid; `groups` share nothing but the design."""

    subjects: int
    rate: float
    images: int
    correlation: float
    groups: int = 1
    attribute: Attribute = "of the subject"

    def __str__(self) -> str:
        design = f"{self.subjects:,} subjects x {self.images}, correlation {self.correlation:g}, rate {self.rate:g}"
        return design + (f", {self.groups} groups, {self.attribute}" if self.groups > 1 else "")


RATE_GRID = tuple(Cell(n, rate, *images) for n, rate, images in product(SUBJECTS, RATES, IMAGES))
GROUP_GRID = tuple(
    Cell(n, rate, *images, groups, attribute)
    for n, rate, images, groups, attribute in product(
        SUBJECTS, RATES, IMAGES, GROUPS, ("of the subject", "within subjects")
    )
    if images[0] > 1 or attribute == "of the subject"
)


def observe(cell: Cell, rates: Sequence[float], draws: int, rng: np.random.Generator) -> RateBand:
    """The band over (draws, groups) that the product makes of so many studies of the design."""
    draw = _own if cell.attribute == "of the subject" else _within
    found = draw(cell, rates, draws, rng)
    if cell.images == 1:
        return RateBand(found.events, found.rows, found.rows)
    return RateBand(found.events, found.rows, found.rows / found.effect(), found.subjects)


def _own(cell: Cell, rates: Sequence[float], draws: int, rng: np.random.Generator) -> Moments:
    """Subjects of one group each: how many have 0, 1, ... right is multinomial, which is all that the moments need."""
    m, k = cell.images, np.arange(cell.images + 1.0)
    sums = np.stack([k, np.full(m + 1, m), k * k, k * m, np.full(m + 1, m * m), np.ones(m + 1), k > 0, k < m], axis=1)
    groups = [rng.multinomial(cell.subjects, _chances(cell, rate), size=draws) @ sums for rate in rates]
    return Moments(*np.moveaxis(np.stack(groups, axis=1), -1, 0))


def _chances(cell: Cell, rate: float) -> Floats:
    """Probabilities of 0 to `images` right: binomial, or beta-binomial."""
    k = np.arange(cell.images + 1)
    if cell.correlation == 0 or cell.images == 1:
        found = stats.binom.pmf(k, cell.images, rate)
    else:
        strength = 1 / cell.correlation - 1
        found = stats.betabinom.pmf(k, cell.images, rate * strength, (1 - rate) * strength)
    return found / found.sum()


def _within(cell: Cell, rates: Sequence[float], draws: int, rng: np.random.Generator) -> Moments:
    """Subjects whose images fall into groups at random, with one latent quality in all of them."""
    groups = len(rates)
    seen = 1 - (1 - 1 / groups) ** cell.images
    subjects = max(2, round(cell.subjects / seen))
    step = max(1, BLOCK // (subjects * groups))
    parts = [_within_block(cell, rates, subjects, min(step, draws - start), rng) for start in range(0, draws, step)]
    return Moments(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Moments)))


def _within_block(cell: Cell, rates: Sequence[float], subjects: int, draws: int, rng: np.random.Generator) -> Moments:
    groups = len(rates)
    rows = rng.multinomial(cell.images, np.full(groups, 1 / groups), size=(draws, subjects))
    if cell.correlation == 0:
        chance = np.broadcast_to(np.asarray(rates), rows.shape)
    else:
        quality = rng.random((draws, subjects))
        chance = np.stack([_quantiles(rate, cell.correlation)(quality) for rate in rates], axis=-1)
    right = rng.binomial(rows, chance).astype(float)
    return Moments.of(right, rows.astype(float), lambda values: values.sum(axis=1))


def _quantiles(rate: float, correlation: float) -> Callable[[Floats], Floats]:
    """The beta distribution's quantile function, from a fine table."""
    strength, grid = 1 / correlation - 1, np.linspace(0, 1, 4001)
    table = special.betaincinv(rate * strength, (1 - rate) * strength, grid)
    return lambda share: np.interp(share, grid, table)


def share(hits: Floats) -> tuple[float, float]:
    """A share of draws and its Monte-Carlo standard error."""
    p = float(np.mean(hits))
    return p, float(np.sqrt(max(p * (1 - p), 1e-9) / len(hits)))
