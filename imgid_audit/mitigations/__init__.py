"""Registered mitigations, one method a file, one line each here."""

from imgid_audit.core.errors import InputError
from imgid_audit.core.registry import Registry
from imgid_audit.mitigations import (
    augment,
    balanced_softmax,
    baseline,
    class_weights,
    cost_matrix,
    crt,
    dfr,
    focal,
    group_dro,
    group_thresholds,
    imbalanced_learn,
    ldam_drw,
    logit_adjustment,
    oversample,
    own,
    smote,
    sqrt_sampling,
    tau_norm,
    undersample,
)
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.vision.treatment import Resample

MITIGATIONS: Registry[Mitigation] = Registry("mitigation")
MITIGATIONS.register(baseline.METHOD)
MITIGATIONS.register(oversample.METHOD)
MITIGATIONS.register(undersample.METHOD)
MITIGATIONS.register(sqrt_sampling.METHOD)
MITIGATIONS.register(imbalanced_learn.METHOD)
MITIGATIONS.register(smote.METHOD)
MITIGATIONS.register(class_weights.METHOD)
MITIGATIONS.register(cost_matrix.METHOD)
MITIGATIONS.register(focal.METHOD)
MITIGATIONS.register(balanced_softmax.METHOD)
MITIGATIONS.register(logit_adjustment.METHOD)
MITIGATIONS.register(ldam_drw.METHOD)
MITIGATIONS.register(crt.METHOD)
MITIGATIONS.register(tau_norm.METHOD)
MITIGATIONS.register(dfr.METHOD)
MITIGATIONS.register(group_dro.METHOD)
MITIGATIONS.register(group_thresholds.METHOD)
MITIGATIONS.register(augment.METHOD)

__all__ = ["MITIGATIONS", "Mitigation", "build_resampler", "find"]


def find(name: str) -> Mitigation:
    """The method that a config names: a registered one, or the user's own as ``package.module:Class``.

    `InputError` for an unknown name, with a near one, and for what a class of the user's lacks.
    """
    return own.load(name) if ":" in name else MITIGATIONS[name]


def build_resampler(name: str, params: dict[str, object]) -> Resample:
    """The resampling of that name with these parameters, for `train.resample`.

    `InputError` for an unknown name and for a method that does not choose training rows.
    """
    method = MITIGATIONS[name]
    rows = method.build(method.Params.model_validate(params), Ask((), False, "full")).rows
    if rows is None:
        raise InputError(f"{name} does not choose training rows: `train.resample` takes methods that do")
    return rows
