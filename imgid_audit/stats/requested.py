"""Comparisons of proportions by the method that a config asks for, where it is not the default."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.policy import Forms
from imgid_audit.core.result import GapKind
from imgid_audit.stats import mover
from imgid_audit.stats.bands import Band, RateBand
from imgid_audit.stats.intervals import Bounds
from imgid_audit.stats.methods import COMPARED, OTHERS, Method, comparison, method

DEFAULTS = Forms()


def pair_method(band: Band, kind: GapKind) -> Method:
    """The row of the table that says how pairs of the band's slices are compared."""
    if isinstance(band, RateBand) and band.transform is None:
        return method(COMPARED[kind], _asked(band.forms, kind), clustered=band.subjects is not None)
    return method(OTHERS[kind], "mover", clustered=False)


def requested_limits(band: Band, kind: GapKind, level: float) -> Bounds | None:
    """Limits of value_i - value_j, or value_i / value_j, for all ordered pairs, each (slices, slices).

    None where the default is asked for, and for what is not a plain proportion. So it is for draws
    of assumed rates (more than one axis), which only say how large a sample would have to be: score
    limits of so many pairs take minutes, and the sizes differ by a few per cent. Counts are the
    effective ones, and Student's quantile has the fewer degrees of freedom of the two slices.
    """
    if not isinstance(band, RateBand) or band.transform is not None or band.value.ndim > 1:
        return None
    asked = _asked(band.forms, kind)
    if asked == _asked(DEFAULTS, kind):
        return None
    n, freedom = band.effective_n, band.degrees()
    x = np.where(n > 0, band.value, np.nan) * n
    either = np.minimum(freedom[:, None], freedom[None, :])
    return comparison(kind, asked)(x[:, None], n[:, None], x[None, :], n[None, :], level, either)


def between_limits(one: RateBand, other: RateBand, level: float) -> Bounds:
    """Limits of one - other, slice by slice, for two independent samples with the same slices, (slices,).

    By the form that `one` asks for: square-and-add of the two rates' own limits, or the score limits on
    effective counts, with the fewer degrees of freedom of the two. NaN where either has no trials.
    """
    asked = _asked(one.forms, "difference")
    if asked == _asked(DEFAULTS, "difference"):
        return mover.difference(one.value, one.limits(level), other.value, other.limits(level))
    counts = []
    for band in (one, other):
        n = band.effective_n
        counts += [np.where(n > 0, band.value, np.nan) * n, n]
    freedom = np.minimum(one.degrees(), other.degrees())
    return comparison("difference", asked)(counts[0], counts[1], counts[2], counts[3], level, freedom)


def _asked(forms: Forms, kind: GapKind) -> str:
    return forms.difference if kind == "difference" else forms.ratio
