"""What a training of a whole network minimises: a method's loss, on what enters and leaves the last layer."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.vision.last_layer import Tap, as_head, linear_layer, replaced
from imgid_audit.vision.mix import Drawn, losses_of
from imgid_audit.vision.models import head_of
from imgid_audit.vision.row_losses import cross_entropy
from imgid_audit.vision.treatment import Loss, LossBatch, Material, PlainLoss, Treatment


class CrossEntropy(PlainLoss):
    """Plain training: -log p of the label, in nats."""

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return cross_entropy(batch.logits, batch.labels)


class Objective:
    """The loss of batches of one training, and the network as it predicts.

    Raises `InputError` where the loss replaces the layer that predicts, and the network's last layer is not
    linear with a bias.
    """

    def __init__(self, treatment: Treatment, material: Material, model: nn.Module, epochs: int) -> None:
        self.plain = treatment.loss is None
        self.loss: Loss = CrossEntropy() if treatment.loss is None else treatment.loss(material)
        self._epochs = epochs
        self._classes = material.classes
        self._layer: nn.Linear | None = None
        self._tap: Tap | None = None
        if self.plain:
            return
        if _predicts_as_trained(self.loss):
            self._layer = _linear_if_any(model, material.classes)
        else:
            self._layer = linear_layer(model, material.classes)
        if self._layer is not None:
            self._tap = Tap(self._layer)

    def __call__(
        self,
        logits: torch.Tensor,
        labels: torch.Tensor,
        groups: torch.Tensor | None,
        epoch: int,
        drawn: Drawn | None,
        features: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """`(losses to minimise (m,), plain cross-entropies (m,))` of a batch.

        `features` (m, d) as `taken` gave them; by default those of the batch that just went through.
        """
        features = self.taken() if features is None else features
        batch = LossBatch(logits, labels, groups, epoch, self._epochs, features, self._weight)
        losses = losses_of(self.loss, batch, drawn)
        if self.plain:
            return losses, losses.detach()
        with torch.no_grad():
            return losses, losses_of(CrossEntropy(), replace(batch, logits=logits.detach()), drawn)

    def finished(self, network: nn.Module) -> contextlib.AbstractContextManager[None]:
        """`network` (the trained one, or its average) as it predicts, for as long as it lasts: the loss may put
        another last layer in."""
        return contextlib.nullcontext() if _predicts_as_trained(self.loss) else self._finished(network)

    @contextlib.contextmanager
    def _finished(self, network: nn.Module) -> Iterator[None]:
        layer = linear_layer(network, self._classes)
        with replaced(layer, self.loss.finished(as_head(layer))):
            yield

    @property
    def _weight(self) -> torch.Tensor | None:
        return None if self._layer is None else self._layer.weight

    def taken(self) -> torch.Tensor | None:
        """What entered the last layer in the pass that just ended, float32 (m, d), once; None where nobody looks."""
        if self._tap is None or self._tap.inputs is None:
            return None
        inputs, self._tap.inputs = self._tap.inputs, None
        return inputs.float() if inputs.ndim == 2 else None


def material_of(labels: Codes, groups: np.ndarray | None, classes: int, groups_count: int) -> Material:
    """What a loss is told beforehand, of the training rows' codes."""
    return Material(labels.astype(np.int32), None if groups is None else groups.astype(np.int32), classes, groups_count)


def _linear_if_any(model: nn.Module, classes: int) -> nn.Linear | None:
    """The last layer where it is linear, with or without a bias: its inputs are features."""
    try:
        layer = head_of(model, classes)[1]
    except InputError:
        return None
    return layer if isinstance(layer, nn.Linear) else None


def _predicts_as_trained(loss: Loss) -> bool:
    return type(loss).finished is PlainLoss.finished
