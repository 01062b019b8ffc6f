"""Who trains, who validates, who tests: drawn by subject, stratified by label, or read.

No subject is ever in two splits: images of one person are not independent, and a model that has
seen a person is judged too well on that person.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Factor, Texts
from imgid_audit.core.manifest import SPLITS
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.settings import SplitSettings
from imgid_audit.io.tables import Table

TRAIN, VAL, TEST, ADJUST = range(4)
READY = SPLITS
"""The words that a column of ready splits may hold."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """What is to be divided: rows (n,) with their label codes, ids and, perhaps, subjects."""

    label: Factor
    subject: Factor | None
    ids: Texts
    eligible: NDArray[np.bool_]


def split_column(split: SplitSettings | str | None) -> str | None:
    """The column of ready splits that the settings name, if any."""
    return split if split is None or isinstance(split, str) else split.column


def assign_splits(table: Table, split: SplitSettings | str | None, units: Units, remarks: Remarks) -> Factor:
    """The split of every row as a factor over `SPLITS`; without settings all rows are test.

    Fractions are of the rows that are not excluded, or of the train rows where a column gives the
    splits. Depends on the seed and on the set of rows, not on their order. Excluded rows are given
    a split too (``train`` where fractions are drawn), but belong to none: `Manifest.rows` leaves them out.
    """
    if split is None:
        return _factor(np.full(table.rows, TEST, dtype=np.int32))
    settings = SplitSettings(column=split, adjust=None) if isinstance(split, str) else split
    asked = [(VAL, settings.val), (ADJUST, settings.adjust), (TEST, settings.test)]
    parts = tuple((code, fraction) for code, fraction in asked if fraction is not None)
    if settings.column is None:
        codes, pool = np.full(table.rows, TRAIN, dtype=np.int32), units.eligible
    else:
        codes = _ready(table, settings.column, units, remarks)
        pool = units.eligible & (codes == TRAIN)
        for code, _ in parts:
            if (codes == code).any():
                name, article = SPLITS[code], "an" if code == ADJUST else "a"
                message = f"already has {article} {name} split: remove data.split.{name}"
                remarks.problem(table.where(settings.column), message)
    if parts and not remarks.problems:
        codes[pool] = _draw(np.flatnonzero(pool), units, parts, settings.seed)
        _require_filled(table, codes[units.eligible], parts, units, remarks)
    return _factor(codes)


def draw_rows(label: Codes, order: NDArray[np.intp], fractions: NDArray[np.float64]) -> Codes:
    """Divide exchangeable units within strata, by rounding cumulative counts.

    `label` (n,): the stratum of each unit; `order` (n,): a random order of the units; `fractions`
    (parts,): of all units. Returns the part of each unit, `parts` for the rest. Each part is within
    one unit of its fraction overall where no stratum is tiny, and within two in every stratum.
    """
    ranked = order[np.argsort(label[order], kind="stable")]
    sizes = np.bincount(label)
    ends = np.cumsum(sizes)
    targets = np.rint(np.cumsum(fractions)[None, :] * np.concatenate([[0], ends])[:, None])
    bounds = np.maximum.accumulate(np.diff(targets, axis=0), axis=1)
    place = np.arange(len(label)) - np.repeat(ends - sizes, sizes)
    parts = np.empty(len(label), dtype=np.int32)
    parts[ranked] = (place[:, None] >= np.repeat(bounds, sizes, axis=0)).sum(axis=1)
    return parts


def draw_subjects(counts: NDArray[np.int64], order: NDArray[np.intp], fractions: NDArray[np.float64]) -> Codes:
    """Divide subjects so that rows, and rows of each label, come near to the fractions.

    `counts` (subjects, labels): rows of each; `order` (subjects,): a random order. Subjects with
    equal counts are exchangeable and are dealt out in bulk; the others go, large ones first, each
    to the part whose chi-square distance from its target falls most. Returns the part of each subject,
    `len(fractions)` for the rest.
    """
    shares = np.append(fractions, 1 - fractions.sum())
    targets = np.maximum(np.outer(shares, counts.sum(axis=0)), 1e-9)
    parts = np.full(len(counts), -1, dtype=np.int32)
    _, profile = np.unique(counts, axis=0, return_inverse=True)
    profile = profile.reshape(-1)
    ranked = order[np.argsort(profile[order], kind="stable")]
    sizes = np.bincount(profile)
    place = np.arange(len(counts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    bulk = np.cumsum(np.floor(sizes[:, None] * shares[None, :]), axis=1)
    dealt = (place[:, None] >= np.repeat(bulk, sizes, axis=0)).sum(axis=1)
    parts[ranked] = np.where(dealt < len(shares), dealt, -1)
    held = np.zeros_like(targets)
    np.add.at(held, parts[parts >= 0], counts[parts >= 0])
    left = order[parts[order] < 0]
    # By powers of two only: within them the order is random, so that every seed gives another split.
    left = left[np.argsort(-np.frexp(counts[left].sum(axis=1))[1], kind="stable")]
    labels = counts.shape[1]
    totals = np.maximum(targets.sum(axis=1), 1e-9)
    for subject in left:
        rows = counts[subject]
        by_label = (rows * (2 * (held - targets) + rows) / targets).sum(axis=1)
        size = rows.sum()
        by_size = labels * size * (2 * (held.sum(axis=1) - totals) + size) / totals
        best = int(np.argmin(by_label + by_size))
        parts[subject] = best
        held[best] += rows
    return parts


def _draw(rows: NDArray[np.intp], units: Units, parts: tuple[tuple[int, float], ...], seed: int) -> Codes:
    fractions = np.array([fraction for _, fraction in parts])
    names = np.array([*(code for code, _ in parts), TRAIN], dtype=np.int32)
    label = units.label.codes[rows]
    if units.subject is None:
        drawn = draw_rows(label, _random_order(units.ids[rows], seed), fractions)
    else:
        used, subject = np.unique(units.subject.codes[rows], return_inverse=True)
        classes = len(units.label.levels)
        counts = np.bincount(subject * classes + label, minlength=len(used) * classes).reshape(-1, classes)
        texts = np.array(units.subject.levels, dtype=object)[used]
        drawn = draw_subjects(counts, _random_order(texts, seed), fractions)[subject]
    return names[drawn]


def _random_order(ids: Texts, seed: int) -> NDArray[np.intp]:
    """A random order that depends on the texts and the seed alone, not on the order of the rows."""
    import pyarrow.compute as pc

    by_text = pc.sort_indices(ids).to_numpy()
    shuffled: NDArray[np.intp] = by_text[np.random.default_rng(seed).permutation(len(ids))]
    return shuffled


def _ready(table: Table, column: str, units: Units, remarks: Remarks) -> Codes:
    levels, codes = table.encode(column)
    if (codes < 0).any():
        remarks.problem(table.where(column, codes < 0), f"is empty: say one of {listed(READY)}")
    if unknown := [level for level in levels if level not in READY]:
        rows = np.isin(codes, [levels.index(level) for level in unknown])
        remarks.problem(table.where(column, rows), f"says {listed(unknown, 5)}: it must be one of {listed(READY)}")
    places = np.array([READY.index(level) if level in READY else TEST for level in (*levels, "")], dtype=np.int32)
    split = places[codes]
    if units.subject is not None:
        _refuse_divided(table, column, split[units.eligible], units, remarks)
    return split


def _refuse_divided(table: Table, column: str, split: Codes, units: Units, remarks: Remarks) -> None:
    assert units.subject is not None
    subject = units.subject.take(units.eligible)
    pairs = np.unique(subject.codes.astype(np.int64) * len(SPLITS) + split)
    divided = np.flatnonzero(np.bincount(pairs // len(SPLITS)) > 1)
    if len(divided):
        plural = "subjects are" if len(divided) > 1 else "subject is"
        message = (
            f"{len(divided):,} {plural} in more than one split: "
            "move each to one split, or let the audit draw the splits"
        )
        # rows and no names: messages end in logs, and subjects are people
        rows = np.flatnonzero(units.eligible)[np.isin(subject.codes, divided)]
        remarks.problem(table.where(column, rows), message)


def _require_filled(
    table: Table, codes: Codes, parts: tuple[tuple[int, float], ...], units: Units, remarks: Remarks
) -> None:
    for code, fraction in parts:
        if not (codes == code).any():
            what = "rows" if units.subject is None else "subjects, which a split never divides"
            message = f"{SPLITS[code]} would be empty: a fraction of {fraction:g} of so few {what}"
            remarks.problem(f"{table.source} [data > split]", f"{message}; ask for more, or give more data")


def _factor(codes: Codes) -> Factor:
    return Factor("split", SPLITS, codes)
