"""Weights averaged over a training: what is judged and kept in their place, where `train.average` asks for it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from imgid_audit.vision.settings import AverageSettings, TrainSettings


def plain_epochs(settings: TrainSettings) -> int:
    """Epochs before a stochastic weight average begins; all of them where there is none.

    Those in which the last layer learns alone are among them: the rest of a mean over them would be the starting
    point. Where no other epochs follow, the mean is of that layer alone, and begins where it was asked to.
    """
    average = settings.average
    if average is None or average.method != "swa":
        return settings.epochs
    frozen = 0 if settings.fine_tune is None else settings.fine_tune.frozen_epochs
    first = max(math.floor(average.start * settings.epochs + 1e-9), frozen if frozen < settings.epochs else 0)
    return min(settings.epochs - 1, first)


def is_averaged(settings: TrainSettings, epoch: int) -> bool | None:
    """Whether the network after `epoch` (from 1) is judged by averaged weights; None where no average was asked for."""
    if settings.average is None:
        return None
    return settings.average.method == "ema" or epoch > plain_epochs(settings)


def ema_decay(decay: float, averaged: int) -> float:
    """Share of the average that a step keeps once `averaged` networks are in it (from 1).

    ``min(decay, (1 + t) / (10 + t))``: a warm-up, or the first steps' weights would stay for 1 / (1 - decay) steps
    (the rule of TensorFlow's `ExponentialMovingAverage` with `num_updates`).
    """
    return min(decay, (1 + averaged) / (10 + averaged))


class Averaging:
    """The average of a network's weights.

    - ``ema`` after every optimiser step: ``average <- d average + (1 - d) weights`` with `ema_decay`, starting with the
      weights after the first step; batch-norm statistics are averaged alike (Polyak and Juditsky 1992)
    - ``swa`` after every epoch from `start` on: the plain mean of those epochs' weights (Izmailov et al. 2018); its
      batch-norm statistics must be computed anew (`fresh_statistics`)

    `model` is the state that a checkpoint keeps.
    """

    def __init__(self, network: nn.Module, settings: AverageSettings, plain: int) -> None:
        self._settings = settings
        self._plain = plain
        ema = settings.method == "ema"
        self.model = AveragedModel(network, multi_avg_fn=self._ema if ema else None, use_buffers=ema)
        self.model.requires_grad_(False)

    @property
    def begun(self) -> bool:
        return int(self.model.n_averaged) > 0

    @property
    def network(self) -> nn.Module:
        """The averaged network, with the names of the one that is trained."""
        return self.model.module

    def stepped(self, network: nn.Module) -> None:
        """Take the weights after an optimiser step."""
        if self._settings.method == "ema":
            self.model.update_parameters(network)

    def ended(self, network: nn.Module, epoch: int) -> bool:
        """Take the weights after `epoch` (from 1); whether batch-norm statistics are to be computed anew."""
        if self._settings.method == "ema" or epoch <= self._plain:
            return False
        self.model.update_parameters(network)
        return True

    @torch.no_grad()
    def _ema(self, averaged: Any, current: Any, _count: Any) -> None:
        # The model's own count: it is on the CPU, so that reading it does not wait for a GPU.
        decay = ema_decay(self._settings.decay, int(self.model.n_averaged))
        update: Any = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
        update(averaged, current, _count)


@contextlib.contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[bool]:
    """While it lasts, batches that go through `network` make its batch-norm statistics anew: their plain mean.

    Everything else is as in prediction. False where there is no batch norm, so that nothing needs to go through.
    """
    norms = [part for part in network.modules() if isinstance(part, _BatchNorm) and part.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    network.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
        norm.train()
    try:
        with torch.no_grad():
            yield bool(norms)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        network.eval()
