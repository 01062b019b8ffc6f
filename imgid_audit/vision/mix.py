"""MixUp and CutMix of batches: torchvision's rules with seeded draws of our own.

Every row is mixed with the one before it in the batch (the first with the last), whose order is random.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.vision.treatment import Loss, LossBatch, Mix, Mixing


@dataclass(frozen=True, slots=True)
class Drawn:
    """One batch's mixture: `share` of the row itself, in [0, 1]; `box` (top, left, bottom, right) for CutMix."""

    share: float
    box: tuple[int, int, int, int] | None = None


def draw_shares(mix: Mix | None, batches: int, rng: np.random.Generator) -> NDArray[np.float64] | None:
    """A share for each batch from Beta(alpha, alpha); None without `mix`."""
    return None if mix is None else rng.beta(mix.alpha, mix.alpha, batches)


def draw(mix: Mix, height: int, width: int, rng: np.random.Generator) -> Drawn:
    """The mixture of one batch of images; CutMix's share is that of the area that is left."""
    share = float(rng.beta(mix.alpha, mix.alpha))
    if mix.kind == "mixup":
        return Drawn(share)
    row, column = int(rng.integers(height)), int(rng.integers(width))
    half = 0.5 * np.sqrt(1 - share)
    tall, wide = int(half * height), int(half * width)
    top, bottom = max(row - tall, 0), min(row + tall, height)
    left, right = max(column - wide, 0), min(column + wide, width)
    return Drawn(1 - (bottom - top) * (right - left) / (height * width), (top, left, bottom, right))


def mixed_rows(rows: torch.Tensor, share: float) -> torch.Tensor:
    """Each row (m, ...) at `share`, the one before it at the rest (Zhang et al. 2018)."""
    return torch.lerp(rows.roll(1, 0), rows, share)


def mixed_images(images: torch.Tensor, drawn: Drawn) -> torch.Tensor:
    """Images (m, c, H, W) mixed, or with a box of the one before pasted in (Yun et al. 2019)."""
    if drawn.box is None:
        return mixed_rows(images, drawn.share)
    top, left, bottom, right = drawn.box
    mixed = images.clone()
    mixed[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
    return mixed


def losses_of(loss: Loss, batch: LossBatch, drawn: Drawn | None) -> torch.Tensor:
    """The loss of every row of a batch, (m,), mixed or not."""
    return loss(batch) if drawn is None else mixed_loss(loss, batch, drawn)


def mixed_loss(loss: Loss, batch: LossBatch, drawn: Drawn) -> torch.Tensor:
    """The loss (m,) at the rows' own labels and at those mixed in, weighed by their shares; one step of its memory.

    `batch` has the logits of mixed rows, and labels and groups of the rows themselves.
    """
    other = replace(
        batch, labels=batch.labels.roll(1, 0), groups=None if batch.groups is None else batch.groups.roll(1, 0)
    )
    if isinstance(loss, Mixing):
        return loss.mixed(batch, other, drawn.share)
    before = deepcopy(loss.state_dict())
    own_first = drawn.share < 0.5  # the larger share comes last: its step is the one that stays
    first = loss(batch if own_first else other)
    loss.load_state_dict(before)
    last = loss(other if own_first else batch)
    smaller = min(drawn.share, 1 - drawn.share)
    return smaller * first + (1 - smaller) * last
