"""Partitions of the evaluated rows into slices."""

from __future__ import annotations

import numpy as np

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Factor
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import TOTAL, Breakdown, Slice


def breakdowns(decisions: Decisions, intersections: tuple[tuple[str, ...], ...] = ()) -> tuple[Breakdown, ...]:
    """The total, each attribute, each intersection, in this order."""
    single = [breakdown(decisions, (factor.name,)) for factor in decisions.attributes]
    crossed = [breakdown(decisions, names) for names in intersections]
    return (breakdown(decisions, ()), *single, *crossed)


def breakdown(decisions: Decisions, names: tuple[str, ...]) -> Breakdown:
    """The partition by these attributes; the total where there are none.

    One attribute has all its levels, also those that no evaluated row has; an intersection the
    combinations that some evaluated row has, in the order of the attributes' levels. Raises
    `InputError` for an unknown attribute.
    """
    if not names:
        return Breakdown("", (), (TOTAL,), np.zeros(len(decisions), dtype=np.int32))
    factors = [_attribute(decisions, name) for name in names]
    if len(factors) == 1:
        (factor,) = factors
        slices = tuple(Slice(names, (level,)) for level in factor.levels)
        return Breakdown(factor.name, names, slices, factor.codes)
    shape = tuple(len(factor.levels) for factor in factors)
    joint = np.ravel_multi_index(tuple(factor.codes.astype(np.intp) for factor in factors), shape)
    present, codes = np.unique(joint, return_inverse=True)
    cells = np.unravel_index(present, shape)
    slices = tuple(
        Slice(names, tuple(factor.levels[code] for factor, code in zip(factors, cell, strict=True)))
        for cell in zip(*cells, strict=True)
    )
    return Breakdown("*".join(names), names, slices, codes.astype(np.int32))


def _attribute(decisions: Decisions, name: str) -> Factor:
    try:
        return decisions.attribute(name)
    except KeyError:
        known = ", ".join(repr(factor.name) for factor in decisions.attributes) or "none"
        raise InputError(Problem("attributes", f"unknown attribute {name!r}: known are {known}")) from None
