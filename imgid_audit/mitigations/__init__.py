"""Registered mitigations, one method a file, one line each here."""

from imgid_audit.core.registry import Registry
from imgid_audit.mitigations import oversample, undersample
from imgid_audit.mitigations.base import Mitigation, Resampler, resampler

MITIGATIONS: Registry[Mitigation] = Registry("mitigation", (oversample.METHOD, undersample.METHOD))

__all__ = ["MITIGATIONS", "Mitigation", "Resampler", "build_resampler"]


def build_resampler(name: str, params: dict[str, object]) -> Resampler:
    """The resampling of that name with these parameters; `InputError` for an unknown name."""
    return resampler(MITIGATIONS[name], params)
