"""Focal loss: rows that are already right count less."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.mitigations.weighting import Constant, class_weights
from imgid_audit.vision.treatment import LossBatch, Material, PlainLoss, Treatment

if TYPE_CHECKING:
    import torch


class FocalParams(Settings):
    """How much easy rows are played down."""

    gamma: float = Field(2.0, ge=0, le=20, description="0: cross-entropy; larger: easy rows count less")
    alpha: Literal["none", "inverse"] = Field("none", description="inverse: weights of classes, 1 / n, besides")


class FocalLoss(PlainLoss):
    """alpha_y (1 - p_y)^gamma (-log p_y), p the softmax of the logits."""

    def __init__(self, params: FocalParams, material: Material) -> None:
        counts = material.class_counts
        self._gamma = params.gamma
        self._alpha = Constant(
            class_weights(counts, "inverse", 0.5) if params.alpha == "inverse" else np.ones(len(counts))
        )

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        import torch

        from imgid_audit.vision.row_losses import cross_entropy

        losses = cross_entropy(batch.logits, batch.labels)
        # 1 - p without cancellation; the floor keeps the power's gradient finite where p is 1
        wrong = (-torch.expm1(-losses)).clamp_min(torch.finfo(losses.dtype).tiny)
        return self._alpha.like(losses)[batch.labels] * wrong**self._gamma * losses


def build(params: FocalParams, _ask: Ask) -> Treatment:
    """The focal loss."""
    return Treatment(loss=lambda material: FocalLoss(params, material))


METHOD = Mitigation(
    name="focal",
    summary="lets rows that are already right count less: the training turns to hard ones",
    source="Lin et al., Focal Loss for Dense Object Detection, ICCV 2017",
    Params=FocalParams,
    build=build,
    acts_on=lambda _: ("loss",),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda params: params.alpha == "inverse",
    space={"gamma": (0.5, 1.0, 2.0, 3.0, 5.0)},
)
