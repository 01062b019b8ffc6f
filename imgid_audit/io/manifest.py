"""The manifest: the user's table of images read whole, checked whole, with all errors at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Codes, Factor, Texts
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.io.attributes import note_near_levels, read_attribute, refuse_long
from imgid_audit.io.csvfile import Kind
from imgid_audit.io.existence import check_images
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.settings import DataSettings
from imgid_audit.io.splits import Units, assign_splits, split_column
from imgid_audit.io.tables import Table, read_table
from imgid_audit.io.tree import read_tree

NO_LABEL = "label is empty"
NO_SUBJECT = "subject is empty"


@dataclass(frozen=True, slots=True, eq=False)
class ManifestRead:
    """A manifest, what the report should say about its reading, and the table's column names.

    `path` is the table or folder that was read, `root` the folder that image paths are relative to.
    """

    manifest: Manifest
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    path: Path
    root: Path


def read_manifest(
    data: DataSettings, folder: Path, labels: tuple[str, ...] | None, *, need_images: bool
) -> ManifestRead:
    """Read ``data.manifest``, a CSV or Parquet file or an `ImageFolder`-like tree.

    `folder` is the config's own: relative paths start there. `labels` are the task's in class
    order; None takes the sorted texts of the label column. With `need_images` every image has to be
    there, inside the root. Raises `InputError` with everything that is wrong, each with row and column.
    """
    path = manifest_path(data, folder)
    remarks = Remarks()
    table = read_source(path, data, remarks)
    table_columns(table, data, remarks, images=need_images)
    root = image_root(data, folder)
    if remarks.problems:
        _look_further(table, data, remarks, root if need_images else None)
    raise_all(remarks.problems)
    manifest = build_manifest(table, data, labels, id_column(table, data), remarks, root if need_images else None)
    return ManifestRead(manifest, tuple(remarks.notes), table.names, path, root)


def _look_further(table: Table, data: DataSettings, remarks: Remarks, root: Path | None) -> None:
    """Add what is wrong with ids and images, where columns lack and no manifest can be built."""
    named_by = id_column(table, data)
    if named_by is not None and table.usable(named_by):
        _ids(table, named_by, data, remarks)
    if root is not None and table.usable(data.image):
        check_images(table, data.image, table.texts(data.image), root, remarks)


def manifest_path(data: DataSettings, folder: Path) -> Path:
    """Where ``data.manifest`` lies; `InputError` where the config names none."""
    if data.manifest is None:
        raise InputError(Problem("[data > manifest]", "is required: name a CSV or Parquet file, or a folder of images"))
    return folder / data.manifest


def image_root(data: DataSettings, folder: Path) -> Path:
    """The folder that image paths are relative to: ``data.root``, else the manifest's own."""
    if data.root is not None:
        return folder / data.root
    path = manifest_path(data, folder)
    return path if path.is_dir() else path.parent


def read_source(path: Path, data: DataSettings, remarks: Remarks) -> Table:
    """The table or tree at `path`, with the columns that the settings name."""
    if path.is_dir():
        return read_tree(path, data.image, data.label, remarks)
    return read_table(path, column_kinds(data))


def column_kinds(data: DataSettings) -> Callable[[str], Kind | None]:
    """What the settings want each column of a table for; None for those that they do not name."""
    kinds: dict[str, Kind] = {column: "level" for column, _ in setting_columns(data)}
    kinds |= {data.label: "level", data.image: "text", "id": "text"}
    if data.id is not None:
        kinds[data.id] = "text"
    return kinds.get


def table_columns(table: Table, data: DataSettings, remarks: Remarks, *, images: bool) -> None:
    """Add a problem for each column that the settings name and the table cannot give."""
    asked = [(data.image, "data.image")] if images else []
    for column, setting in [*asked, (data.label, "data.label"), *setting_columns(data)]:
        problem = table.problem(column, setting)
        if problem is not None:
            remarks.problems.append(problem)


def build_manifest(
    table: Table,
    data: DataSettings,
    labels: tuple[str, ...] | None,
    named_by: str | None,
    remarks: Remarks,
    root: Path | None = None,
) -> Manifest:
    """The manifest of a table whose columns have been checked; raises all the problems in `remarks`.

    `named_by`: the column of ids; None names rows by their number. `root`: images are looked for
    below it; None does not look.
    """
    if not table.rows:
        remarks.problem(table.where(), "has no rows")
    images = table.texts(data.image) if table.usable(data.image) else None
    ids = _ids(table, named_by, data, remarks)
    label = _label(table, data, labels, remarks)
    subject = _subject(table, data, remarks)
    attributes = tuple(read_attribute(table, name, block, remarks) for name, block in data.attributes.items())
    status, reason = _exclusions(label, subject)
    if root is not None and images is not None:
        check_images(table, data.image, images, root, remarks)
    units = Units(label, subject, ids, status != Status.EXCLUDED)
    if table.rows and not units.eligible.any():
        remarks.problem(table.where(), "leaves no rows to audit: all have an empty label or subject")
    split = assign_splits(table, data.split, units, remarks)
    raise_all(remarks.problems)
    return Manifest(ids, label, split, attributes, subject, images, status, reason, table.count)


def setting_columns(data: DataSettings) -> list[tuple[str, str]]:
    """Columns named by the settings besides image and label, each with the setting that names it."""
    named = [(data.id, "data.id"), (data.subject, "data.subject"), (split_column(data.split), "data.split")]
    attributes = [(block.column or name, f"data.attributes.{name}") for name, block in data.attributes.items()]
    return [(column, setting) for column, setting in named if column is not None] + attributes


def id_column(table: Table, data: DataSettings) -> str | None:
    """The column that names a manifest's rows: ``data.id``, else the image path, else a column ``id``."""
    names = (data.id,) if data.id is not None else (data.image, "id")
    return next((name for name in names if table.usable(name)), None)


def shown_ids(ids: Texts, column: str, data: DataSettings) -> str:
    """The first ids for a message, or that they are subjects' ids: messages end in logs, which must not name people."""
    return "not shown: they name subjects" if column == data.subject else listed(dict.fromkeys(ids), 3)


def _ids(table: Table, column: str | None, data: DataSettings, remarks: Remarks) -> Texts:
    if column is None:
        numbers = np.arange(table.rows) if table.first is None else table.first
        return Table("", table.rows, (), {"row": pa.chunked_array([numbers + 1])}).texts("row")
    ids = table.texts(column)
    empty = ids == ""
    if empty.any():
        remarks.problem(table.where(column, empty), "is empty, and it names the row: fill it, or set data.id")
    repeated = repeated_texts(ids) & ~empty
    if repeated.any():
        texts = shown_ids(ids[repeated], column, data)
        remarks.problem(table.where(column, repeated), f"repeats an id ({texts}): ids name rows and must be unique")
    return ids


def repeated_texts(texts: Texts) -> NDArray[np.bool_]:
    """Which texts (n,) occur more than once."""
    if len(set(texts)) == len(texts):
        return np.zeros(len(texts), dtype=bool)
    codes = pa.array(texts, pa.string()).dictionary_encode().indices.to_numpy()
    repeated: NDArray[np.bool_] = np.bincount(codes)[codes] > 1
    return repeated


def _label(table: Table, data: DataSettings, labels: tuple[str, ...] | None, remarks: Remarks) -> Factor:
    levels, codes = table.encode(data.label)
    note_near_levels("label", levels, remarks)
    refuse_long(table, data.label, levels, codes, remarks)
    if labels is None:
        return Factor("label", levels, codes)
    return Factor("label", labels, recode(table, data.label, (levels, codes), labels, remarks))


def recode(
    table: Table, column: str, encoded: tuple[tuple[str, ...], Codes], labels: tuple[str, ...], remarks: Remarks
) -> Codes:
    """Codes of an encoded column among `labels` (n,), -1 where empty; other texts are a problem."""
    levels, codes = encoded
    if levels == labels:
        return codes
    place = {label: code for code, label in enumerate(labels)}
    unknown = [level for level in levels if level not in place]
    if unknown:
        rows = np.isin(codes, [levels.index(level) for level in unknown])
        message = f"says {listed(unknown, 5)}, which is not among the labels {listed(labels)}"
        remarks.problem(table.where(column, rows), f"{message}: mend the table, or task.labels")
    places = np.array([*(place.get(level, -1) for level in levels), -1], dtype=np.int32)
    return places[codes]


def _subject(table: Table, data: DataSettings, remarks: Remarks) -> Factor | None:
    if data.subject is None:
        return None
    levels, codes = table.encode(data.subject)
    note_near_levels("subject", levels, remarks, named=False)
    return Factor(data.subject, levels, codes)


def _exclusions(label: Factor, subject: Factor | None) -> tuple[NDArray[np.int8], Texts]:
    """Status and reason of each row (n,): without a label or a subject a row cannot be counted."""
    status = np.full(len(label), Status.PENDING, dtype=np.int8)
    reason = np.full(len(label), "", dtype=object)
    reasons = [(NO_LABEL, label.codes < 0)]
    if subject is not None:
        reasons.append((NO_SUBJECT, (subject.codes < 0) & (label.codes >= 0)))
    for text, rows in reasons:
        status[rows] = Status.EXCLUDED
        reason[rows] = text
    return status, reason
