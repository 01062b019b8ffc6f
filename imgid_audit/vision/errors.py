"""What goes wrong in trainings."""

from __future__ import annotations

from imgid_audit.core.errors import StoppedError


class DivergedError(StoppedError):
    """The loss or the weights became NaN or infinite, after `epochs` whole ones. The last good checkpoint is kept."""

    def __init__(self, message: str, epochs: int = 0) -> None:
        super().__init__(message)
        self.epochs = epochs
