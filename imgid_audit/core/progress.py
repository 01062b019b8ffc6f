"""How long steps tell what they are doing, without knowing who listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A listener. `step` begins a named step; `update` says how much of it is done."""

    def step(self, name: str) -> None:
        """Begin a step, for example ``train``; it ends the one before."""

    def update(self, done: int, total: int, text: str = "") -> None:
        """`done` of `total` units (images, epochs, ...) of the step; `text` is a short remark."""


class _Silent:
    def step(self, name: str) -> None:
        """Say nothing."""

    def update(self, done: int, total: int, text: str = "") -> None:
        """Say nothing."""


SILENT: Progress = _Silent()
"""The listener that prints nothing: the Python API's default, `--quiet`, and wherever there is no terminal."""
