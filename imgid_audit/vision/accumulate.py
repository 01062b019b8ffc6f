"""Gradients of one batch, computed in as many parts as fit in memory.

The gradients of the parts add up to that of the mean loss of the whole batch, so a network without batch norm
learns the same in any number of parts (to rounding). Batch norm sees each part by itself: its statistics are
those of smaller batches. A loss of a method's own, and a mixture of images, may look at all rows of a batch
at once: then all parts go through the network without gradients first, the loss is taken once of all logits,
and its derivatives are carried back part by part; that costs a second forward pass, and is exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, TypeVar

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from imgid_audit.vision import device as devices
from imgid_audit.vision.mix import Drawn
from imgid_audit.vision.objective import Objective

Forward = Callable[[torch.Tensor], torch.Tensor]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Lot:
    """One batch (or this process's share of it) on its way through the network.

    - `pixels` (m, channels, size, size), mixed already; `labels`, `groups` (m,) on the device
    - `total`: rows that the mean is over; more than m where other processes hold the rest
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    groups: torch.Tensor | None
    epoch: int
    drawn: Drawn | None
    total: int

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True, slots=True, eq=False)
class Passed:
    """What came of a lot: `logits` (m, classes), plain cross-entropies `losses` (m,), and `loss`, its share of the
    mean that was minimised. All detached, on the device."""

    logits: torch.Tensor
    losses: torch.Tensor
    loss: torch.Tensor

    def read(self) -> tuple[torch.Tensor, torch.Tensor, float]:
        """Predicted classes (m,), `losses` and `loss` on the CPU, in one transfer: each is a wait for a GPU."""
        predicted = self.logits.argmax(dim=1)
        if predicted.device.type == "cpu":
            return predicted, self.losses, float(self.loss)
        packed = torch.cat([predicted.float(), self.losses.float(), self.loss.float().reshape(1)]).cpu()
        rows = len(predicted)
        return packed[:rows].long(), packed[rows:-1], float(packed[-1])


class Parts:
    """In how many parts a batch is computed: as set, or, for ``auto``, one and twice as many whenever memory runs out.

    `gives_up(error)` says of any other failure whether the batch may be taken again (a compiler that failed).
    `together`: batch norm asks all processes for their statistics, so all must compute equally many parts.
    """

    def __init__(
        self,
        setting: int | Literal["auto"],
        model: nn.Module,
        device: torch.device,
        gives_up: Callable[[Exception], bool] = lambda _: False,
    ) -> None:
        self.count = 1 if setting == "auto" else setting
        self.together = any(isinstance(module, nn.SyncBatchNorm) for module in model.modules())
        self._grows = setting == "auto" and not self.together
        self._least = 2 if any(isinstance(module, _BatchNorm) for module in model.modules()) else 1
        self._device = device
        self._gives_up = gives_up

    def state_dict(self) -> dict[str, Any]:
        return {"count": self.count}

    @property
    def normed(self) -> bool:
        """Whether the network has batch norm."""
        return self._least == 2

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.count = int(state["count"])

    def cut(self, rows: int) -> list[slice]:
        """Parts of nearly equal size, each of at least one row, or of two where the network has batch norm."""
        return cut(rows, self.count, 0 if self.together else self._least)

    def fitting(self, rows: int, work: Callable[[list[slice]], T], again: Callable[[], None] = lambda: None) -> T:
        """`work` of the parts of `rows`; where memory runs out, `again()` and the same work in twice as many.

        Raises what ran out of memory where the number of parts is set, or no smaller ones exist.
        """
        while True:
            parts = self.cut(rows)
            try:
                return work(parts)
            except Exception as error:
                full = devices.is_out_of_memory(error)
                fits = self._grows and len(cut(rows, 2 * len(parts), self._least)) > len(parts)
                if not (fits if full else self._gives_up(error)):
                    raise
            # Outside the handler: until then the error holds the frames, and these the tensors.
            if full:
                self.count = 2 * len(parts)
                devices.free_memory(self._device)
            again()


def cut(rows: int, count: int, least: int = 1) -> list[slice]:
    """`rows` in `count` consecutive parts that differ by one row at most; fewer, where each is to hold `least` rows."""
    count = max(1, min(count, rows // least)) if least else count
    ends = [rows * part // count for part in range(count + 1)]
    return [slice(start, end) for start, end in pairwise(ends)]


class Gradients:
    """Adds up the gradients of lots in the parameters; the optimiser's step is the caller's."""

    def __init__(
        self, model: nn.Module, forward: Forward, objective: Objective, scaler: torch.amp.GradScaler, parts: Parts
    ) -> None:
        self._model, self._forward, self._objective = model, forward, objective
        self._scaler, self.parts = scaler, parts
        self._parameters = tuple(model.parameters())  # once: walking all modules takes time in every step

    def __call__(self, lot: Lot) -> Passed:
        """Set the parameters' gradients to those of the lot's share of the mean loss (scaled, with float16)."""
        again = _restorer(self._objective, lot.pixels.device)

        def work(parts: list[slice]) -> Passed:
            for parameter in self._parameters:
                parameter.grad = None
            if len(parts) == 1 or (self._objective.plain and lot.drawn is None):
                return self._straight(lot, parts)
            return self._whole(lot, parts)

        return self.parts.fitting(len(lot), work, again)

    def _straight(self, lot: Lot, parts: list[slice]) -> Passed:
        """Forward and backward, part by part: the loss of a row is its own."""
        passed = []
        for part in parts:
            logits = self._forward(lot.pixels[part])
            groups = None if lot.groups is None else lot.groups[part]
            losses, plain = self._objective(logits, lot.labels[part], groups, lot.epoch, lot.drawn)
            share = losses.sum() / lot.total
            self._scaler.scale(share).backward()
            passed.append(Passed(logits.detach(), plain, share.detach()))
        if len(passed) == 1:
            return passed[0]
        logits, losses = (torch.cat([getattr(one, name) for one in passed]) for name in ("logits", "losses"))
        return Passed(logits, losses, torch.stack([one.loss for one in passed]).sum())

    def _whole(self, lot: Lot, parts: list[slice]) -> Passed:
        """The loss of all logits at once, its derivatives carried back part by part."""
        states, found = [], []
        with torch.no_grad(), _buffers_kept(self._model):
            for part in parts:
                states.append(_rng(lot.pixels.device))
                found.append((self._forward(lot.pixels[part]), self._objective.taken()))
        logits = torch.cat([one for one, _ in found]).requires_grad_()
        inputs = [taken for _, taken in found if taken is not None]
        features = torch.cat(inputs).requires_grad_() if inputs else None
        losses, plain = self._objective(logits, lot.labels, lot.groups, lot.epoch, lot.drawn, features)
        share = losses.sum() / lot.total
        self._scaler.scale(share).backward()
        after = _rng(lot.pixels.device)
        for part, state in zip(parts, states, strict=True):
            _set_rng(state, lot.pixels.device)  # the same dropout as in the first pass
            ends = [(self._forward(lot.pixels[part]), logits.grad), (self._objective.taken(), None)]
            ends[1] = (ends[1][0], None if features is None else features.grad)
            held = [(end, gradient[part]) for end, gradient in ends if end is not None and gradient is not None]
            torch.autograd.backward([end for end, _ in held], [gradient for _, gradient in held])
        _set_rng(after, lot.pixels.device)
        return Passed(logits.detach(), plain, share.detach())


@contextmanager
def _buffers_kept(model: nn.Module) -> Iterator[None]:
    """Running statistics come back at the end: a pass that is repeated must not count twice."""
    back = buffers_back(model)
    try:
        yield
    finally:
        back()


def buffers_back(model: nn.Module) -> Callable[[], None]:
    """Puts the running statistics of `model` back as they are now."""
    buffers = list(model.buffers())
    kept = [buffer.clone() for buffer in buffers]

    def back() -> None:
        with torch.no_grad():
            for buffer, value in zip(buffers, kept, strict=True):
                buffer.copy_(value)

    return back


def _restorer(objective: Objective, device: torch.device) -> Callable[[], None]:
    """Puts generators and the loss's memory back as they are now: a batch that is taken again draws the same.

    Running statistics are not put back: of a part that did fit, batch norm sees the images twice, that once.
    """
    state = _rng(device)
    memory = None if objective.plain else deepcopy(objective.loss.state_dict())

    def restore() -> None:
        _set_rng(state, device)
        if memory is not None:
            objective.loss.load_state_dict(deepcopy(memory))  # it may be asked for again

    return restore


_Rng = tuple[torch.Tensor, torch.Tensor | None]


def _rng(device: torch.device) -> _Rng:
    """The state of torch's generators that a forward pass may draw from."""
    return torch.get_rng_state(), torch.cuda.get_rng_state(device) if device.type == "cuda" else None


def _set_rng(state: _Rng, device: torch.device) -> None:
    torch.set_rng_state(state[0])
    if state[1] is not None:
        torch.cuda.set_rng_state(state[1], device)
