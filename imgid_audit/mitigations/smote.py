"""SMOTE and its relatives: new points between neighbours of a rarer class, on embeddings or, if asked, on pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from pydantic import Field

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import Settings
from imgid_audit.mitigations.base import Ask, Counts, Mitigation, Need, Place
from imgid_audit.mitigations.points import resampled, too_few
from imgid_audit.mitigations.resampling import ResampleParams, groups_without_rows, needs, strata, stratum_sizes
from imgid_audit.vision.treatment import Part, Pictures, Treatment

MOST_BYTES = 4 * 2**30
"""Memory that images may take as numbers where SMOTE works on pixels; new images come on top."""

PIXELS_WARNING = (
    "space: pixels. A mixture of the pixels of two images is no image that a camera could take, and neighbours by "
    "pixels need not show the same thing. All training images are held in memory as numbers"
)

_M_NEIGHBOURS = 10  # imbalanced-learn's default in BorderlineSMOTE and SVMSMOTE, among rows of any class


class SmoteParams(Settings):
    """Which relative, among how many neighbours, of what."""

    k_neighbors: int = Field(5, ge=1, description="neighbours of the same class that a new point may lie towards")
    kind: Literal["smote", "borderline", "svm", "adasyn"] = "smote"
    by: Literal["class", "class_and_group"] = Field(
        "class", description="neighbours are of the same class, or of the same class and group; these become equal"
    )
    space: Literal["embeddings", "pixels"] = Field("embeddings", description="what is interpolated")


def make(params: SmoteParams, seed: int) -> Any:
    """imbalanced-learn's sampler of that kind, all else at its defaults."""
    from imblearn import over_sampling

    if params.kind == "adasyn":
        return over_sampling.ADASYN(n_neighbors=params.k_neighbors, random_state=seed)
    kinds = {"smote": "SMOTE", "borderline": "BorderlineSMOTE", "svm": "SVMSMOTE"}
    return getattr(over_sampling, kinds[params.kind])(k_neighbors=params.k_neighbors, random_state=seed)


def build(params: SmoteParams, _ask: Ask) -> Treatment:
    """New embeddings, made once before a head is trained; with `space: pixels` new images, which are embedded."""

    def points(part: Part, _classes: int, seed: int) -> Part:
        return resampled(part, make(params, seed), _strata(params, part))

    def pictures(old: Pictures, seed: int) -> Pictures:
        return new_pictures(params, old, seed)

    if params.space == "pixels":
        return Treatment(pictures=pictures)
    return Treatment(points=points)


def new_pictures(params: SmoteParams, old: Pictures, seed: int) -> Pictures:
    """The images that SMOTE adds to `old`, with their labels and groups. Raises `InputError` above `MOST_BYTES`."""
    shape = old.images.shape
    size = old.images.size * 4
    if size > MOST_BYTES:
        message = f"smote: {shape[0]} images of {shape[1:]} are {size / 2**30:.1f} GiB as numbers, more than"
        raise InputError(f"{message} {MOST_BYTES / 2**30:.0f}: use space embeddings, or a smaller `model.input.size`")
    flat = Part(old.images.reshape(len(old.images), -1).astype(np.float32), old.labels, old.groups)
    whole = resampled(flat, make(params, seed), _strata(params, flat))
    made = np.rint(whole.embeddings[shape[0] :]).astype(np.uint8).reshape(-1, *shape[1:])
    return Pictures(made, whole.labels[shape[0] :], None if whole.groups is None else whole.groups[shape[0] :])


def _strata(params: SmoteParams, part: Part) -> Codes:
    return strata(ResampleParams(by=params.by), part.labels, part.groups)


def acts_on(params: SmoteParams) -> tuple[Place, ...]:
    """Where new points are made."""
    return (params.space,)


def smote_needs(params: SmoteParams) -> frozenset[Need]:
    """What it reads besides the images."""
    return needs(ResampleParams(by=params.by))


def unmet(params: SmoteParams, _ask: Ask, counts: Counts) -> Iterator[str]:
    """Groups without rows, and classes with too few rows for that many neighbours."""
    by = ResampleParams(by=params.by)
    yield from groups_without_rows(by, counts)
    sizes = stratum_sizes(by, counts)
    yield from too_few(sizes, "auto", params.k_neighbors, "smote")
    if params.kind in ("borderline", "svm") and sum(sizes.values()) <= _M_NEIGHBOURS:
        yield f"kind {params.kind} looks at {_M_NEIGHBOURS} neighbours, and there are {sum(sizes.values())} rows in all"


METHOD = Mitigation(
    name="smote",
    summary="adds points between neighbours of rarer classes until all are equally frequent (SMOTE and relatives)",
    source=(
        "SMOTE: Chawla et al., JAIR 16, 2002; Borderline: Han et al., ICIC 2005; "
        "SVM: Nguyen et al., IJKESDP 3(1), 2011; ADASYN: He et al., IJCNN 2008; as in imbalanced-learn"
    ),
    Params=SmoteParams,
    build=build,
    acts_on=acts_on,
    needs=smote_needs,
    shifts_prior=lambda _: True,
    scopes=("head",),
    space={"k_neighbors": (1, 3, 5)},
    unmet=unmet,
    warning=lambda params: PIXELS_WARNING if params.space == "pixels" else "",
)
