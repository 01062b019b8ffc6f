"""AdamW for a few small tensors: the same steps as torch's, without what it costs to manage many."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

_MOMENTUM, _SQUARES, _EPSILON = 0.9, 0.999, 1e-8


class AdamW:
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019); `decayed` are the parameters that decay."""

    def __init__(self, decayed: Sequence[torch.Tensor], others: Sequence[torch.Tensor], weight_decay: float) -> None:
        self._parameters = [(one, torch.zeros_like(one), torch.zeros_like(one)) for one in (*decayed, *others)]
        self._decayed = len(decayed)
        self._weight_decay = weight_decay
        self._steps = 0

    @torch.no_grad()
    def step(self, lr: float) -> None:
        """One step at learning rate `lr` along the gradients, which are cleared; parameters without one stay."""
        self._steps += 1
        first = 1 - _MOMENTUM**self._steps
        second = math.sqrt(1 - _SQUARES**self._steps)
        size = min(lr / first, torch.finfo(torch.float32).max)  # beyond it torch raises: let the weights overflow
        for number, (parameter, mean, square) in enumerate(self._parameters):
            gradient, parameter.grad = parameter.grad, None
            if gradient is None:
                continue
            if number < self._decayed:
                parameter.mul_(1 - lr * self._weight_decay)
            mean.lerp_(gradient, 1 - _MOMENTUM)
            square.mul_(_SQUARES).addcmul_(gradient, gradient, value=1 - _SQUARES)
            parameter.addcdiv_(mean, square.sqrt().div_(second).add_(_EPSILON), value=-size)
