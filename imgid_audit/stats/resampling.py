"""Bootstrap of units as weights applied to cells, never of rows.

With subjects every subject is a unit. Without, rows with the same profile (say, label and
prediction) are exchangeable, so the units are the distinct profiles with their multiplicities
and the cost does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.special import pdtr

from imgid_audit.core.slices import Slice
from imgid_audit.stats.intervals import Floats

BLOCK = 500_000
"""Weights that are held at once: a few megabytes, so that they are multiplied where they were made."""

MANY = 500
"""From so many units on, weights are drawn as Poisson counts that are topped up."""

LESS = 8
"""Units are drawn by kind where there are so many times fewer kinds."""

FILLED = 0.05
"""Cells of which a smaller share is not 0 are multiplied as a sparse matrix."""

Weights = NDArray[np.uint8] | Floats


def stream(seed: int, where: Slice, family: str) -> np.random.Generator:
    """The generator of one slice and family of cells: the same whatever else is resampled."""
    text = "\x1f".join((*where.attributes, "", *where.levels))
    return np.random.default_rng([seed, crc32(text.encode()), crc32(family.encode())])


def subject_weights(generator: np.random.Generator, units: int, draws: int) -> Iterator[Weights]:
    """How often each of `units` is drawn, with replacement, in blocks of shape (<= draws, units).

    Every block's rows add up to `units` and are multinomial. The size of blocks does not change them.
    """
    block = max(1, BLOCK // max(1, units))
    sizes = [min(block, draws - start) for start in range(0, draws, block)]
    if units >= MANY:
        yield from _topped_up(generator, units, sizes)
        return
    for size in sizes:
        drawn = generator.integers(0, units, size=(size, units))
        drawn += np.arange(size)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def _topped_up(generator: np.random.Generator, units: int, sizes: list[int]) -> Iterator[Weights]:
    """Independent Poisson counts of a mean below 1, and single draws up to `units`.

    Given their sum, Poisson counts are multinomial, and so they stay when uniform draws are added:
    the weights are those of `units` draws, at a fraction of the random numbers and of the memory that
    these would take. A row whose counts exceed `units` (1 in 700) is drawn singly.
    """
    counts, edges, singles = generator.spawn(3)
    rate = 1 - 3 / sqrt(units)
    table, cumulative = _poisson_table(rate)
    for size in sizes:
        # four 16-bit numbers in one of 64 bits
        words = counts.integers(0, 1 << 64, size=(size, -(-units // 4)), dtype=np.uint64)
        numbers = words.view(np.uint16)[:, :units]
        weights = np.take(table, numbers)
        flat = weights.reshape(-1)
        unsure = np.flatnonzero(flat == UNSURE)
        exact = (numbers[unsure // units, unsure % units] + edges.random(len(unsure))) / (1 << 16)
        flat[unsure] = np.searchsorted(cumulative, exact, side="right")
        lacking = units - weights.sum(axis=1, dtype=np.uint32).astype(np.int64)
        for row in np.flatnonzero(lacking < 0):
            weights[row], lacking[row] = 0, units
        rows = np.repeat(np.arange(size), lacking)
        np.add.at(flat, rows * units + singles.integers(0, units, size=len(rows)), 1)
        yield weights


UNSURE = np.uint8(255)
"""Stands in the table where the 16 bits of a number do not decide its count."""


def _poisson_table(rate: float) -> tuple[NDArray[np.uint8], Floats]:
    """The Poisson count of each interval [k, k + 1) / 2**16 of its distribution function, and that function."""
    cumulative: Floats = np.asarray(pdtr(np.arange(40), rate), dtype=np.float64)
    low = np.arange(1 << 16) / (1 << 16)
    first = np.searchsorted(cumulative, low, side="right")
    last = np.searchsorted(cumulative, low + 1 / (1 << 16), side="left")
    return np.where(first == last, first, UNSURE).astype(np.uint8), cumulative


def alike(cells: sparse.csr_array) -> tuple[NDArray[np.intp], NDArray[np.int64]] | None:
    """One unit of each kind of unit with equal cells, and how many there are; None where most are unlike.

    Equal units are exchangeable, so that drawing kinds with these multiplicities is drawing units.
    """
    units, width = cells.shape
    if units < MANY:
        return None
    # a sum with irrational coefficients tells integer rows apart; that it did is then checked
    _, first, place, count = np.unique(
        cells @ np.sqrt(np.arange(2.0, width + 2)), return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) > units // LESS or (cells - cells[first[place]]).data.any():
        return None
    return first, count.astype(np.int64)


def profile_weights(generator: np.random.Generator, multiplicity: NDArray[np.int64], draws: int) -> Iterator[Weights]:
    """How many rows of each profile are drawn, in blocks of shape (<= draws, profiles)."""
    total = int(multiplicity.sum())
    block = max(1, BLOCK // max(1, len(multiplicity)))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        yield generator.multinomial(total, multiplicity / total, size=size).astype(np.float64)


def replicate(
    weights: Iterator[Weights], cells: sparse.csr_array | Floats, statistic: Callable[[Floats], Floats]
) -> Floats:
    """`statistic` (draws, width) -> (draws, ...) of the replicates' cells, weights @ cells."""
    if sparse.issparse(cells) and cells.nnz > FILLED * cells.shape[0] * cells.shape[1]:
        cells = cells.toarray()
    parts = [np.asarray(statistic(np.asarray(block.astype(np.float64, copy=False) @ cells))) for block in weights]
    return np.concatenate(parts)
