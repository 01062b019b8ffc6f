"""A first look at a table: which column is probably what. `imgid-audit init` writes a config from it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.factor import MISSING, OTHER
from imgid_audit.io.messages import Remarks
from imgid_audit.io.outputs import PREDICTED, SCORE
from imgid_audit.io.splits import READY
from imgid_audit.io.tables import Table, read_table
from imgid_audit.io.tree import EXTENSIONS, read_tree

IMAGE = ("image", "image_path", "path", "file", "filename", "filepath", "file_name", "img", "img_path")
LABEL = ("label", "target", "class", "y", "y_true", "diagnosis", "category", "finding", "outcome")
SUBJECT = ("subject", "patient", "writer", "person", "participant", "individual", "volunteer", "owner")
SPLIT = ("split", "partition", "subset", "set", "fold")
ID = ("id", "uid", "image_id", "sample_id", "row_id")

USUAL = frozenset(
    [
        "sex",
        "gender",
        "age",
        "race",
        "ethnicity",
        "ancestry",
        "country",
        "region",
        "continent",
        "site",
        "hospital",
        "centre",
        "center",
        "clinic",
        "institution",
        "device",
        "scanner",
        "camera",
        "manufacturer",
        "vendor",
        "model",
        "view",
        "laterality",
        "skin",
        "fitzpatrick",
        "tone",
        "language",
        "population",
        "series",
        "group",
        "year",
        "protocol",
        "bmi",
    ]
)
"""Words of column names that say whom, where or with what an image was taken."""

MAX_LABELS = 1000
MAX_LEVELS = 30
MAX_ATTRIBUTES = 8
MIN_COUNT = 20
"""Rarer levels are gathered as ``(other)`` where an attribute has more than a dozen levels."""


@dataclass(frozen=True, slots=True)
class AttributeGuess:
    """A column that may be audited: text levels, or `bins` (edges that cover all values) for numbers."""

    name: str
    levels: tuple[str, ...]
    missing: int
    bins: tuple[float, ...] | None = None
    min_count: int | None = None


@dataclass(frozen=True, slots=True)
class TableGuess:
    """What a table seems to hold; None where no column fits.

    `labels` are the texts of the label column; `predicted` and `scores` (classes) say whether the
    table brings predictions; `left` are the columns that were given no role.
    """

    rows: int
    columns: tuple[str, ...]
    image: str | None
    label: str | None
    id: str | None
    subject: str | None
    split: str | None
    labels: tuple[str, ...]
    attributes: tuple[AttributeGuess, ...]
    predicted: bool
    scores: tuple[str, ...]
    left: tuple[str, ...]


def inspect_table(path: Path) -> TableGuess:
    """Guess the role of each column of a CSV or Parquet table, or of an `ImageFolder`-like tree.

    Only the names and the values decide; nothing is changed. Raises `InputError` where the table
    cannot be read.
    """
    table = read_tree(path, "image", "label", Remarks()) if path.is_dir() else read_table(path)
    free = [name for name in table.names if table.usable(name) and name != PREDICTED and not name.startswith(SCORE)]
    levels = {name: table.encode(name)[0] for name in free}
    roles: dict[str, str | None] = {}

    def pick(role: str, candidates: list[str]) -> None:
        roles[role] = next((name for name in candidates if name in free), None)
        if roles[role] is not None:
            free.remove(str(roles[role]))

    pick(
        "image",
        _named(free, IMAGE, lambda name: _are_images(levels[name])) + [n for n in free if _are_images(levels[n])],
    )
    pick("split", _named(free, SPLIT, lambda name: _are_splits(levels[name])))
    pick("label", _named(free, LABEL, lambda name: 2 <= len(levels[name]) <= MAX_LABELS))
    pick("subject", [name for name in free if _is_subject(name, levels[name])])
    pick("id", _named(free, ID, lambda name: len(levels[name]) == table.rows))
    label = roles["label"]
    candidates = sorted((name for name in free if not _explains_label(table, name, label)), key=_is_unusual)
    guesses = [guess for name in candidates if (guess := _attribute(table, name, levels[name])) is not None]
    attributes = tuple(guesses[:MAX_ATTRIBUTES])
    return TableGuess(
        rows=table.rows,
        columns=table.names,
        image=roles["image"],
        label=label,
        id=roles["id"],
        subject=roles["subject"],
        split=roles["split"],
        labels=levels[label] if label is not None else (),
        attributes=attributes,
        predicted=PREDICTED in table.names,
        scores=tuple(name.removeprefix(SCORE) for name in table.names if name.startswith(SCORE)),
        left=tuple(name for name in free if name not in {guess.name for guess in attributes}),
    )


def _named(names: list[str], known: tuple[str, ...], fits: Callable[[str], bool]) -> list[str]:
    """The columns with one of the known names, in the order of those, whose values fit."""
    by_name = {name.strip().lower().replace(" ", "_"): name for name in reversed(names)}
    return [by_name[name] for name in known if name in by_name and fits(by_name[name])]


def _are_images(levels: tuple[str, ...]) -> bool:
    return bool(levels) and all(level.lower().endswith(tuple(EXTENSIONS)) for level in levels)


def _are_splits(levels: tuple[str, ...]) -> bool:
    return bool(levels) and set(levels) <= set(READY)


def _is_subject(name: str, levels: tuple[str, ...]) -> bool:
    """Named after people, and either called an id or with many levels."""
    lower = name.lower()
    return any(word in lower for word in SUBJECT) and len(levels) > 1 and (lower.endswith("id") or len(levels) > 12)


def _explains_label(table: Table, name: str, label: str | None) -> bool:
    """Whether every level goes with one label alone: then it is another spelling of the label."""
    if label is None:
        return False
    (levels, codes), (labels, truth) = table.encode(name), table.encode(label)
    both = (codes >= 0) & (truth >= 0)
    pairs = np.unique(codes[both].astype(np.int64) * len(labels) + truth[both])
    return len(levels) > 1 and len(pairs) == len(np.unique(codes[both]))


def _is_unusual(name: str) -> bool:
    """False for what audits usually ask for: sorted by it, those come first, in the table's order."""
    return not set(re.split(r"[^a-z]+", name.lower())) & USUAL


def _attribute(table: Table, name: str, levels: tuple[str, ...]) -> AttributeGuess | None:
    """The column as an attribute; None where it is constant, free text, or nearly all different."""
    if len(levels) < 2 or {MISSING, OTHER} & set(levels):
        return None
    numbers = table.numbers(name)
    missing = int(numbers.empty.sum())
    numeric = not np.isnan(numbers.values[~numbers.empty]).any()
    if numeric and len(levels) > 12 and not _is_unusual(name):
        edges = _edges(numbers.values[~numbers.empty])
        return None if edges is None else AttributeGuess(name, (), missing, bins=edges)
    if len(levels) > MAX_LEVELS or len(levels) > table.rows / 2 or (numeric and len(levels) > 12):
        return None
    return AttributeGuess(name, levels, missing, min_count=MIN_COUNT if len(levels) > 12 else None)


def _edges(values: NDArray[np.float64]) -> tuple[float, ...] | None:
    """Whole quartiles from the smallest to the largest value; None where they do not make two bins."""
    if not np.isfinite(values).all():
        return None
    inner = np.round(np.quantile(values, [0.25, 0.5, 0.75]))
    edges = sorted({float(np.floor(values.min())), *map(float, inner), float(np.ceil(values.max()))})
    return tuple(edges) if len(edges) > 2 else None
