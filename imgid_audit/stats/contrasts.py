"""One slice against another, or against all rows together, with limits that hold for all slices at once."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.result import GapKind
from imgid_audit.stats import mover
from imgid_audit.stats.bands import Band, Mask
from imgid_audit.stats.gaps import all_pairs, pair_limits, pair_values
from imgid_audit.stats.intervals import Bounds, Floats, bonferroni


def against_slice(band: Band, used: Mask, reference: int, kind: GapKind, level: float, *, chosen: bool) -> Bounds:
    """Limits of every slice less (or over) the slice `reference`, (slices,).

    `chosen`: the reference was picked from the data (the best slice), so the limits hold for all
    pairs; else for the comparisons with it (Bonferroni).
    """
    levels = int(used.sum())
    adjusted = all_pairs(level, levels) if chosen else bonferroni(level, levels - 1)
    low, high = pair_limits(band, kind, adjusted)
    return low[:, reference], high[:, reference]


def against_total(band: Band, used: Mask, total: Band, share: Floats | None, kind: GapKind, level: float) -> Bounds:
    """Limits of every slice less (or over) the value of all rows, (slices,).

    - `total`: a band of one slice that contains them all
    - `share` (slices,): each one's part of the rows that count, where the total is the mean of the slices by
      these parts (a rate, a mean loss); None where it is not

    A slice is part of such a total, so the two go together: correlation `share` x standard error of
    the slice / that of the total, in MOVER's form for correlated estimates (Zou & Donner 2008). Without
    a share they are taken as independent, which is wider than it need be.
    """
    adjusted = bonferroni(level, int(used.sum()))
    value, limits = band.value, band.limits(adjusted)
    whole, whole_limits = total.value, total.limits(adjusted)
    if kind == "ratio":
        return mover.ratio(value, limits, whole, whole_limits)
    if share is None:
        return mover.difference(value, limits, whole, whole_limits)
    with np.errstate(divide="ignore", invalid="ignore"):
        together = np.clip(share * band.standard_error() / total.standard_error(), 0.0, 1.0)
    return mover.difference(value, limits, whole, whole_limits, np.nan_to_num(together))


def values(band: Band, reference: Floats, kind: GapKind) -> Floats:
    """Each slice less (or over) `reference`, (slices,); NaN over 0."""
    both = np.concatenate([band.value, np.atleast_1d(reference)])
    return np.asarray(pair_values(both, kind)[:-1, -1])
