"""What the losses share: weights of classes from their counts, and constants that follow a batch to its device."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]

Scheme = Literal["inverse", "effective_number"]


def at_least_one(counts: NDArray[Any]) -> Floats:
    """Rows of each class as floats; a class without rows counts as one, so that nothing becomes infinite."""
    return np.asarray(np.maximum(counts, 1), dtype=np.float64)


def class_weights(counts: NDArray[Any], scheme: Scheme, beta: float) -> Floats:
    """A weight for every class, (classes,), whose mean over the training rows is 1.

    ``inverse``: 1 / n; ``effective_number``: (1 - beta) / (1 - beta^n), which is 1 / n for beta -> 1
    and equal for beta -> 0. Source: Cui et al. (2019) CVPR, equation 4, who scale the sum instead.
    """
    rows = at_least_one(counts)
    raw = 1 / rows if scheme == "inverse" else (1 - beta) / -np.expm1(rows * np.log(beta))
    return np.asarray(raw * counts.sum() / (raw @ counts) if counts.sum() else np.ones_like(raw))


class Constant:
    """Numbers that a loss needs as a tensor of the batch's type, on the batch's device; moved there once."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)
        self._held: torch.Tensor | None = None

    def like(self, other: torch.Tensor) -> torch.Tensor:
        """The numbers with the type and device of `other`."""
        import torch

        held = self._held
        if held is None or held.device != other.device or held.dtype != other.dtype:
            held = self._held = torch.as_tensor(self._values, dtype=other.dtype, device=other.device)
        return held
