"""Random oversampling: rows of rarer strata are drawn again, with replacement, until all are equal."""

from __future__ import annotations

from imgid_audit.core.factor import Codes
from imgid_audit.mitigations.base import Mitigation, ResampleParams, Resampler, Rows, sampled_rows, strata


def build(params: ResampleParams) -> Resampler:
    """The resampling for `params`; every row is kept and rarer ones come more than once."""

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        from imblearn.over_sampling import RandomOverSampler

        return sampled_rows(RandomOverSampler(random_state=seed), strata(params, labels, groups))

    return resample


METHOD = Mitigation(
    name="oversample",
    summary="draws training rows of rarer classes or groups again until all are equally frequent",
    acts_on="training rows",
    source="RandomOverSampler of imbalanced-learn; Lemaître et al., JMLR 18(17), 2017",
    Params=ResampleParams,
    build=build,
)
