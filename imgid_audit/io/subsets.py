"""Parts of the training rows: nested shares, and all but half of a group. No subject is ever divided.

Drawn anew for every seed, so that the scatter of seeds holds which rows happened to be drawn.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.manifest import Manifest
from imgid_audit.io.splits import draw_rows, draw_subjects

Rows = NDArray[np.intp]

SHARES, HALF = 71, 72
"""What a generator is made for, beside the seed."""


def nested(manifest: Manifest, fractions: Sequence[float], seed: int) -> tuple[Rows, ...]:
    """Training rows of each of the `fractions` (ascending, each in (0, 1]), each part containing those before it.

    By subject where there are subjects, else by row; stratified by label as splits are. 1 is all rows.
    """
    rows = manifest.rows("train")
    below = np.array([each for each in fractions if each < 1], dtype=np.float64)
    part = np.full(len(rows), len(below))
    if len(below) and len(rows):
        part = _drawn(manifest, rows, np.diff(below, prepend=0.0), (SHARES, seed))
    return tuple(rows[part <= place] if each < 1 else rows for place, each in enumerate(fractions))


def half_of(manifest: Manifest, members: NDArray[np.bool_], seed: int) -> Rows | None:
    """Training rows of half of a group's subjects (rows, without subjects), stratified by label; None below two.

    `members` (n,): rows of the group. Of a subject that has rows in several groups, those in this one alone.
    """
    rows = manifest.rows("train")
    rows = rows[members[rows]]
    units = len(rows) if manifest.subject is None else len(np.unique(manifest.subject.codes[rows]))
    if units < 2:
        return None
    return rows[_drawn(manifest, rows, np.array([0.5]), (HALF, seed)) == 0]


def _drawn(manifest: Manifest, rows: Rows, fractions: NDArray[np.float64], seed: tuple[int, int]) -> NDArray[np.int32]:
    """The part of each row, ``len(fractions)`` for the rest."""
    rng = np.random.default_rng(seed)
    label, subject = manifest.label.codes[rows], manifest.subject
    if subject is None:
        return draw_rows(label, rng.permutation(len(rows)), fractions)
    used, owner = np.unique(subject.codes[rows], return_inverse=True)
    classes = len(manifest.label.levels)
    counts = np.bincount(owner * classes + label, minlength=len(used) * classes).reshape(-1, classes)
    return draw_subjects(counts, rng.permutation(len(used)), fractions)[owner]
