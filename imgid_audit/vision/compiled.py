"""torch.compile for the training's forward passes; the network itself, its names and its hooks stay as they are.

Validation, prediction and weights files use the network as it is, so a compiled training leaves what a plain
one would, to rounding. Compiling happens in the first steps and takes tens of seconds a network (20 to 50 s for a
ResNet on two cores), which only long trainings earn back.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem

MIN_STEPS = 10_000
"""Planned optimiser steps from which ``auto`` compiles, on CUDA: 50 s are earned back where each step saves 5 ms."""


class Compiled:
    """The network, compiled where that was asked for; called like it.

    - ``always``: on every device; what keeps it from compiling is an `InputError`
    - ``auto``: on CUDA from `MIN_STEPS` optimiser steps on, and plain where compiling fails
    """

    def __init__(
        self,
        model: nn.Module,
        setting: Literal["auto", "always", "never"],
        device: torch.device,
        steps: int,
        backend: str = "inductor",
    ) -> None:
        self._strict = setting == "always"
        self._model = model
        wanted = self._strict or (setting == "auto" and device.type == "cuda" and steps >= MIN_STEPS)
        self._run: Any = torch.compile(model, backend=backend) if wanted else model

    @property
    def active(self) -> bool:
        """Whether passes are compiled."""
        return self._run is not self._model

    def __call__(self, images: torch.Tensor) -> Any:
        return self._run(images)

    def gives_up(self, error: Exception) -> bool:
        """Whether `error` says that compiling failed, and passes are plain from now on.

        Raises `InputError` instead where compiling was asked for by ``always``.
        """
        if not (self.active and failed_to_compile(error)):
            return False
        if self._strict:
            cause = getattr(error, "inner_exception", error)
            reason = next((line.strip() for line in str(cause).splitlines() if line.strip()), type(cause).__name__)
            message = f"always asked for, but torch cannot compile this network here ({reason}): set never, or auto"
            raise InputError(Problem("[train > compile]", message)) from error
        self._run = self._model
        return True


def failed_to_compile(error: BaseException) -> bool:
    """Whether an exception comes from torch's compiler rather than from the network's arithmetic."""
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor.exc import InductorError

    # Out of memory inside a compiled graph is raised as it is, and is not of these types.
    return isinstance(error, (TorchDynamoException, InductorError))
