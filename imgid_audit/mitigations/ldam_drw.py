"""LDAM-DRW: wider margins for rarer classes, and weights by class towards the end of training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.mitigations.weighting import Constant, at_least_one, class_weights
from imgid_audit.vision.treatment import LinearHead, LossBatch, Material, Treatment

if TYPE_CHECKING:
    import torch

KEPT = 0.9
"""How much of the running mean of feature lengths a batch leaves as it was."""


class LdamParams(Settings):
    """Margins, their scale, and when weights set in."""

    max_margin: float = Field(0.5, ge=0, lt=1, description="margin of the rarest class, a difference of cosines")
    scale: float = Field(30.0, gt=0, le=1000, description="what cosines are multiplied by")
    drw_start: float = Field(0.8, ge=0, le=1, description="fraction of the epochs after which classes are weighted")
    beta: float = Field(0.9999, gt=0, lt=1, description="of those weights, (1 - beta) / (1 - beta^n)")


class LdamLoss:
    """Cross-entropy of scale * (cosine - margin of the row's class), from features and weights of length 1.

    It remembers a running mean of the features' lengths: with it the normalised layer is written as a linear one.
    """

    def __init__(self, params: LdamParams, material: Material) -> None:
        counts = material.class_counts
        self._params = params
        self._margins = Constant(margins(counts, params.max_margin))
        self._weights = Constant(class_weights(counts, "effective_number", params.beta))
        self._length: torch.Tensor | None = None

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        from torch.nn.functional import normalize, one_hot

        from imgid_audit.vision.row_losses import cross_entropy

        features, weight = batch.features, batch.weight
        if features is None or weight is None:
            raise InputError("ldam_drw needs the features that enter a linear last layer: this network has none")
        self._follow(features)
        cosines = normalize(features, dim=1) @ normalize(weight, dim=1).T
        margin = one_hot(batch.labels, len(weight)) * self._margins.like(cosines)
        losses = cross_entropy(self._params.scale * (cosines - margin), batch.labels)
        if batch.epoch > self._params.drw_start * batch.epochs + 1e-9:
            losses = losses * self._weights.like(losses)[batch.labels]
        return losses

    def _follow(self, features: torch.Tensor) -> None:
        new = features.detach().norm(dim=1).mean()
        self._length = new if self._length is None else KEPT * self._length.to(new) + (1 - KEPT) * new

    def state_dict(self) -> dict[str, Any]:
        """The running length, None before the first batch."""
        return {"length": self._length}

    def load_state_dict(self, state: Mapping[str, Any], /) -> None:
        self._length = state["length"]

    def finished(self, head: LinearHead, /) -> LinearHead:
        """Rows of length scale / mean length of features, no bias: the class is that of the largest cosine.

        Its logits are scale * cosine for a row whose features have that mean length.
        """
        length = 1.0 if self._length is None else float(self._length)
        norms = np.linalg.norm(head.weight, axis=1, keepdims=True)
        weight = head.weight / np.maximum(norms, 1e-12) * (self._params.scale / max(length, 1e-12))
        return LinearHead(weight, np.zeros_like(head.bias))


def margins(counts: NDArray[Any], largest: float) -> NDArray[np.float64]:
    """Margins proportional to n^-1/4, (classes,); `largest` that of the rarest class."""
    raw = at_least_one(counts) ** -0.25
    return np.asarray(largest * raw / raw.max())


def build(params: LdamParams, _ask: Ask) -> Treatment:
    """The loss with margins."""
    return Treatment(loss=lambda material: LdamLoss(params, material))


METHOD = Mitigation(
    name="ldam_drw",
    summary="asks for wider margins on rarer classes, and weights classes late in the training",
    source="Cao et al., Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss, NeurIPS 2019",
    Params=LdamParams,
    build=build,
    acts_on=lambda _: ("loss", "head"),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
    space={"max_margin": (0.3, 0.5, 0.7), "scale": (10.0, 30.0), "drw_start": (0.6, 0.8)},
)
