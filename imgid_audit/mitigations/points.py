"""What the methods share that work on training embeddings: imbalanced-learn's samplers on a `Part`.

Embeddings are taken as the backbone gives them, unscaled. Originals keep their own labels, groups, views and subjects.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.mitigations.resampling import Rows
from imgid_audit.vision.treatment import Floats32, Part

NEW = -1
"""In place of a row: the point is none of the rows."""

NOBODY = -1
"""The subject of a new point: between rows of several people it shows none of them."""


def resampled(part: Part, sampler: Any, codes: Codes) -> Part:
    """The rows that an imbalanced-learn sampler selects, or rows and new points where it makes any.

    `codes` (n,) are what it makes equally frequent; rows of one code share their label. A new point has the
    label of its code, the group of the nearest row of the same code, no subject (-1), and looks the same in every
    view. With one code or none nothing is changed. Raises `InputError` for what the sampler cannot do with these rows.
    """
    if len(np.unique(codes)) < 2:
        return part
    try:
        points, drawn = sampler.fit_resample(part.embeddings, codes)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{type(sampler).__name__} cannot resample these rows: {reason}") from error
    if hasattr(sampler, "sample_indices_"):
        return selected(part, np.sort(np.asarray(sampler.sample_indices_, dtype=np.intp)))
    return _with_points(part, codes, np.asarray(points, dtype=np.float32), np.asarray(drawn))


def selected(part: Part, rows: Rows) -> Part:
    """The part at `rows`, in their order."""
    groups = None if part.groups is None else part.groups[rows]
    views = None if part.views is None else part.views[:, rows]
    subjects = None if part.subjects is None else part.subjects[rows]
    return Part(part.embeddings[rows], part.labels[rows], groups, views, subjects)


def joined(part: Part, new: Part) -> Part:
    """The rows of `part`, then those of `new`, which look the same in every view; groups only where both have them.

    Where `part` has subjects and `new` has none, its rows are of nobody: -1.
    """
    views, groups, subjects = None, None, None
    if part.views is not None:
        repeated = np.broadcast_to(new.embeddings, (len(part.views), *new.embeddings.shape))
        views = np.concatenate([part.views, repeated], axis=1)
    if part.groups is not None and new.groups is not None:
        groups = np.concatenate([part.groups, new.groups])
    if part.subjects is not None:
        added = np.full(len(new), NOBODY, dtype=np.int32) if new.subjects is None else new.subjects
        subjects = np.concatenate([part.subjects, added])
    embeddings = np.concatenate([part.embeddings, new.embeddings])
    return Part(embeddings, np.concatenate([part.labels, new.labels]), groups, views, subjects)


def _with_points(part: Part, codes: Codes, points: Floats32, drawn: NDArray[Any]) -> Part:
    rows = rows_of(part.embeddings, codes, points, drawn)
    new = rows == NEW
    label_of = np.zeros(int(codes.max()) + 1, dtype=np.int32)
    label_of[codes] = part.labels
    groups = None
    if part.groups is not None:
        nearest = rows.copy()
        nearest[new] = nearest_rows(part.embeddings, codes, points[new], drawn[new])
        groups = part.groups[nearest]
    made = Part(points[new], label_of[drawn[new]], None if groups is None else groups[new])
    return joined(selected(part, rows[~new]), made)


def rows_of(embeddings: Floats32, codes: Codes, points: Floats32, drawn: NDArray[Any]) -> Rows:
    """The row that each of `points` (m, d) of code `drawn` (m,) is, to the bit, or `NEW`."""
    n = len(embeddings)
    if len(points) >= n and np.array_equal(points[:n], embeddings) and np.array_equal(drawn[:n], codes):
        return np.concatenate([np.arange(n), np.full(len(points) - n, NEW)])  # oversamplers keep all, in order
    keys = np.concatenate([_keys(embeddings, codes), _keys(points, drawn)])
    _, first, back = np.unique(keys, return_index=True, return_inverse=True)
    found: Rows = first[back[n:]]
    return np.where(found < n, found, NEW)


def _keys(points: Floats32, codes: NDArray[Any]) -> NDArray[np.void]:
    """The bytes of every point and its code as one value that can be compared, (m,)."""
    whole = np.ascontiguousarray(np.column_stack([points, codes.astype(np.float32)]), dtype=np.float32)
    return whole.view(np.dtype((np.void, whole.shape[1] * whole.itemsize)))[:, 0]


def nearest_rows(embeddings: Floats32, codes: Codes, points: Floats32, drawn: NDArray[Any]) -> Rows:
    """The nearest row of the same code (Euclid; the first of equals) to each of `points`, (m,)."""
    from sklearn.metrics import pairwise_distances_argmin

    nearest = np.zeros(len(points), dtype=np.intp)
    for code in np.unique(drawn):
        those, rows = np.flatnonzero(drawn == code), np.flatnonzero(codes == code)
        nearest[those] = rows[pairwise_distances_argmin(points[those], embeddings[rows])]
    return nearest


def too_few(sizes: dict[str, int], strategy: Any, neighbours: int, name: str) -> list[str]:
    """Why an oversampler cannot find `neighbours` others of a stratum; `sizes`: rows of each stratum."""
    from imblearn.utils import check_sampling_strategy

    codes = np.repeat(np.arange(len(sizes)), list(sizes.values()))
    if len(sizes) < 2:
        return []
    try:
        asked = check_sampling_strategy(strategy, codes, "over-sampling")
    except ValueError as error:
        return [f"sampling_strategy: {' '.join(str(error).split())}"]
    return [
        f"{stratum} has {rows} training rows, {name} with {neighbours} neighbours needs {neighbours + 1}: "
        "ask for fewer neighbours, or gather rare levels"
        for code, (stratum, rows) in enumerate(sizes.items())
        if asked.get(code, 0) > 0 and rows <= neighbours
    ]
