"""cRT: the last layer is trained anew, on frozen embeddings, with all classes drawn equally often."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part, Treatment


class CrtParams(Settings):
    """How the new layer is trained (AdamW, cosine schedule)."""

    epochs: int = Field(30, ge=1, le=1000)
    lr: float = Field(0.01, gt=0, le=10)
    weight_decay: float = Field(0.0001, ge=0)
    batch_size: int = Field(256, ge=1)


def class_balanced(labels: Codes, _groups: Codes | None, seed: int) -> NDArray[np.intp]:
    """n of n rows, with replacement: first a class, each equally likely, then one of its rows."""
    _, codes, rows = np.unique(labels, return_inverse=True, return_counts=True)
    order = np.argsort(codes, kind="stable")
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, len(rows), len(labels))
    within = (rng.random(len(labels)) * rows[drawn]).astype(np.intp)
    return np.asarray(order[np.cumsum(rows)[drawn] - rows[drawn] + within])


def build(params: CrtParams, _ask: Ask) -> Treatment:
    """The retrained layer: that of the last epoch, nothing is picked on val inside."""

    def refit(task: HeadTask, _head: LinearHead, seed: int) -> LinearHead:
        from imgid_audit.vision.heads import train_head

        val = task.val
        nothing = Part(val.embeddings[:0], val.labels[:0], None if val.groups is None else val.groups[:0])
        run = train_head(replace(task, val=nothing), Treatment(rows=class_balanced), params, seed, select="average")
        return replace(run.heads["declared"], rows_seen=run.rows_seen)

    return Treatment(refits=(refit,))


METHOD = Mitigation(
    name="crt",
    summary="trains the last layer anew with all classes drawn equally often",
    source="Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020",
    Params=CrtParams,
    build=build,
    acts_on=lambda _: ("head",),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
    space={"epochs": (10, 30, 50), "lr": (0.003, 0.01, 0.03), "weight_decay": (0.0001, 0.01)},
    starts_over=True,
)
