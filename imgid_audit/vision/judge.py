"""How good a last layer is on val, and which one that makes the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.comparison import Selected
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes
from imgid_audit.vision.row_losses import cross_entropy
from imgid_audit.vision.treatment import LinearHead, Part

Select = Literal["average", "worst_class", "worst_group"]


@dataclass(frozen=True, slots=True, eq=False)
class Picked:
    """The head of one epoch (from 1), refitted where the method says so.

    - `criterion`: accuracy on val of what was declared; `of`: code of the worst class or group, None for all rows
    - `accuracy`, `loss` (mean cross-entropy in nats) of all val rows; all None without val rows
    """

    head: LinearHead
    epoch: int
    criterion: float | None
    of: int | None
    accuracy: float | None
    loss: float | None


class Judge:
    """Judges heads on `val` by `select`.

    `undefined` are codes of classes or groups without val rows, which cannot be the worst.
    """

    def __init__(self, val: Part, classes: int, groups: int, select: Select) -> None:
        self.part = val if len(val) else None
        self._select: Select = select
        self._codes, size = _codes(val.labels, val.groups, select, classes, groups)
        self._counts = np.bincount(self._codes, minlength=size)
        self.undefined = () if select == "average" else tuple(np.flatnonzero(self._counts == 0).tolist())
        self._labels = torch.from_numpy(val.labels.astype(np.int64))

    def values(self, x: torch.Tensor | None, head: LinearHead) -> dict[Selected, tuple[float, float] | None]:
        """What each selection maximises, with minus the cross-entropy for ties; None without val rows.

        `x` (n, d) float32 are the embeddings of val in the head's own space.
        """
        if x is None:
            return {"declared": None, "average": None}
        weight, bias = (torch.from_numpy(part).float() for part in (head.weight, head.bias))
        value, _, accuracy, loss = self._measured(logits_of_head(x, weight, bias))
        return {"declared": (value, -loss), "average": (accuracy, -loss)}

    def picked(self, head: LinearHead, epoch: int) -> Picked:
        """The head with its values on val, by its own float64 weights of raw embeddings."""
        if self.part is None:
            return Picked(head, epoch, None, None, None, None)
        value, of, accuracy, loss = self._measured(torch.from_numpy(head.logits(self.part.embeddings)))
        return Picked(head, epoch, value, None if self._select == "average" else of, accuracy, loss)

    def _measured(self, logits: torch.Tensor) -> tuple[float, int, float, float]:
        right = (logits.argmax(dim=1) == self._labels).numpy()
        loss = float(cross_entropy(logits, self._labels).mean())
        value, of = _worst(right, self._codes, self._counts)
        return value, of, float(right.mean()), loss


def criterion(predicted: NDArray[np.integer], labels: Codes, groups: Codes | None, select: Select) -> float | None:
    """Accuracy of all rows, of the worst class or of the worst group that has any; None without rows."""
    if not len(labels):
        return None
    codes, _ = _codes(labels, groups, select, 0, 0)
    return _worst(predicted == labels, codes, np.bincount(codes))[0]


def logits_of_head(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """(m, classes), computed transposed: with few classes that is two to three times as fast on the CPU."""
    return torch.addmm(bias[:, None], weight, x.t()).t()


def _worst(right: NDArray[np.bool_], codes: Codes, counts: NDArray[np.int64]) -> tuple[float, int]:
    """The lowest share of `right` rows among codes that have rows, and its code."""
    known = np.flatnonzero(counts)
    accuracies = np.bincount(codes, weights=right, minlength=len(counts))[known] / counts[known]
    worst = int(accuracies.argmin())
    return float(accuracies[worst]), int(known[worst])


def _codes(labels: Codes, groups: Codes | None, select: Select, classes: int, groups_count: int) -> tuple[Codes, int]:
    """What the criterion is the worst of: one code a row, and how many codes there may be."""
    if select == "worst_class":
        return labels, classes
    if select == "worst_group":
        if groups is None:
            raise InputError(Problem("[train > groups]", "select: worst_group needs the attributes of a group"))
        return groups, groups_count
    return np.zeros(len(labels), dtype=np.int32), 1
