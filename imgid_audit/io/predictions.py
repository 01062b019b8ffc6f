"""Bring your own predictions: a table of labels and answers becomes a manifest with predictions."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imgid_audit.core.errors import raise_all
from imgid_audit.core.factor import Texts
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Predictions
from imgid_audit.core.task import Task, TaskKind
from imgid_audit.io.csvfile import Kind
from imgid_audit.io.manifest import (
    build_manifest,
    column_kinds,
    id_column,
    manifest_path,
    read_source,
    repeated_texts,
    shown_ids,
    table_columns,
)
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.outputs import PREDICTED, SCORE, Outputs, read_outputs
from imgid_audit.io.settings import DataSettings, PredictionsSettings
from imgid_audit.io.streamed import read_streamed, streaming_note
from imgid_audit.io.tables import Table, read_table

NO_PREDICTION = "no prediction"
NO_PREDICTION_NOR_LABEL = "no prediction, and the label would come with it"

_PREDICTED: dict[str, Kind] = {PREDICTED: "level"}


@dataclass(frozen=True, slots=True, eq=False)
class PredictionsRead:
    """A task, its manifest and the predictions, aligned; notes for the report; files that were read."""

    task: Task
    manifest: Manifest
    predictions: Predictions
    notes: tuple[str, ...]
    columns: tuple[str, ...]
    paths: tuple[Path, ...]


def read_predictions(
    predictions: PredictionsSettings,
    data: DataSettings,
    folder: Path,
    *,
    kind: TaskKind,
    positive: str | None = None,
    labels: tuple[str, ...] | None = None,
) -> PredictionsRead:
    """Read ``predictions.table``; with ``data.manifest`` its columns are joined by id.

    The table has the label column, and ``predicted`` and/or one ``score:<class>`` column a class
    (binary tasks: that of the positive class is enough). `labels` None takes the sorted texts of
    labels, predictions and score columns. Raises `InputError` with everything that is wrong.
    """
    path = folder / predictions.table
    kinds = column_kinds(data)

    def wanted(name: str) -> Kind | None:
        return "number" if name.startswith(SCORE) else _PREDICTED.get(name, kinds(name))

    streamed = read_streamed(path, predictions, data, wanted)
    table = read_table(path, wanted) if streamed is None else streamed
    return interpret(table, data, folder, kind=kind, positive=positive, labels=labels, path=path)


def interpret(
    table: Table,
    data: DataSettings,
    folder: Path,
    *,
    kind: TaskKind,
    positive: str | None = None,
    labels: tuple[str, ...] | None = None,
    path: Path | None = None,
) -> PredictionsRead:
    """`read_predictions` of a table that is in memory, such as `tables.frame_table` of a data frame."""
    remarks = Remarks()
    if table.count is not None:
        remarks.note(streaming_note(table))
    paths = [path] if path is not None else []
    merged, rows, named_by = table, None, _own_id(table, data)
    if data.manifest is not None:
        paths.append(manifest_path(data, folder))
        source = read_source(paths[-1], data, remarks)
        merged, rows, named_by = _join(source, table, data, remarks)
    table_columns(merged, data, remarks, images=False)
    raise_all(remarks.problems)
    task = _task(merged, table, data.label, kind, positive, labels, remarks)
    outputs = read_outputs(table, task, remarks)
    manifest = build_manifest(merged, data, task.labels, named_by, remarks)
    if rows is not None and data.label in merged.origins:
        manifest.reason[rows < 0] = NO_PREDICTION_NOR_LABEL
    aligned = _align(outputs, manifest, rows)
    return PredictionsRead(task, manifest, aligned, tuple(remarks.notes), merged.names, tuple(paths))


def _own_id(table: Table, data: DataSettings) -> str | None:
    """The column that names a prediction: ``data.id``, else ``id``, else the image path."""
    names = (data.id,) if data.id is not None else ("id", data.image)
    return next((name for name in names if table.usable(name)), None)


def _join(
    source: Table, table: Table, data: DataSettings, remarks: Remarks
) -> tuple[Table, NDArray[np.intp], str | None]:
    """The manifest's table with the predictions' other columns, and the prediction of each row (-1: none).

    A manifest row without a prediction stays, and will be failed; a prediction without a manifest
    row is a problem, for it would vanish.
    """
    left, right = id_column(source, data), _own_id(table, data)
    for side, column in ((source, left), (table, right)):
        if column is None:
            remarks.problem(side.where(), f"has no column to join by: {data.id or 'id'!r} in both tables (data.id)")
    raise_all(remarks.problems)
    assert left is not None
    assert right is not None
    ours, theirs = source.texts(left), table.texts(right)
    _refuse_bad_ids(table, right, theirs, data, remarks)
    strangers = ~_found(theirs, ours)
    if strangers.any():
        message = f"is in no row of {source.source} [{left}]: {shown_ids(theirs[strangers], right, data)}"
        remarks.problem(table.where(right, strangers), f"{message}; add it there, or remove the prediction")
    raise_all(remarks.problems)
    index = pc.index_in(pa.array(ours, pa.string()), pa.array(theirs, pa.string())).fill_null(-1)
    rows = index.to_numpy(zero_copy_only=False).astype(np.intp)
    merged = source.joined(table, rows)
    if source.usable(data.label) and table.usable(data.label):
        _refuse_other_labels(source, table, data.label, rows, remarks)
    return merged, rows, left


def _found(texts: Texts, among: Texts) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.is_in(pa.array(texts, pa.string()), pa.array(among, pa.string())).to_numpy(
        zero_copy_only=False
    )
    return found


def _refuse_bad_ids(table: Table, column: str, ids: Texts, data: DataSettings, remarks: Remarks) -> None:
    empty = ids == ""
    if empty.any():
        remarks.problem(table.where(column, empty), "is empty: predictions are joined to the manifest by it")
    repeated = repeated_texts(ids) & ~empty
    if repeated.any():
        texts = shown_ids(ids[repeated], column, data)
        remarks.problem(table.where(column, repeated), f"repeats an id ({texts}): one prediction a row")


def _refuse_other_labels(source: Table, table: Table, label: str, rows: NDArray[np.intp], remarks: Remarks) -> None:
    ours, theirs = source.texts(label), table.texts(label)
    matched = np.flatnonzero(rows >= 0)
    said = theirs[rows[matched]]
    other = matched[(said != ours[matched]) & (said != "")]
    if len(other):
        row = int(other[0])
        message = f"says {theirs[rows[row]]!r} where {source.where(label, other[:1])} says {ours[row]!r}"
        remarks.problem(table.where(label, rows[other]), f"{message}: make them agree, or remove one of the columns")


def _task(
    merged: Table,
    table: Table,
    label: str,
    kind: TaskKind,
    positive: str | None,
    labels: tuple[str, ...] | None,
    remarks: Remarks,
) -> Task:
    if labels is None:
        found = set(merged.encode(label)[0])
        found |= set(table.encode(PREDICTED)[0]) if table.usable(PREDICTED) else set()
        found |= {name.removeprefix(SCORE) for name in table.names if name.startswith(SCORE)}
        if positive is not None and positive not in found and len(found) > 1:
            message = f"says {positive!r}, which is not among the labels {listed(sorted(found))}"
            remarks.problem("[task > positive]", f"{message}: name the positive one")
            raise_all(remarks.problems)
        found |= {positive} if positive is not None else set()
        labels = tuple(sorted(found))
    shown = listed(labels) or "none"
    if kind == "binary" and len(labels) != 2:
        message = f"a binary task has two labels, found {len(labels)}: {shown}"
        remarks.problem(f"{merged.where(label)}", f"{message}; set task.labels, or task.type: multiclass")
    elif len(labels) < 2:
        remarks.problem(f"{merged.where(label)}", f"a task has two labels or more, found {shown}; set task.labels")
    elif kind == "binary" and positive not in labels:
        remarks.problem("[task > positive]", f"says {positive!r}, which is not among the labels {shown}")
    raise_all(remarks.problems)
    return Task(kind, labels, positive if kind == "binary" else None)


def _align(outputs: Outputs, manifest: Manifest, rows: NDArray[np.intp] | None) -> Predictions:
    """Outputs (of the predictions' table) in the order of the manifest, blank where there is no prediction."""
    if rows is not None:
        outputs = outputs.take(rows, NO_PREDICTION)
    excluded = manifest.status == Status.EXCLUDED
    status, reason = outputs.status, outputs.reason
    status[excluded] = Status.EXCLUDED
    reason[excluded] = manifest.reason[excluded]
    blank = status != Status.PREDICTED
    if blank.any() and outputs.scores is not None:
        outputs.scores[blank] = np.nan
    if blank.any() and outputs.predicted is not None:
        outputs.predicted[blank] = -1
    return Predictions(outputs.scores, outputs.predicted, status, reason)
