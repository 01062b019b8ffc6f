"""Bootstrap of units as weights applied to cells, never of rows.

With subjects every subject is a unit. Without, rows with the same profile (say, label and
prediction) are exchangeable, so the units are the distinct profiles with their multiplicities
and the cost does not grow with the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from imgid_audit.core.slices import Slice
from imgid_audit.stats.intervals import Floats

BLOCK = 4_000_000
"""Weights that are held at once."""


def stream(seed: int, where: Slice, family: str) -> np.random.Generator:
    """The generator of one slice and family of cells: the same whatever else is resampled."""
    text = "\x1f".join((*where.attributes, "", *where.levels))
    return np.random.default_rng([seed, crc32(text.encode()), crc32(family.encode())])


def subject_weights(generator: np.random.Generator, units: int, draws: int) -> Iterator[Floats]:
    """How often each of `units` is drawn, with replacement, in blocks of shape (<= draws, units)."""
    block = max(1, BLOCK // max(1, units))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        drawn = generator.integers(0, units, size=(size, units))
        drawn += np.arange(size)[:, None] * units
        yield np.bincount(drawn.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)


def profile_weights(generator: np.random.Generator, multiplicity: NDArray[np.int64], draws: int) -> Iterator[Floats]:
    """How many rows of each profile are drawn, in blocks of shape (<= draws, profiles)."""
    total = int(multiplicity.sum())
    block = max(1, BLOCK // max(1, len(multiplicity)))
    for start in range(0, draws, block):
        size = min(block, draws - start)
        yield generator.multinomial(total, multiplicity / total, size=size).astype(np.float64)


def replicate(
    weights: Iterator[Floats], cells: sparse.csr_array | Floats, statistic: Callable[[Floats], Floats]
) -> Floats:
    """`statistic` (draws, width) -> (draws,) of the replicates' cells, weights @ cells."""
    return np.concatenate([statistic(np.asarray(block @ cells)) for block in weights])
