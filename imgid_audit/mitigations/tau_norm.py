"""tau-normalisation: the weights of classes, whose length follows their frequency, are brought towards one length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Mitigation
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part, Treatment

GRID = np.linspace(0, 1, 21)
"""Values of tau among which val chooses."""


class TauNormParams(Settings):
    """How far lengths are equalised."""

    tau: float | None = Field(
        None, ge=0, le=1, description="0: as trained, 1: all of one length; null: by balanced accuracy on val"
    )


def normalised(head: LinearHead, tau: float) -> LinearHead:
    """w / ||w||^tau for every class, without bias (Kang et al. 2020, equation 5)."""
    lengths = np.linalg.norm(head.weight, axis=1, keepdims=True)
    return LinearHead(head.weight / np.maximum(lengths, 1e-12) ** tau, np.zeros_like(head.bias))


def balanced_accuracy(head: LinearHead, part: Part, classes: int) -> float:
    """Mean recall over the classes that `part` has."""
    right = head.logits(part.embeddings).argmax(axis=1) == part.labels
    rows = np.bincount(part.labels, minlength=classes)
    hits = np.bincount(part.labels, weights=right, minlength=classes)
    return float((hits[rows > 0] / rows[rows > 0]).mean())


def centred(part: Part, classes: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The mean of the classes' means, and the standard deviation of every feature about it (1 where there is none)."""
    x = part.embeddings.astype(np.float64)
    member = np.eye(classes)[part.labels]
    means = (member.T @ x)[member.any(axis=0)] / member.sum(axis=0)[member.any(axis=0), None]
    spread = x.std(axis=0)
    return means.mean(axis=0), np.where(spread > 0, spread, 1.0)


def build(params: TauNormParams, ask: Ask) -> Treatment:
    """The normalised head.

    The bias is dropped where features have their origin. A head on embeddings is trained on standardised
    features, whose origin, the mean row, belongs to the commonest class; there it is the mean of the classes'
    means. A whole network has its own.
    """

    def refit(task: HeadTask, head: LinearHead, _seed: int) -> LinearHead:
        classes, width = head.weight.shape
        origin, unit = centred(task.train, classes) if ask.scope == "head" else (np.zeros(width), np.ones(width))
        standard = LinearHead(head.weight * unit, head.bias)

        def at(tau: float) -> LinearHead:
            weight = normalised(standard, tau).weight / unit
            return LinearHead(weight, -weight @ origin)

        if params.tau is not None:
            return at(params.tau)
        if not len(task.val):
            raise InputError("tau_norm finds tau on val, which has no rows: give it `tau`")
        found = [balanced_accuracy(at(tau), task.val, classes) for tau in GRID]
        tau = float(GRID[int(np.argmax(found))])
        return replace(at(tau), rows_seen=len(GRID) * len(task.val), tuned={"tau_norm.tau": tau})

    return Treatment(refits=(refit,))


METHOD = Mitigation(
    name="tau_norm",
    summary="brings the weights of classes towards one length after training",
    source="Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020",
    Params=TauNormParams,
    build=build,
    acts_on=lambda _: ("head",),
    needs=lambda _: frozenset({"class labels"}),
    shifts_prior=lambda _: True,
)
