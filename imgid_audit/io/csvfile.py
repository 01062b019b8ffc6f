"""CSV by the letter: every cell is the text between its commas, and a malformed row is an error.

Arrow's reader is used instead of pandas' because it reports rows that are too short as well as
those that are too long (pandas fills the former in silence), and guesses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.messages import SHOWN, refuse_repeated_columns

BLOCK = 1 << 24
"""Bytes that the reader parses at a time, which is also the longest row that it can read."""

HEAD = 1 << 16
"""Bytes that are tried first where only the header is wanted."""

Kind = Literal["level", "text", "number"]

_TYPES = {"level": pa.dictionary(pa.int32(), pa.string()), "text": pa.string(), "number": pa.float64()}
BREAK = b"\n"
_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def read_csv(path: Path, kinds: Callable[[str], Kind | None]) -> tuple[tuple[str, ...], pa.Table]:
    """All column names, and the columns that have a kind; an empty cell is the empty text.

    ``level`` and ``text`` are text (the former dictionary-encoded); ``number`` is float64 where the
    whole column parses as such (empty: null), else text. Quoted cells may hold commas, doubled
    quotes and line ends; a byte-order mark is skipped; blank lines are no rows. Raises `InputError`
    for rows that have too few or too many cells, a quote that never closes, bytes that are not
    UTF-8 or NUL, and column names that repeat.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {error.strerror}")) from error
    if not data.endswith((b"\n", b"\r")) and b"\n" not in data:
        data += b"\n"
    _refuse_binary(path, data)
    try:
        return _read(path, data, kinds)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        if (bad := _first_bad_byte(data)) is not None:
            where = f"{path.name} line {data.count(BREAK, 0, bad) + 1}"
            raise InputError(Problem(where, "is not UTF-8: save the file as UTF-8")) from error
        raise _unreadable(path, error) from error


def _read(path: Path, data: bytes, kinds: Callable[[str], Kind | None]) -> tuple[tuple[str, ...], pa.Table]:
    names = _header(path, data)
    wanted = {name: kind for name in names if (kind := kinds(name)) is not None}
    try:
        table, malformed = _parse(path, data, {name: _TYPES[kind] for name, kind in wanted.items()})
    except pa.ArrowInvalid:
        # Some cell is no number, or not UTF-8: read bytes, and find out which.
        table, malformed = _parse(path, data, dict.fromkeys(wanted, pa.binary()))
    if malformed:
        raise InputError(_malformed(path, data))
    _refuse_open_quote(path, data, names)
    return names, _decode(path.name, table)


def _parse_options(path: Path, data: bytes, malformed: list[Any]) -> csv.ParseOptions:
    def keep(row: Any) -> str:
        malformed.append(row)
        return "skip"

    # Arrow hands a row over as text: one that is no UTF-8 would fail inside its own code, with a traceback
    handler = keep if _is_utf8(data) else None
    delimiter = "\t" if path.suffix.lower() in {".tsv", ".tab"} else ","
    return csv.ParseOptions(delimiter=delimiter, newlines_in_values=b'"' in data, invalid_row_handler=handler)


def _refuse_binary(path: Path, data: bytes) -> None:
    if data.startswith(_UTF16):
        raise InputError(Problem(path.name, "is UTF-16: save it as UTF-8"))
    if b"\0" in data:
        where = f"{path.name} line {data.count(BREAK, 0, data.index(0)) + 1}"
        raise InputError(Problem(where, "has a NUL byte: this is no CSV file, or a damaged one; save the table again"))


def _is_utf8(data: bytes) -> bool:
    """Whether all of it is UTF-8, without a copy of it."""
    offsets = pa.py_buffer(np.array([0, len(data)], dtype=np.int64))
    try:
        pa.Array.from_buffers(pa.large_binary(), 1, [None, offsets, pa.py_buffer(data)]).cast(pa.large_string())
    except pa.ArrowInvalid:
        return False
    return True


def _first_bad_byte(data: bytes) -> int | None:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start
    return None


def _header(path: Path, data: bytes) -> tuple[str, ...]:
    if not data[:4096].removeprefix(_BOM).strip() and not data.removeprefix(_BOM).strip():
        raise InputError(Problem(path.name, "is empty: it needs a header row with the names of its columns"))
    try:
        names = _names(path, data, HEAD)
    except pa.ArrowInvalid:
        names = _names(path, data, BLOCK)
    refuse_repeated_columns(path.name, names)
    return names


def _owned(data: bytes) -> pa.Buffer:
    """The bytes in memory of Arrow's own.

    Its threads may let go of a buffer while the interpreter exits, and letting go of a Python object
    then aborts the process (apache/arrow#34314).
    """
    sink = pa.BufferOutputStream()
    sink.write(data)
    return sink.getvalue()


def _names(path: Path, data: bytes, block: int) -> tuple[str, ...]:
    try:
        with csv.open_csv(
            pa.BufferReader(_owned(data)),
            read_options=csv.ReadOptions(block_size=block),
            parse_options=_parse_options(path, data, []),
            convert_options=csv.ConvertOptions(check_utf8=False),
        ) as reader:
            return tuple(reader.schema.names)
    except UnicodeDecodeError as error:
        raise InputError(Problem(f"{path.name} header", "is not UTF-8: save the file as UTF-8")) from error


def _parse(
    path: Path, data: bytes, types: Mapping[str, pa.DataType], *, threads: bool = True
) -> tuple[pa.Table, list[Any]]:
    """The columns of these types, and the rows that have another number of cells than the header."""
    malformed: list[Any] = []
    table = csv.read_csv(
        pa.BufferReader(_owned(data)),
        read_options=csv.ReadOptions(use_threads=threads, block_size=BLOCK),
        parse_options=_parse_options(path, data, malformed),
        convert_options=csv.ConvertOptions(
            null_values=[""], strings_can_be_null=False, include_columns=list(types), column_types=types
        ),
    )
    return table, malformed


def _unreadable(path: Path, error: Exception) -> InputError:
    text = str(error).splitlines()[0]
    if "straddl" in text:
        text = f"a row is longer than {BLOCK >> 20} MiB: a quote probably never closes"
    return InputError(Problem(path.name, f"cannot be read as CSV ({text})"))


def _malformed(path: Path, data: bytes) -> list[Problem]:
    """The first rows of the wrong length; only a reader with one thread knows their numbers."""
    _, rows = _parse(path, data, {}, threads=False)
    problems = []
    for row in rows[:SHOWN]:
        hint = "a quote may never close" if '"' in row.text else "quote cells that hold a comma"
        message = f"has {row.actual_columns} cells where the header has {row.expected_columns}: {hint}"
        problems.append(Problem(f"{path.name} row {row.number - 1}", message))
    if len(rows) > SHOWN:
        problems.append(Problem(path.name, f"has {len(rows) - SHOWN:,} more rows with the wrong number of cells"))
    return problems


def _refuse_open_quote(path: Path, data: bytes, names: tuple[str, ...]) -> None:
    """The reader takes the end of the file for the end of a quoted cell, however far back the quote is.

    Quotes of a well-formed file come in pairs, except those inside unquoted cells; so an odd number
    is looked into: an open cell is the file's very tail with a quote before it.
    """
    if data.count(b'"') % 2 == 0:
        return
    table, _ = _parse(path, data, {names[-1]: pa.binary()})
    if not table.num_rows:
        return
    last = table.column(0)[-1].as_py()
    tail = b'"' + last.replace(b'"', b'""')
    if data.endswith(tail) and (last or not data.endswith(b'""')):
        raise InputError(Problem(f"{path.name} row {table.num_rows} [{names[-1]}]", "has a quote that never closes"))


def _decode(source: str, table: pa.Table) -> pa.Table:
    """The same table with bytes as text; columns that are not UTF-8 are named with their first bad row."""
    columns, problems = {}, []
    for name in table.column_names:
        values = table.column(name)
        try:
            columns[name] = values.cast(pa.string()) if pa.types.is_binary(values.type) else values
        except pa.ArrowInvalid:
            where = f"{source} row {_first_not_utf8(values) + 1} [{name}]"
            problems.append(Problem(where, "is not UTF-8: save the file as UTF-8"))
    if problems:
        raise InputError(problems)
    return pa.table(columns)


def _first_not_utf8(column: pa.ChunkedArray) -> int:
    """Bisects for the first row whose bytes do not decode: reached on the way to an error only."""
    low, high = 0, len(column)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            pc.cast(column.slice(low, middle - low), pa.string())
            low = middle
        except pa.ArrowInvalid:
            high = middle
    return low
