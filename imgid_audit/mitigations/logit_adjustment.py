"""Logit adjustment: the frequency of classes is taken into the training, or out of a trained head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation, Place
from imgid_audit.mitigations.weighting import Constant, at_least_one
from imgid_audit.vision.treatment import HeadTask, LinearHead, LossBatch, Material, PlainLoss, Treatment

if TYPE_CHECKING:
    import torch


class LogitAdjustmentParams(Settings):
    """Where the logits are adjusted, and how much."""

    mode: Literal["training", "posthoc"] = Field(
        "training", description="training: cross-entropy of z + tau log prior; posthoc: bias - tau log prior"
    )
    tau: float = Field(1.0, ge=0, le=10, description="0: no adjustment; 1: as if classes were equally frequent")


class ShiftedLoss(PlainLoss):
    """Cross-entropy of logits + `shift`, (classes,)."""

    def __init__(self, shift: NDArray[Any]) -> None:
        self._shift = Constant(shift)

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        from imgid_audit.vision.row_losses import cross_entropy

        return cross_entropy(batch.logits + self._shift.like(batch.logits), batch.labels)


def log_prior(material: Material) -> NDArray[np.float64]:
    """Log of the share of every class in the training rows, (classes,); a class without rows counts as one row."""
    rows = at_least_one(material.class_counts)
    return np.asarray(np.log(rows / rows.sum()))


def build(params: LogitAdjustmentParams, _ask: Ask) -> Treatment:
    """The shifted loss, or the shifted bias."""

    def shifted(task: HeadTask, head: LinearHead, _seed: int) -> LinearHead:
        return LinearHead(head.weight, head.bias - params.tau * log_prior(task.material))

    if params.mode == "posthoc":
        return Treatment(refits=(shifted,))
    return Treatment(loss=lambda material: ShiftedLoss(params.tau * log_prior(material)))


def acts_on(params: LogitAdjustmentParams) -> tuple[Place, ...]:
    """The loss, or the trained head."""
    return ("head",) if params.mode == "posthoc" else ("loss",)


METHOD = Mitigation(
    name="logit_adjustment",
    summary="adjusts logits by the log frequency of classes, in training or afterwards",
    source="Menon et al., Long-Tail Learning via Logit Adjustment, ICLR 2021",
    Params=LogitAdjustmentParams,
    build=build,
    acts_on=acts_on,
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda params: params.tau > 0,
    space={"tau": (0.5, 0.75, 1.0, 1.25, 1.5, 2.0)},
)
