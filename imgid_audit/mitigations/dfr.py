"""DFR: the last layer is fitted anew on balanced subsamples of rows set aside, sparsely, and averaged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.io.settings import Settings
from imgid_audit.io.splits import draw_subjects
from imgid_audit.mitigations.base import Ask, Counts, Mitigation, Need
from imgid_audit.stats.sparse_logistic import sparse_logistic
from imgid_audit.vision.treatment import HeadTask, LinearHead, Part, Treatment

Floats = NDArray[np.float64]

TOLERANCE, STEPS = 1e-4, 300
"""Of a fit: within 0.1 % of the least objective; the average of several hides the rest."""

ASIDE = "needs rows set aside, on which nothing was trained: set `data.split.adjust` (0.1, for example)"


class DfrParams(Settings):
    """What is balanced, how often it is refitted, and how sparse the layer is."""

    by: Literal["class", "class_and_group"] = Field(
        "class_and_group", description="what subsamples balance; without `train.groups` classes alone"
    )
    refits: int = Field(20, ge=1, le=1000, description="subsamples whose layers are averaged")
    c: tuple[Annotated[float, Field(gt=0, le=1e6)], ...] = Field(
        (1.0, 0.7, 0.3, 0.1, 0.07, 0.03, 0.01),
        min_length=1,
        description="inverse strengths of the L1 penalty; one is chosen on half of the rows",
    )
    min_rows: int = Field(
        10, ge=1, description="a class within a group that has fewer rows gives all it has, and the others this many"
    )


def strata(params: DfrParams, part: Part) -> NDArray[np.int64]:
    """What is balanced: a code for each row's class, or class within group, without gaps, (n,)."""
    labels = part.labels.astype(np.int64)
    if part.groups is None or params.by == "class":
        return np.asarray(np.unique(labels, return_inverse=True)[1], dtype=np.int64)
    joint = part.groups.astype(np.int64) * (labels.max(initial=0) + 1) + labels
    return np.asarray(np.unique(joint, return_inverse=True)[1], dtype=np.int64)


def subsample(codes: NDArray[np.int64], least: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """As many random rows of each stratum as the smallest has, but up to `least` of each."""
    rows = np.bincount(codes)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(codes)) - (np.cumsum(rows) - rows)[codes[order]]
    return np.asarray(order[rank < max(int(rows[rows > 0].min()), least)])


def halves(
    codes: NDArray[np.int64], rng: np.random.Generator, subjects: NDArray[np.integer] | None = None
) -> NDArray[np.bool_]:
    """Half of each stratum at random, (n,); of an odd number the larger half.

    With `subjects` (n,) nobody is in both halves, and strata are halved as nearly as whole subjects allow.
    """
    if subjects is not None:
        who = np.unique(subjects, return_inverse=True)[1]
        size = int(codes.max(initial=-1)) + 1
        held = np.bincount(who * size + codes, minlength=(int(who.max(initial=-1)) + 1) * size).reshape(-1, size)
        return np.asarray(draw_subjects(held, rng.permutation(len(held)), np.array([0.5]))[who] == 0)
    rows = np.bincount(codes)
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    rank = np.arange(len(codes)) - (np.cumsum(rows) - rows)[codes[order]]
    first = np.zeros(len(codes), dtype=bool)
    first[order[2 * rank < rows[codes[order]]]] = True
    return first


def chosen_c(
    x: Floats,
    labels: NDArray[np.int64],
    codes: NDArray[np.int64],
    classes: int,
    params: DfrParams,
    seed: int,
    subjects: NDArray[np.integer] | None = None,
) -> tuple[float, int]:
    """The strength of the highest worst-stratum accuracy on one half, fitted on the other; of equal ones the first.

    Among those of equal worst accuracy the mean over strata decides. With `subjects` (n,) nobody is in both
    halves: a layer that knows people by heart would look better than it is, and the penalty come out too weak.
    The second value counts the rows that went through the layers tried; 0 where nothing was.
    """
    if len(params.c) == 1:
        return params.c[0], 0
    rng = np.random.default_rng((seed, 0))
    fit = halves(codes, rng, subjects)
    if fit.all() or not fit.any():
        return params.c[0], 0
    at = np.flatnonzero(fit)
    picked = at[subsample(np.unique(codes[at], return_inverse=True)[1], params.min_rows, rng)]
    values: dict[float, tuple[float, float]] = {}
    start: tuple[Floats, Floats] | None = None
    for c in sorted(params.c):  # from the sparsest, each from where the last one ended
        start = sparse_logistic(x[picked], labels[picked], classes, c, start, tolerance=TOLERANCE, steps=STEPS)
        right = (x[~fit] @ start[0].T + start[1]).argmax(axis=1) == labels[~fit]
        rows, hits = np.bincount(codes[~fit]), np.bincount(codes[~fit], weights=right)
        shares = hits[rows > 0] / rows[rows > 0]
        values[c] = (float(shares.min()), float(shares.mean()))
    return max(params.c, key=lambda c: values[c]), len(params.c) * (len(picked) + int((~fit).sum()))


def fitted(part: Part, classes: int, params: DfrParams, seed: int) -> LinearHead:
    """The averaged layer for raw embeddings."""
    x = part.embeddings.astype(np.float64)
    centre, spread = x.mean(axis=0), x.std(axis=0)
    spread = np.where(spread > 1e-12, spread, 1.0)
    x = (x - centre) / spread
    labels, codes = part.labels.astype(np.int64), strata(params, part)
    c, seen = chosen_c(x, labels, codes, classes, params, seed, part.subjects)
    rng = np.random.default_rng((seed, 1))
    weight, bias = np.zeros((classes, x.shape[1])), np.zeros(classes)
    start: tuple[Floats, Floats] | None = None
    for _ in range(params.refits):
        rows = subsample(codes, params.min_rows, rng)
        start = sparse_logistic(x[rows], labels[rows], classes, c, start, tolerance=TOLERANCE, steps=STEPS)
        weight, bias = weight + start[0] / params.refits, bias + start[1] / params.refits
        seen += len(rows)
    weight /= spread
    return LinearHead(weight, bias - weight @ centre, seen, {"dfr.c": c} if len(params.c) > 1 else {})


def build(params: DfrParams, ask: Ask) -> Treatment:
    """The layer fitted on the rows set aside; the trained one is not looked at."""

    def refit(task: HeadTask, _head: LinearHead, seed: int) -> LinearHead:
        if not len(task.adjust):
            raise InputError(f"dfr {ASIDE}")
        _require_classes(task, ask.labels)
        return fitted(task.adjust, task.classes, params, seed)

    return Treatment(refits=(refit,))


def _require_classes(task: HeadTask, labels: Sequence[str]) -> None:
    lacking = np.flatnonzero(np.bincount(task.adjust.labels, minlength=task.classes) == 0)
    if len(lacking):
        names = ", ".join(repr(labels[code]) for code in lacking[:5])
        raise InputError(f"dfr: the rows set aside have none of class {names}: set aside more (`data.split.adjust`)")


def needs(params: DfrParams) -> frozenset[Need]:
    """Group labels of the rows set aside, which are none of the training."""
    by_class: frozenset[Need] = frozenset({"class labels"})
    return by_class if params.by == "class" else by_class | {"group labels in validation"}


def unmet(_params: DfrParams, _ask: Ask, counts: Counts) -> Sequence[str]:
    """Without rows set aside there is nothing to fit on."""
    return () if counts.adjust else (ASIDE,)


METHOD = Mitigation(
    name="dfr",
    summary="fits the last layer anew on group-balanced rows set aside, sparsely, and averages several fits",
    source="Kirichenko et al., Last Layer Re-Training is Sufficient for Robustness to Spurious Correlations, ICLR 2023",
    Params=DfrParams,
    build=build,
    acts_on=lambda _: ("head",),
    needs=needs,
    shifts_prior=lambda _: True,
    unmet=unmet,
    falls_back=True,
    starts_over=True,
    uses_adjust=True,
)
