"""How strongly two categorical columns go together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Counts, tally


def contingency(a: Codes, b: Codes, count: Counts | None = None) -> NDArray[np.int64]:
    """Counts of the combinations of the observed levels, shape (levels of a, levels of b); no empty margins."""
    a_codes = np.unique(a, return_inverse=True)[1]
    b_codes = np.unique(b, return_inverse=True)[1]
    shape = (int(a_codes.max(initial=-1)) + 1, int(b_codes.max(initial=-1)) + 1)
    return tally(a_codes * shape[1] + b_codes, shape[0] * shape[1], count).reshape(shape)


def cramers_v(table: NDArray[np.int64], units: int | None = None) -> float | None:
    """Bias-corrected Cramér's V of a contingency table, in [0, 1]; None where a column has one level.

    Bergsma, "A bias-correction for Cramér's V and Tschuprow's T", J. Korean Stat. Soc. 42, 2013.
    `units` is the number of independent units behind the rows (subjects), default the rows: with
    few subjects chance alone makes columns go together, and the correction must be larger.
    """
    rows, columns = table.shape
    total = int(table.sum())
    n = min(total, units) if units is not None else total
    if min(rows, columns) < 2 or n < 3:
        return None
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / total
    phi_squared = float(((table - expected) ** 2 / expected).sum()) / total
    corrected = max(0.0, phi_squared - (rows - 1) * (columns - 1) / (n - 1))
    sides = [k - (k - 1) ** 2 / (n - 1) for k in (rows, columns)]
    if min(sides) <= 1:
        return None
    return float(min(1.0, np.sqrt(corrected / (min(sides) - 1))))
