"""What goes wrong in trainings."""

from __future__ import annotations

from imgid_audit.core.errors import StoppedError


class DivergedError(StoppedError):
    """The loss or the weights became NaN or infinite. The last good checkpoint is kept."""
