"""Square-root sampling: as many rows as there are, strata as frequent as the square root of their size."""

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


def square_root_sampled(codes: Codes, seed: int) -> Rows:
    """n of n rows with replacement, sorted: a stratum of m rows comes with a share proportional to sqrt(m).

    Within a stratum every row is as likely as any other.
    """
    parts = rows_by_stratum(codes)
    if not parts:
        return np.zeros(0, dtype=np.intp)
    rng = np.random.default_rng(seed)
    roots = np.sqrt([len(part) for part in parts])
    sizes = rng.multinomial(len(codes), roots / roots.sum())
    times = np.zeros(len(codes), dtype=np.intp)
    for part, size in zip(parts, sizes, strict=True):
        times[part] = np.bincount(rng.integers(len(part), size=size), minlength=len(part))
    return np.repeat(np.arange(len(codes)), times)


def build(params: ResampleParams, _ask: Ask) -> Treatment:
    """The resampling for `params`: independent draws, so rows come more than once or not at all."""

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        return square_root_sampled(strata(params, labels, groups), seed)

    return Treatment(rows=resample)


def unmet(params: ResampleParams, _ask: Ask, counts: Counts) -> Iterator[str]:
    """Groups that have no rows to draw."""
    yield from groups_without_rows(params, counts)


METHOD = Mitigation(
    name="sqrt_sampling",
    summary="draws training rows so that classes or groups are as frequent as the square root of their size",
    source="square-root sampling; Mahajan et al., ECCV 2018; Kang et al., ICLR 2020",
    Params=ResampleParams,
    build=build,
    acts_on=sampler,
    needs=needs,
    shifts_prior=shifts_prior,
    corrects_prior=corrects_prior,
    unmet=unmet,
)
