"""Random undersampling: rows of commoner strata are left out until all are as rare as the rarest."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from imgid_audit.core.factor import Codes
from imgid_audit.mitigations.base import Ask, Counts, Mitigation
from imgid_audit.mitigations.resampling import (
    ResampleParams,
    Rows,
    corrects_prior,
    groups_without_rows,
    needs,
    rows_by_stratum,
    sampler,
    shifts_prior,
    strata,
)
from imgid_audit.vision.treatment import Treatment


def undersampled(codes: Codes, seed: int) -> Rows:
    """As many rows of each stratum as the rarest has, none twice, sorted.

    The draws are those of imbalanced-learn's RandomUnderSampler with that `random_state`, without its checks of
    the data, which take most of its time.
    """
    rng = np.random.RandomState(seed)
    parts = rows_by_stratum(codes)
    sizes = [len(part) for part in parts]
    least = min(sizes, default=0)
    kept = [
        part if number == sizes.index(least) else part[rng.permutation(len(part))[:least]]
        for number, part in enumerate(parts)
    ]
    return np.sort(np.concatenate([np.zeros(0, dtype=np.intp), *kept]))


def build(params: ResampleParams, _ask: Ask) -> Treatment:
    """The resampling for `params`; no row comes more than once."""

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        return undersampled(strata(params, labels, groups), seed)

    return Treatment(rows=resample)


def unmet(params: ResampleParams, _ask: Ask, counts: Counts) -> Iterator[str]:
    """Groups without rows, and classes of which fewer than two rows would be left."""
    empty = list(groups_without_rows(params, counts))
    yield from empty
    if empty:
        return
    for label, left in rows_left(params, counts).items():
        if left < 2:
            yield (
                f"undersampling by {params.by} would leave about {left:.1f} training rows of {label!r}: "
                "use oversample, or give rare levels `min_count`"
            )


def rows_left(params: ResampleParams, counts: Counts) -> dict[str, float]:
    """Training rows of each class that has any which are expected to remain; groups must not be empty."""
    present = [label for label, rows in counts.classes.items() if rows]
    if params.by == "class":
        return dict.fromkeys(present, float(min((counts.classes[label] for label in present), default=0)))
    least_group = min(counts.groups.values(), default=0)
    least_cell = min((rows for rows in counts.cells.values() if rows), default=0)
    left = dict.fromkeys(present, 0.0)
    for (label, group), rows in counts.cells.items():
        if rows:
            left[label] += rows * least_group / counts.groups[group] if params.by == "group" else least_cell
    return left


METHOD = Mitigation(
    name="undersample",
    summary="leaves out training rows of commoner classes or groups until all are as rare as the rarest",
    source="RandomUnderSampler of imbalanced-learn; Lemaître et al., JMLR 18(17), 2017",
    Params=ResampleParams,
    build=build,
    acts_on=sampler,
    needs=needs,
    shifts_prior=shifts_prior,
    corrects_prior=corrects_prior,
    unmet=unmet,
)
