"""Tables as the user wrote them: columns of text (or of numbers), never reinterpreted.

Labels and levels are the text of the cell, and only an empty cell is missing. A Parquet file or a
data frame has values instead of texts; each then has the text that ``DataFrame.to_csv`` would
write: 7 is ``7``, 1.0 is ``1.0``, true is ``True``, null and NaN are empty. So one frame gives one
audit, whichever way it was saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes, Counts, Texts
from imgid_audit.io.csvfile import Kind, read_csv
from imgid_audit.io.messages import did_you_mean, listed, refuse_repeated_columns, rows_text

if TYPE_CHECKING:
    import pandas as pd

NUMBER = r"(?i)^[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)$"

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Numbers:
    """A column as float64 (n,): NaN where the cell is `empty`, is `unreadable`, or says ``nan``."""

    values: NDArray[np.float64]
    empty: Mask
    unreadable: Mask


@dataclass(frozen=True, slots=True, eq=False)
class Origin:
    """Where a joined column comes from: another table, and its row for each of ours (-1: none)."""

    source: str
    rows: NDArray[np.intp]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Columns of equal length; `source` is the name that messages give the table.

    `names` lists all the columns of the file, `columns` holds those that were read, `origins` those
    that were joined from another table: messages name that table and its rows. Where a large file
    was read as its distinct rows, `rows` counts these, and `count` and `first` (rows,) hold how many
    rows of the file each stands for, and the first of them.
    """

    source: str
    rows: int
    names: tuple[str, ...]
    columns: Mapping[str, pa.ChunkedArray]
    origins: Mapping[str, Origin] = field(default_factory=dict)
    count: Counts | None = None
    first: Counts | None = None

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def where(self, column: str | None = None, rows: NDArray[Any] | Mask | None = None) -> str:
        """``metadata.csv rows 3, 7 and 12 more [age]``; rows are given from 0 and shown from 1."""
        origin = self.origins.get(column or "")
        parts = [origin.source if origin else self.source]
        if rows is not None:
            indices = np.flatnonzero(rows) if rows.dtype == bool else rows
            parts.append(self._rows_text(indices) if origin is None else rows_text(origin.rows[indices]))
        if column is not None:
            parts.append(f"[{column}]")
        return " ".join(parts)

    def _rows_text(self, indices: NDArray[Any]) -> str:
        if self.count is None or self.first is None or not len(indices):
            return rows_text(indices)
        more = int(self.count[indices].sum()) - 1
        return rows_text(self.first[indices].min(keepdims=True)) + (f" and {more:,} more" if more else "")

    def usable(self, column: str) -> bool:
        """Whether the column was read and its cells have a text."""
        return column in self.columns and _has_text(_value_type(self.columns[column].type))

    def problem(self, column: str, asked_by: str) -> Problem | None:
        """Why `column` cannot be used, or None: it is unknown, or of a type that has no text."""
        if column not in self.columns:
            hint = did_you_mean(column, self.names)
            if len(self.names) == 1 and (found := [mark for mark in ";\t|" if mark in self.names[0]]):
                hint = f"is it separated by {found[0]!r}? save it with commas (tabs: as .tsv); "
            message = f"has no column {column!r}, asked for by {asked_by}: {hint}its columns are {listed(self.names)}"
            return Problem(self.where(), message)
        kind = _value_type(self.columns[column].type)
        if not _has_text(kind):
            return Problem(
                self.where(column), f"is of type {kind}, which has no single text: save it as text or numbers"
            )
        return None

    def encode(self, column: str) -> tuple[tuple[str, ...], Codes]:
        """The distinct texts in sorted order and their codes (n,), -1 where the cell is empty."""
        values, codes = _encoded(self.columns[column])
        texts = _texts_of(values)
        seen = np.bincount(codes + 1, minlength=len(texts) + 1)[1:] > 0
        used = seen & pc.not_equal(texts, "").to_numpy(zero_copy_only=False)
        order = pc.sort_indices(texts).to_numpy()  # by bytes of UTF-8: the order of Python's sorted
        order = order[used[order]]
        levels: tuple[str, ...] = tuple(texts.take(pa.array(order)).to_pylist())
        distinct = tuple(dict.fromkeys(levels))
        place = {text: code for code, text in enumerate(distinct)}
        recode = np.full(len(texts) + 1, -1, dtype=np.int32)
        recode[order] = [place[text] for text in levels]
        return distinct, recode[codes]

    def texts(self, column: str) -> Texts:
        """The text of every cell (n,), '' where empty."""
        values = self.columns[column]
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return _objects(values.fill_null(""))
        if pa.types.is_integer(values.type):
            return _objects(values.cast(pa.string()).fill_null(""))
        levels, codes = self.encode(column)
        return np.array([*levels, ""], dtype=object)[codes]

    def numbers(self, column: str) -> Numbers:
        """The cells as numbers; blanks around a number do not count. Booleans are unreadable."""
        if not pa.types.is_dictionary(self.columns[column].type):
            return _numbers_of(self.columns[column])
        distinct, codes = self.distinct_numbers(column)
        return Numbers(distinct.values[codes], distinct.empty[codes], distinct.unreadable[codes])

    def distinct_numbers(self, column: str) -> tuple[Numbers, Codes]:
        """`numbers` of the distinct cells, and the index of each cell among them (n,).

        The last of them stands for an empty cell and has the index -1.
        """
        values, codes = _encoded(self.columns[column])
        few = _numbers_of(pa.chunked_array([values]))
        last = Numbers(np.append(few.values, np.nan), np.append(few.empty, True), np.append(few.unreadable, False))
        return last, codes

    def joined(self, other: Table, rows: NDArray[np.intp]) -> Table:
        """This table with the columns of `other` that it lacks: at `rows` (n,), empty where -1."""
        indices = pa.array(rows, mask=rows < 0)
        added = {name: values.take(indices) for name, values in other.columns.items() if name not in self.columns}
        origins = {**self.origins, **dict.fromkeys(added, Origin(other.source, rows))}
        names = (*self.names, *(name for name in other.names if name not in self.names))
        return Table(self.source, self.rows, names, {**self.columns, **added}, origins)


def read_table(path: Path, kinds: Callable[[str], Kind | None] = lambda _: "level") -> Table:
    """Read a CSV (UTF-8; ``.tsv``: tab) or Parquet file.

    `kinds` says what each column is for, so that it is read in the fastest form (the texts are the
    same): ``level`` has few distinct texts, ``text`` many, ``number`` is parsed; None is not read.
    Raises `InputError` for what is no such file: not there, not UTF-8, rows of the wrong length,
    column names that repeat, a quote that never closes.
    """
    if not path.is_file():
        what = "is a folder, not a table" if path.is_dir() else "is not there"
        raise InputError(Problem(str(path), f"{what}: name a CSV or Parquet file"))
    if path.suffix.lower() in {".parquet", ".pq"}:
        names, data = _read_parquet(path, kinds)
    else:
        names, data = read_csv(path, kinds)
    return Table(path.name, data.num_rows, names, {name: data.column(name) for name in data.column_names})


def frame_table(frame: pd.DataFrame, source: str = "frame") -> Table:
    """A pandas data frame as a `Table`; its index is left aside."""
    names = tuple(str(name) for name in frame.columns)
    refuse_repeated_columns(source, names)
    columns: dict[str, pa.ChunkedArray] = {}
    problems = []
    for position, name in enumerate(names):
        try:
            values = pa.array(frame.iloc[:, position], from_pandas=True)
        except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError) as error:
            first = str(error).splitlines()[0]
            problems.append(Problem(f"{source} [{name}]", f"mixes types or cannot be read: {first}"))
            continue
        columns[name] = values if isinstance(values, pa.ChunkedArray) else pa.chunked_array([values])
    if problems:
        raise InputError(problems)
    return Table(source, len(frame), names, columns)


def _read_parquet(path: Path, kinds: Callable[[str], Kind | None]) -> tuple[tuple[str, ...], pa.Table]:
    try:
        schema = pq.read_schema(path)
        names = tuple(schema.names)
        refuse_repeated_columns(path.name, names)
        levels = [name for name in names if kinds(name) == "level" and _is_text(schema.field(name).type)]
        with pq.ParquetFile(path, read_dictionary=levels) as file:
            return names, file.read(columns=[name for name in names if kinds(name) is not None])
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or ["unknown error"])[0]
        raise InputError(Problem(str(path), f"cannot be read as Parquet ({first}): write it again")) from error


def _value_type(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _has_text(kind: pa.DataType) -> bool:
    types = pa.types
    simple = (types.is_integer, types.is_floating, types.is_boolean, types.is_null, types.is_decimal, types.is_date)
    return _is_text(kind) or any(test(kind) for test in simple)


def _encoded(column: pa.ChunkedArray) -> tuple[pa.Array, Codes]:
    """The distinct values of a column, and the index of each cell among them (n,): -1 where null."""
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.string())
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    encoded = column.unify_dictionaries().combine_chunks()
    codes = encoded.indices.cast(pa.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
    return encoded.dictionary, codes


def _texts_of(values: pa.Array) -> pa.Array:
    """The text of each distinct value, as `DataFrame.to_csv` writes it; '' for none."""
    if _is_text(values.type):
        return values.cast(pa.string()).fill_null("")
    if pa.types.is_floating(values.type):
        texts = ["" if np.isnan(value) else str(value) for value in values.to_numpy(zero_copy_only=False)]
    else:
        texts = ["" if value is None else str(value) for value in values.to_pylist()]
    return pa.array(texts, pa.string())


def _objects(values: pa.ChunkedArray) -> Texts:
    objects: Texts = values.to_numpy()
    return objects.astype(object, copy=False)


def _float64(values: pa.ChunkedArray) -> NDArray[np.float64]:
    floats: NDArray[np.float64] = values.to_numpy()
    return floats.astype(np.float64, copy=False)


def _numbers_of(values: pa.ChunkedArray) -> Numbers:
    kind = values.type
    if _is_text(kind):
        return _parse(values)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        floats = _float64(values.cast(pa.float64(), safe=False))
        return Numbers(floats, np.isnan(floats), np.zeros(len(floats), dtype=bool))
    empty = values.is_null().to_numpy()
    return Numbers(np.full(len(empty), np.nan), empty, ~empty)


def _parse(values: pa.ChunkedArray) -> Numbers:
    text = values.cast(pa.string()).fill_null("")
    empty = pc.equal(text, "").to_numpy()
    trimmed = pc.utf8_trim_whitespace(text)
    unreadable = np.zeros(len(empty), dtype=bool)
    try:
        floats = _float64(pc.if_else(pc.equal(text, ""), None, trimmed).cast(pa.float64()))
    except pa.ArrowInvalid:
        good = pc.match_substring_regex(trimmed, NUMBER)
        unreadable = ~good.to_numpy() & ~empty
        floats = _float64(pc.if_else(good, trimmed, None).cast(pa.float64()))
    return Numbers(floats, empty, unreadable)
