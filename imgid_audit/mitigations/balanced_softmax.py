"""Balanced softmax: the training sees logits shifted by the frequency of classes, the prediction does not."""

from __future__ import annotations

import numpy as np

from imgid_audit.mitigations.base import Ask, Mitigation, NoParams
from imgid_audit.mitigations.logit_adjustment import ShiftedLoss
from imgid_audit.mitigations.weighting import at_least_one
from imgid_audit.vision.treatment import Treatment


def build(_params: NoParams, _ask: Ask) -> Treatment:
    """Cross-entropy of z + log n, n the training rows of each class."""
    return Treatment(loss=lambda material: ShiftedLoss(np.log(at_least_one(material.class_counts))))


METHOD = Mitigation(
    name="balanced_softmax",
    summary="takes the frequency of classes into the training's softmax: CE(z + log n)",
    source="Ren et al., Balanced Meta-Softmax for Long-Tailed Visual Recognition, NeurIPS 2020",
    Params=NoParams,
    build=build,
    acts_on=lambda _: ("loss",),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
)
