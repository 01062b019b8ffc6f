"""Random undersampling: rows of commoner strata are left out until all are as rare as the rarest."""

from __future__ import annotations

from imgid_audit.core.factor import Codes
from imgid_audit.mitigations.base import Mitigation, ResampleParams, Resampler, Rows, sampled_rows, strata


def build(params: ResampleParams) -> Resampler:
    """The resampling for `params`; no row comes more than once."""

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        from imblearn.under_sampling import RandomUnderSampler

        return sampled_rows(RandomUnderSampler(random_state=seed), strata(params, labels, groups))

    return resample


METHOD = Mitigation(
    name="undersample",
    summary="leaves out training rows of commoner classes or groups until all are as rare as the rarest",
    acts_on="training rows",
    source="RandomUnderSampler of imbalanced-learn; Lemaître et al., JMLR 18(17), 2017",
    Params=ResampleParams,
    build=build,
)
