"""GroupDRO: the training minimises the loss of the worst group, by weights that follow the losses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.mitigations.weighting import Constant, at_least_one
from imgid_audit.vision.treatment import LossBatch, Material, PlainLoss, Treatment

if TYPE_CHECKING:
    import torch


class GroupDroParams(Settings):
    """Between what it is fair, how fast weights follow losses, and how strongly it is regularised."""

    by: Literal["group", "class_and_group"] = Field(
        "group", description="what the weights are of: groups of `train.groups`, or each class within each group"
    )
    eta: float = Field(0.01, gt=0, le=10, description="step of the weights: q <- q exp(eta loss)")
    adjustment: float = Field(0.0, ge=0, description="C: groups' losses count C / sqrt(rows of the group) more")
    weight_decay: float | None = Field(
        0.1, ge=0, description="instead of the training's; strong, as the method asks; null: the training's"
    )


class GroupDroLoss(PlainLoss):
    """sum_g q_g mean loss of g in the batch, as losses of rows; q rises with the losses of groups g.

    A group that is absent from a batch keeps its weight but for the normalisation; the adjustment moves
    the weights and adds no constant to the loss. q is kept as logarithms.
    """

    def __init__(self, params: GroupDroParams, material: Material) -> None:
        import torch

        if material.groups is None:
            raise InputError("group_dro needs `train.groups`: the attributes that define a group")
        self._classes = material.classes if params.by == "class_and_group" else 0
        counts = material.group_counts
        if self._classes:
            joint = material.groups.astype(np.int64) * self._classes + material.labels
            counts = np.bincount(joint, minlength=material.groups_count * self._classes)
        self._eta = params.eta
        self._rise = Constant(params.adjustment / np.sqrt(at_least_one(counts)))
        start = np.where(counts > 0, -np.log(max(1, int(np.count_nonzero(counts)))), -np.inf)
        self._log_q = torch.as_tensor(start)

    @property
    def weights(self) -> torch.Tensor:
        """q, (groups,) or (groups * classes,): sums to 1; 0 where there are no training rows."""
        return self._log_q.exp()

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        import torch

        from imgid_audit.vision.row_losses import cross_entropy

        losses, codes = cross_entropy(batch.logits, batch.labels), self._codes(batch)
        return self._factors(losses, codes, torch.ones_like(losses))[codes] * losses

    def mixed(self, batch: LossBatch, other: LossBatch, share: float) -> torch.Tensor:
        """The same of mixtures: each row is `share` of a row of its own group, and the rest one of the other's.

        q makes one step, by the means of groups over such parts of rows.
        """
        import torch

        from imgid_audit.vision.row_losses import cross_entropy

        losses = torch.stack([cross_entropy(one.logits, one.labels) for one in (batch, other)])
        codes = torch.stack([self._codes(one) for one in (batch, other)])
        parts = losses.new_tensor([[share], [1 - share]]).expand_as(losses)
        factors = self._factors(losses.flatten(), codes.flatten(), parts.flatten())
        return (parts * factors[codes] * losses).sum(dim=0)

    def _codes(self, batch: LossBatch) -> torch.Tensor:
        if batch.groups is None:
            raise InputError("group_dro needs the groups of every training row, and they are not known")
        return batch.groups * self._classes + batch.labels if self._classes else batch.groups

    def _factors(self, losses: torch.Tensor, codes: torch.Tensor, parts: torch.Tensor) -> torch.Tensor:
        """One step of q, and what the losses of each group count, so that their mean is sum_g q_g mean of g.

        `parts` (k,): how much of a row each of `losses` (k,) is.
        """
        import torch
        from torch.nn.functional import one_hot

        with torch.no_grad():
            member = one_hot(codes, len(self._log_q)).to(losses) * parts[:, None]
            rows = member.sum(dim=0)
            held = torch.where(rows > 0, rows, 1)
            means = losses @ member / held + self._rise.like(losses)
            moved = self._log_q.to(losses) + self._eta * torch.where(rows > 0, means, 0)
            self._log_q = moved - moved.logsumexp(dim=0)
            return parts.sum() * self._log_q.exp() / held

    def state_dict(self) -> dict[str, Any]:
        """The logarithms of q."""
        return {"log_q": self._log_q}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self._log_q = state["log_q"]


def build(params: GroupDroParams, _ask: Ask) -> Treatment:
    """The loss of the worst group, with its regularisation."""
    return Treatment(loss=lambda material: GroupDroLoss(params, material), weight_decay=params.weight_decay)


METHOD = Mitigation(
    name="group_dro",
    summary="minimises the loss of the worst group: groups with larger losses gain weight",
    source="Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020",
    Params=GroupDroParams,
    build=build,
    acts_on=lambda _: ("loss",),
    needs=lambda _: frozenset({"class labels", "group labels in training"}),
    shifts_prior=lambda _: True,
    corrects_prior=lambda params: params.by == "class_and_group",
    goes_with=("oversample", "undersample", "sqrt_sampling", "imblearn", "smote"),  # means within batches ignore shares
    space={"eta": (0.001, 0.01, 0.1), "adjustment": (0.0, 1.0, 3.0), "weight_decay": (0.001, 0.01, 0.1, 1.0)},
)
