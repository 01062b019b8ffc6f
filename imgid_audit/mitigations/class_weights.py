"""Class weights: errors on rarer classes count more in the cross-entropy."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.mitigations.weighting import Constant, Scheme, class_weights
from imgid_audit.vision.treatment import LossBatch, Material, PlainLoss, Treatment

if TYPE_CHECKING:
    import torch


class ClassWeightsParams(Settings):
    """How the weight of a class follows from its rows."""

    scheme: Scheme = Field("inverse", description="inverse: 1 / n; effective_number: (1 - beta) / (1 - beta^n)")
    beta: float = Field(0.9999, gt=0, lt=1, description="of effective_number; near 1: as inverse, near 0: no weights")


class WeightedLoss(PlainLoss):
    """Cross-entropy times the weight of the row's class."""

    def __init__(self, params: ClassWeightsParams, material: Material) -> None:
        self._weights = Constant(class_weights(material.class_counts, params.scheme, params.beta))

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        from imgid_audit.vision.row_losses import cross_entropy

        losses = cross_entropy(batch.logits, batch.labels)
        return self._weights.like(losses)[batch.labels] * losses


def build(params: ClassWeightsParams, _ask: Ask) -> Treatment:
    """The weighted loss."""
    return Treatment(loss=lambda material: WeightedLoss(params, material))


METHOD = Mitigation(
    name="class_weights",
    summary="lets errors on rarer classes count more: cross-entropy weighted by class",
    source="Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019",
    Params=ClassWeightsParams,
    build=build,
    acts_on=lambda _: ("loss",),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
    idle=lambda params: frozenset({"beta"} if params.scheme == "inverse" else ()),
    space={"scheme": ("inverse", "effective_number"), "beta": (0.99, 0.999, 0.9999)},
)
