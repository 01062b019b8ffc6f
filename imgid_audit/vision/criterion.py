"""The validation criterion that picks a checkpoint, and the groups it may speak of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.manifest import Manifest
from imgid_audit.vision.settings import TrainSettings

if TYPE_CHECKING:
    from imgid_audit.vision.meters import Meters


def group_codes(manifest: Manifest, names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]] | None:
    """Codes (n,) of every row's group and the groups' names, or None without `names`.

    A group is a combination of levels of the attributes `names` that some row of the manifest has.
    """
    if not names:
        return None
    factors = [manifest.attribute(name) for name in names]
    joint, codes = np.unique(np.stack([factor.codes for factor in factors]), axis=1, return_inverse=True)
    texts = tuple(
        ", ".join(f"{factor.name} = {factor.levels[code]}" for factor, code in zip(factors, column, strict=True))
        for column in joint.T
    )
    return codes.ravel().astype(np.int64), texts


def criterion_of(
    settings: TrainSettings, meters: Meters, labels: Sequence[str], groups: Sequence[str]
) -> tuple[float | None, str, tuple[str, ...]]:
    """`(value, of, undefined)` on the validation rows seen by `meters`.

    `value` is the accuracy of all rows, of the worst class or of the worst group; `of` names that
    class or group; `undefined` names those without validation rows, which cannot be the worst.
    """
    if settings.select == "average":
        return meters.accuracy, "", ()
    names, values = (
        (labels, meters.class_accuracy) if settings.select == "worst_class" else (groups, meters.group_accuracy)
    )
    known = {name: value for name, value in zip(names, values, strict=False) if value is not None}
    undefined = tuple(name for name in names if name not in known)
    if not known:
        return None, "", undefined
    worst = min(known, key=lambda name: known[name])
    return known[worst], worst, undefined


def check_selection(settings: TrainSettings, manifest: Manifest) -> list[Problem]:
    """What is wrong with how the checkpoint is to be picked."""
    problems = []
    if settings.select == "worst_group" and not settings.groups:
        problems.append(Problem("[train > groups]", "select: worst_group needs the attributes that define a group"))
    known = [factor.name for factor in manifest.attributes]
    problems += [
        Problem("[train > groups]", f"{name!r} is not among attributes {known}")
        for name in settings.groups
        if name not in known
    ]
    if not len(manifest.rows("val")):
        wanted = [
            *(["select: " + settings.select] if settings.select != "average" else []),
            *(["patience"] if settings.patience is not None else []),
        ]
        problems += [
            Problem("[train]", f"{what} needs a val split, which has no rows: set data.split.val") for what in wanted
        ]
    return problems


def require_trainable(settings: TrainSettings, manifest: Manifest) -> None:
    """Raise one `InputError` with everything that keeps `manifest` from being trained on."""
    problems = check_selection(settings, manifest)
    rows = manifest.rows("train")
    if manifest.images is None:
        problems.append(Problem("[data > image]", "training needs images"))
    if not len(rows):
        problems.append(Problem("[data > split]", "the train split has no rows"))
    else:
        counts = np.bincount(manifest.label.codes[rows], minlength=len(manifest.label.levels))
        problems += [
            Problem("[data > split]", f"class {label!r} has no rows in the train split: it cannot be learnt")
            for label, count in zip(manifest.label.levels, counts, strict=True)
            if not count
        ]
    if problems:
        raise InputError(problems)
