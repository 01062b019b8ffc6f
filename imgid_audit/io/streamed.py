"""When a table of predictions is read as its distinct rows, and what the report says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.csvfile import Kind
from imgid_audit.io.outputs import SCORE
from imgid_audit.io.settings import DataSettings, PredictionsSettings, SplitSettings
from imgid_audit.io.streaming import parquet_shape, read_distinct
from imgid_audit.io.tables import Table

STREAM_ROWS = 5_000_000
"""From here on a table is streamed unless it may not be: kept whole, its rows would take gigabytes."""


def read_streamed(
    path: Path, settings: PredictionsSettings, data: DataSettings, kinds: Callable[[str], Kind | None]
) -> Table | None:
    """The table as its distinct rows; None where it is to be read whole.

    Raises `InputError` where ``predictions.stream`` asks for what cannot be.
    """
    if settings.stream is False or not path.is_file():
        return None
    shape = parquet_shape(path)
    rows, names = shape if shape is not None else (0, ())
    if not settings.stream and rows < STREAM_ROWS:
        return None
    obstacle = "its table is no Parquet file: save it as one" if shape is None else _obstacle(names, data)
    if obstacle is None and not (settings.stream is None and data.id is not None):
        return read_distinct(path, kinds)
    if settings.stream and obstacle is not None:
        raise InputError(Problem("[predictions > stream]", f"cannot be true: {obstacle}"))
    return None


def _obstacle(names: tuple[str, ...], data: DataSettings) -> str | None:
    """Why rows cannot be reduced to distinct ones, and what to do."""
    scores = [name for name in names if name.startswith(SCORE)]
    if scores:
        return f"each row has a score of its own ({scores[0]}): remove the score columns, or `stream`"
    if data.manifest is not None:
        return "rows are joined to data.manifest by id: put its columns into the table, or remove `stream`"
    split = data.split
    if isinstance(split, SplitSettings) and any(part is not None for part in (split.val, split.test, split.adjust)):
        return "splits are drawn by row id: name a column of ready splits in data.split, or remove `stream`"
    return None


def streaming_note(table: Table) -> str:
    """What a reader must know of the rows that are not kept one by one."""
    rows = 0 if table.count is None else int(table.count.sum())
    return (
        f"The table's {rows:,} rows were read as {table.rows:,} distinct ones with counts: ids and image paths were "
        "not read, repeated ids were not looked for, and manifest.parquet has a line for each distinct row, "
        "with its number of rows as `n`."
    )
