"""What the methods share that choose training rows anew: strata, and rows by imbalanced-learn's samplers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Counts, Need, Place

Rows = NDArray[np.intp]


class ResampleParams(Settings):
    """What is made equally frequent."""

    by: Literal["class", "group", "class_and_group"] = Field(
        "class", description="classes, the groups of `train.groups`, or each class within each group"
    )


def sampler(_params: Any) -> tuple[Place, ...]:
    """Where resampling acts."""
    return ("sampler",)


def needs(params: ResampleParams) -> frozenset[Need]:
    """What the resampling reads besides the images."""
    by: dict[str, frozenset[Need]] = {
        "class": frozenset({"class labels"}),
        "group": frozenset({"group labels in training"}),
        "class_and_group": frozenset({"class labels", "group labels in training"}),
    }
    return by[params.by]


def shifts_prior(_params: ResampleParams) -> bool:
    """Whether classes come out in another frequency: also by group, where classes are more frequent in some groups."""
    return True


def corrects_prior(params: ResampleParams) -> bool:
    """Whether classes are meant to come out in another frequency."""
    return params.by != "group"


def strata(params: ResampleParams, labels: Codes, groups: Codes | None) -> Codes:
    """The stratum of every row, shape (n,): what is to be made equally frequent."""
    if params.by == "class":
        return labels
    if groups is None:
        raise InputError(f"resampling by {params.by} needs `train.groups`: the attributes that define a group")
    if params.by == "group":
        return groups
    both: Codes = (groups * (labels.max(initial=0) + 1) + labels).astype(np.int32)
    return both


def sampled_rows(sampler: Any, codes: Codes) -> Rows:
    """The rows that an imbalanced-learn sampler picks, sorted; with one stratum or none all rows, once each.

    Only indices are resampled, never pixels: the sampler sees a column of row numbers.
    """
    rows = np.arange(len(codes))
    if len(np.unique(codes)) < 2:
        return rows
    sampler.fit_resample(rows[:, None], codes)
    return np.sort(np.asarray(sampler.sample_indices_, dtype=np.intp))


def rows_by_stratum(codes: Codes) -> list[Rows]:
    """The rows of each stratum that has any, in the order of codes."""
    order = np.argsort(codes, kind="stable")
    counts = np.bincount(codes)
    return [rows for rows in np.split(order, np.cumsum(counts)[:-1]) if len(rows)]


def groups_without_rows(params: ResampleParams, counts: Counts) -> Iterator[str]:
    """Groups that resampling by group cannot make more frequent, for no training row is theirs."""
    if params.by == "class":
        return
    for group, rows in counts.groups.items():
        if rows == 0:
            yield (
                f"no training row is of group {group!r}, and resampling by {params.by} cannot make it more frequent: "
                "give rare levels `min_count`, split otherwise, or resample by class"
            )


def stratum_sizes(params: ResampleParams, counts: Counts) -> dict[str, int]:
    """Training rows of each stratum that has any, by a name for messages, in the order of `strata`'s codes."""
    if params.by == "class":
        named = {f"class {label!r}": rows for label, rows in counts.classes.items()}
    elif params.by == "group":
        named = {f"group {group!r}": rows for group, rows in counts.groups.items()}
    else:
        named = {
            f"class {label!r} in group {group!r}": counts.cells.get((label, group), 0)
            for group in counts.groups
            for label in counts.classes
        }
    return {name: rows for name, rows in named.items() if rows}
