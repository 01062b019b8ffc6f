"""The last layer of a network as a `LinearHead`: found, read, replaced, and what enters it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.vision.models import WHERE, head_of
from imgid_audit.vision.treatment import LinearHead

_LEAVE = "a head cannot be trained on its embeddings: use mitigations.scope full"


def linear_layer(model: nn.Module, classes: int) -> nn.Linear:
    """The last layer of `model` that has `classes` outputs.

    Raises `InputError` where there is none, or where it is not linear with a bias (a 1x1 convolution, for
    example, is applied before pixels are averaged).
    """
    name, layer = head_of(model, classes)
    if not isinstance(layer, nn.Linear):
        found = f"the last layer of {type(model).__name__} ({name}) is {type(layer).__name__}, not Linear"
        raise InputError(Problem(WHERE, f"{found}: {_LEAVE}"))
    if layer.bias is None:
        raise InputError(Problem(WHERE, f"the last layer of {type(model).__name__} ({name}) has no bias: {_LEAVE}"))
    return layer


def as_head(layer: nn.Linear) -> LinearHead:
    """The layer's weights as float64 copies."""
    weight, bias = (part.detach().cpu().double().numpy().copy() for part in (layer.weight, layer.bias))
    return LinearHead(weight, bias)


def put(layer: nn.Linear, head: LinearHead) -> None:
    """Write `head` into the layer, in the layer's own precision; ValueError where it has another shape."""
    if head.weight.shape != tuple(layer.weight.shape) or head.bias.shape != tuple(layer.bias.shape):
        raise ValueError(f"a head of shape {head.weight.shape} does not fit a layer of {tuple(layer.weight.shape)}")
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(np.ascontiguousarray(head.weight)))
        layer.bias.copy_(torch.from_numpy(np.ascontiguousarray(head.bias)))


def install(model: nn.Module, classes: int, head: LinearHead) -> None:
    """Write `head` into the last layer of `model`; `InputError` where that is not linear with a bias."""
    put(linear_layer(model, classes), head)


@contextlib.contextmanager
def replaced(layer: nn.Linear, head: LinearHead) -> Iterator[None]:
    """`head` in the place of the layer's weights, which come back to the bit at the end."""
    kept = (layer.weight.detach().clone(), layer.bias.detach().clone())
    put(layer, head)
    try:
        yield
    finally:
        with torch.no_grad():
            layer.weight.copy_(kept[0])
            layer.bias.copy_(kept[1])


class Tap:
    """Keeps what entered a layer in its last forward pass (after dropout): `inputs`. A context manager."""

    def __init__(self, layer: nn.Module) -> None:
        self.inputs: torch.Tensor | None = None
        self._handle = layer.register_forward_pre_hook(self._keep)

    def _keep(self, _module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.inputs = inputs[0]

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *_: object) -> None:
        self.inputs = None
        self._handle.remove()
