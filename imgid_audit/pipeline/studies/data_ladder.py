"""Shares of the training rows: whether more would help, and more of whom.

Every network takes about as many optimiser steps as the one of all rows: with equal epochs a small share
would also be a short training, and its curve would rise for that alone. Epochs are capped at `MOST` times those
given, for every one of them costs a pass over val.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from imgid_audit.comparison.studies import flattening
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.fit import Step, Study
from imgid_audit.core.manifest import Manifest
from imgid_audit.io.subsets import half_of, nested
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies.networks import without_rows
from imgid_audit.pipeline.studies.ways import Bench, Ran, Training, Way, bench_of, settings_of
from imgid_audit.vision.settings import TrainSettings
from imgid_audit.vision.study_settings import DataLadderSettings

MOST = 8
"""Times the epochs as given that a small share is trained for at most."""

CAPPED = (
    "of the training rows: with so few, networks take fewer steps than the others, and are less accurate for that too."
)
NOTES = (
    "Fewer rows are trained on for more epochs, so that every network takes about as many steps, up to "
    f"{MOST} times the epochs as given.",
    "Every seed draws rows of its own: a number of rows is the mean over seeds.",
)


def data_ladder(job: Job, settings: DataLadderSettings) -> Study:
    """Networks of every share, smallest first, and with `by_group` of all rows but half of one group's.

    Steps lead from each share to the next, and from all rows to those without half of a group: `worse` there says
    that images of that group matter.
    """
    bench = bench_of(job, "data_ladder", settings, classes=True)
    fractions = tuple(sorted(settings.fractions))
    ran = bench.run([_share(job, fractions, place) for place in range(len(fractions))])
    runs = [one.runs for one in ran if one.runs is not None]
    names = [one.name for one in runs]
    pairs = bench.pairs(runs)
    taken = [step for pair in pairwise(names) for step in pairs[pair]]
    flat = () if len(names) < 2 else flattening(names, {one.variant.name: one.rows for one in ran}, pairs)
    halved, lost = _by_group(bench, ran) if settings.by_group else ((), [])
    capped = [one.variant.name for one in ran if one.variant.parameters.get("capped")]
    notes = (*NOTES, f"{', '.join(capped)} {CAPPED}") if capped else NOTES
    return bench.study((*ran, *halved), (*taken, *lost), notes, flattening=flat)


def group_members(manifest: Manifest, across: tuple[str, ...]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Every group that some train or val row is of: its levels as text, and its rows (n,)."""
    factors = [manifest.attribute(name) for name in across]
    joint, codes = np.unique(np.stack([factor.codes for factor in factors]), axis=1, return_inverse=True)
    seen = np.concatenate([manifest.rows(split) for split in ("train", "val")])
    for code in np.unique(codes.ravel()[seen]):
        levels = (factor.levels[each] for factor, each in zip(factors, joint[:, code], strict=True))
        yield ", ".join(levels), codes.ravel() == code


def longer(train: TrainSettings, rows: int, of: int) -> TrainSettings:
    """The settings with more epochs for `rows` of the `of` training rows: as many steps, at most `MOST` times."""
    times = min(of / max(rows, 1), MOST)

    def more(epochs: int) -> int:
        return max(epochs, round(epochs * times))

    changes = {"epochs": more(train.epochs), "patience": None if train.patience is None else more(train.patience)}
    if train.fine_tune is not None:
        frozen = more(train.fine_tune.frozen_epochs)
        changes["fine_tune"] = train.fine_tune.model_copy(update={"frozen_epochs": frozen})
    return train.model_copy(update=changes)


def _share(job: Job, fractions: tuple[float, ...], place: int) -> Way:
    fraction = fractions[place]

    def training(seed: int) -> Training:
        manifest = job.inputs.manifest
        dropped = np.setdiff1d(manifest.rows("train"), nested(manifest, fractions, seed)[place])
        return _training(job, dropped, seed)

    capped = {"capped": True} if fraction * MOST < 1 else {}
    return Way(f"{fraction:g}", {"fraction": fraction, **capped}, training)


def _by_group(bench: Bench, ran: tuple[Ran, ...]) -> tuple[tuple[Ran, ...], list[Step]]:
    """All rows but half of each group's, and the steps to them from all rows."""
    job = bench.job
    groups = group_members(job.inputs.manifest, bench.spec.across)
    halved = bench.run([_without_half(job, *group) for group in groups], ", by group")
    whole = ran[-1].runs
    runs = [one.runs for one in halved if one.runs is not None]
    return halved, [] if whole is None else bench.pairs_from(whole, runs)


def _without_half(job: Job, group: str, members: NDArray[np.bool_]) -> Way:
    def training(seed: int) -> Training:
        manifest = job.inputs.manifest
        dropped = half_of(manifest, members, seed)
        if dropped is None:
            what = "rows" if manifest.subject is None else "subjects"
            raise InputError(Problem("[train > data_ladder]", f"{group} has fewer than two training {what}"))
        return _training(job, dropped, seed)

    return Way(f"without half of {group}", {"without_half_of": group}, training)


def _training(job: Job, dropped: NDArray[np.intp], seed: int) -> Training:
    model, train = settings_of(job)
    manifest = job.inputs.manifest
    rows = len(manifest.rows("train"))
    settings = longer(train.model_copy(update={"seed": seed}), rows - len(dropped), rows)
    return Training(model, settings, without_rows(manifest, dropped))
