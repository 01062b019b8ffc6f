"""Optimisers by name, and the learning rate over a training."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from imgid_audit.vision.averaging import plain_epochs
from imgid_audit.vision.finetune import SHARE, parameter_groups
from imgid_audit.vision.settings import TrainSettings


def make_optimizer(
    model: nn.Module, classes: int, settings: TrainSettings, weight_decay: float
) -> torch.optim.Optimizer:
    """AdamW, Adam, or SGD with Nesterov momentum 0.9; the last layer's group is the first."""
    groups = parameter_groups(model, classes, settings)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=settings.lr, momentum=0.9, nesterov=True, weight_decay=weight_decay)
    kind: Any = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[settings.optimizer]
    optimizer: torch.optim.Optimizer = kind(groups, lr=settings.lr, weight_decay=weight_decay)
    return optimizer


def set_rate(optimizer: torch.optim.Optimizer, settings: TrainSettings, done: float) -> None:
    """Give every parameter group its learning rate after `done` epochs."""
    scale = rate_scale(settings, done)
    for group in optimizer.param_groups:
        group["lr"] = settings.lr * scale * group[SHARE]


def rate_scale(settings: TrainSettings, done: float) -> float:
    """The learning rate after `done` epochs as a share of `lr`, in [0, 1].

    Cosine from 1 to 0 over each phase (Loshchilov and Hutter 2017): the epochs in which the last layer learns
    alone, and the rest. Once a stochastic weight average has begun it stays where it was.
    """
    if settings.schedule == "constant":
        return 1.0
    first = 0 if settings.fine_tune is None else min(settings.fine_tune.frozen_epochs, settings.epochs)
    begin, end = (0, first) if done < first else (first, settings.epochs)
    held = max(begin, min(done, plain_epochs(settings)))
    return 0.5 * (1 + math.cos(math.pi * (held - begin) / (end - begin)))
