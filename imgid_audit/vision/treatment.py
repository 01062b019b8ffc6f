"""What a mitigation may change of a training: one type for every place where one can act.

Nothing here computes: methods (`imgid_audit.mitigations`) make these values, the trainings of heads and of
whole networks read them. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes
from imgid_audit.vision.settings import AugmentSettings

if TYPE_CHECKING:
    import torch

Floats32 = NDArray[np.float32]
Scores = NDArray[np.float64]

Resample = Callable[[Codes, Codes | None, int], NDArray[np.intp]]
"""``(label codes (n,), group codes (n,) or None, seed) -> indices into the n training rows``, asked in every epoch."""


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Rows of one split with what the frozen backbone makes of them.

    - `embeddings` (n, d): what enters the last layer; `labels` (n,): class codes
    - `groups` (n,): codes of `train.groups`, None where none are named
    - `views` (v, n, d): embeddings of randomly augmented images, None where no method asked for any
    - `subjects` (n,): codes of who is shown, None where nobody says; -1: a new point, which shows no one person
    """

    embeddings: Floats32
    labels: Codes
    groups: Codes | None
    views: Floats32 | None = None
    subjects: Codes | None = None

    def __len__(self) -> int:
        return len(self.labels)


Points = Callable[[Part, int, int], Part]
"""``(training rows, classes, seed) -> training rows with new points``, made once before a head is trained."""


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """Prepared images of training rows: `images` uint8 (n, c, h, w), `labels` (n,), `groups` (n,) or None."""

    images: NDArray[np.uint8]
    labels: Codes
    groups: Codes | None


MakePictures = Callable[[Pictures, int], Pictures]
"""``(training images, seed) -> further ones``, embedded besides the others before a head is trained."""


@dataclass(frozen=True, slots=True, eq=False)
class LinearHead:
    """A last layer: logits = embeddings @ weight.T + bias, `weight` (classes, d), `bias` (classes,), float64.

    What a refit says of the layer that it returns, and of nothing before it:

    - `rows_seen`: rows that it put through the layers that it tried, all its fits; iterations do not count
    - `tuned`: values that it chose by itself, as ``method.parameter``
    """

    weight: NDArray[np.float64]
    bias: NDArray[np.float64]
    rows_seen: int = 0
    tuned: Mapping[str, float] = field(default_factory=dict)

    def logits(self, embeddings: NDArray[Any]) -> Scores:
        """float64 (n, classes)."""
        return np.asarray(embeddings.astype(np.float64) @ self.weight.T + self.bias)


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """What a loss may know beforehand: the training rows' codes, before any resampling.

    `groups` is None where none are named; `classes` and `groups_count` count what there may be, also
    where no training row has it.
    """

    labels: Codes
    groups: Codes | None
    classes: int
    groups_count: int = 0

    @property
    def class_counts(self) -> NDArray[np.int64]:
        """Training rows of each class, (classes,)."""
        return np.bincount(self.labels, minlength=self.classes).astype(np.int64)

    @property
    def group_counts(self) -> NDArray[np.int64]:
        """Training rows of each group, (groups,); () without groups."""
        if self.groups is None:
            return np.zeros(0, dtype=np.int64)
        return np.bincount(self.groups, minlength=self.groups_count).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LossBatch:
    """One batch as a loss sees it, float32 and int64 tensors on one device.

    - `logits` (m, classes); `labels` (m,); `groups` (m,) or None
    - `features` (m, d) enter the last layer, whose weights are `weight` (classes, d); None where the
      training cannot tell them
    - `epoch` counts from 1 to `epochs`
    """

    logits: torch.Tensor
    labels: torch.Tensor
    groups: torch.Tensor | None
    epoch: int
    epochs: int
    features: torch.Tensor | None = None
    weight: torch.Tensor | None = None


class Loss(Protocol):
    """A loss with, perhaps, a memory; made anew for every training.

    A batch of mixtures (`Mix`) is given to it twice, with the labels of either image, and both times with the memory
    from before: that of the call with the larger share is kept. A `Mixing` loss sees both at once.
    """

    def __call__(self, batch: LossBatch, /) -> torch.Tensor:
        """The loss of every row, (m,); their mean is what is minimised."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """The memory as tensors and plain values, so that an interrupted training continues."""
        ...

    def load_state_dict(self, state: Mapping[str, Any], /) -> None: ...

    def finished(self, head: LinearHead, /) -> LinearHead:
        """The layer that predicts, from the one that was trained: the same, unless the loss normalises it."""
        ...


@runtime_checkable
class Mixing(Protocol):
    """A loss whose memory takes in mixtures as they are."""

    def mixed(self, batch: LossBatch, other: LossBatch, share: float, /) -> torch.Tensor:
        """The losses (m,) of mixtures: `share` at labels and groups of `batch`, the rest at those of `other`."""
        ...


class PlainLoss:
    """What most losses share: no memory, and the trained layer predicts."""

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        del state

    def finished(self, head: LinearHead) -> LinearHead:
        return head


@dataclass(frozen=True, slots=True, eq=False)
class HeadTask:
    """All that training a head is given: the rows of every split, and how many classes and groups there may be.

    `val` may be empty, and `adjust` is where no rows were set aside.
    """

    train: Part
    val: Part
    adjust: Part
    classes: int
    groups_count: int = 0

    @property
    def material(self) -> Material:
        return Material(self.train.labels, self.train.groups, self.classes, self.groups_count)


Refit = Callable[[HeadTask, LinearHead, int], LinearHead]
"""``(rows, trained head, seed) -> head``: what is done to a last layer after training."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """Rows with their scores: `scores` (n, classes) sum to 1; `labels` (n,); `groups` (n,) or None.

    `group_names` are for messages alone.
    """

    scores: Scores
    labels: Codes
    groups: Codes | None
    group_names: tuple[str, ...] = ()


Decide = Callable[[Scored, Scored, int], Codes]
"""``(rows to fit on, rows to decide, seed) -> class codes of the latter``; their labels are not looked at."""


@dataclass(frozen=True, slots=True)
class Mix:
    """Convex mixtures of two images of a batch and of their labels, drawn anew for every batch.

    `kind` ``mixup`` (Zhang et al. 2018) or ``cutmix`` (Yun et al. 2019); `alpha` > 0 of the Beta distribution
    that the share is drawn from.
    """

    kind: Literal["mixup", "cutmix"]
    alpha: float


@dataclass(frozen=True, slots=True, eq=False)
class Treatment:
    """A method, or several together, with their parameters: what is done at each place; None: as without it.

    - `augment`: random changes of training images, instead of those of `train.augment`; `views` of
      them are embedded for every training image where only a head is trained; `mix`: of batches
    - `decide` replaces argmax, threshold and costs alike
    - `weight_decay`: instead of the training's own
    """

    rows: Resample | None = None
    points: Points | None = None
    pictures: MakePictures | None = None
    loss: Callable[[Material], Loss] | None = None
    augment: AugmentSettings | None = None
    views: int = 0
    mix: Mix | None = None
    refits: tuple[Refit, ...] = ()
    decide: Decide | None = None
    weight_decay: float | None = None


PLAIN = Treatment()
"""Empirical risk minimisation: nothing is changed."""


def decay_of(treatment: Treatment, own: float) -> float:
    """The weight decay of a training: the method's, else the training's `own`."""
    return own if treatment.weight_decay is None else treatment.weight_decay
