"""Random oversampling: rows of rarer strata are drawn again, with replacement, until all are equal."""

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


def oversampled(codes: Codes, seed: int) -> Rows:
    """Every row, and rows of rarer strata again until all strata are equal, sorted.

    The draws are those of imbalanced-learn's RandomOverSampler with that `random_state`, without its checks of
    the data, which take most of its time.
    """
    rng = np.random.RandomState(seed)
    parts = rows_by_stratum(codes)
    most = max((len(part) for part in parts), default=0)
    times = np.ones(len(codes), dtype=np.intp)
    for part in parts:
        if len(part) < most:
            times[part] += np.bincount(rng.randint(0, len(part), most - len(part)), minlength=len(part))
    return np.repeat(np.arange(len(codes)), times)


def build(params: ResampleParams, _ask: Ask) -> Treatment:
    """The resampling for `params`; every row is kept and rarer ones come more than once."""

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        return oversampled(strata(params, labels, groups), seed)

    return Treatment(rows=resample)


def unmet(params: ResampleParams, _ask: Ask, counts: Counts) -> Iterator[str]:
    """Groups that have no rows to draw."""
    yield from groups_without_rows(params, counts)


METHOD = Mitigation(
    name="oversample",
    summary="draws training rows of rarer classes or groups again until all are equally frequent",
    source="RandomOverSampler of imbalanced-learn; Lemaître et al., JMLR 18(17), 2017",
    Params=ResampleParams,
    build=build,
    acts_on=sampler,
    needs=needs,
    shifts_prior=shifts_prior,
    corrects_prior=corrects_prior,
    unmet=unmet,
)
