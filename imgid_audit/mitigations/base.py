"""What a mitigation is, and what the resampling ones share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import Settings

Rows = NDArray[np.intp]

Resampler = Callable[[Codes, Codes | None, int], Rows]
"""``(label_codes, group_codes, seed) -> row indices``; `group_codes` may be None where not needed."""

Needs = frozenset[Literal["labels", "groups"]]


class ResampleParams(Settings):
    """What is made equally frequent."""

    by: Literal["class", "group", "class_and_group"] = Field(
        "class", description="classes, the groups of `train.groups`, or each class within each group"
    )


@dataclass(frozen=True, slots=True)
class Mitigation:
    """A registered method.

    - `acts_on`: what it changes, such as ``training rows``
    - `source`: the paper or library that it comes from
    - `Params`: the pydantic model of its parameters; `needs(params)` what it reads of each row
    - `build(params)` makes the function that the training step calls
    """

    name: str
    summary: str
    acts_on: str
    source: str
    Params: type[ResampleParams]
    build: Callable[[ResampleParams], Resampler]

    def needs(self, params: ResampleParams) -> Needs:
        """What the method reads besides the images: ``labels``, ``groups`` or both."""
        needs: dict[str, Needs] = {
            "class": frozenset({"labels"}),
            "group": frozenset({"groups"}),
            "class_and_group": frozenset({"labels", "groups"}),
        }
        return needs[params.by]


def resampler(method: Mitigation, params: Mapping[str, Any]) -> Resampler:
    """The method's function for `params`, which its own model validates (pydantic's error if wrong)."""
    return method.build(method.Params.model_validate(params))


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
