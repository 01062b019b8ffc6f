"""Large tables of labels and predictions, read as their distinct rows in bounded memory.

A table without scores is known by how many rows have each combination of its cells. Batches are decoded
as dictionary codes, the codes of a row are packed into one integer, and the integers are counted;
no text is made and no row is kept. Codes are those of the file's own dictionaries until these
change, so that rows cost a few integer operations each.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes, Counts
from imgid_audit.core.predictions import distinct_rows
from imgid_audit.io.csvfile import Kind
from imgid_audit.io.messages import refuse_repeated_columns
from imgid_audit.io.tables import Table

BATCH = 1 << 17
"""Rows that are decoded at once: their codes fit a processor's cache."""

DENSE = 1 << 20
"""Combinations that are counted in an array; more are sorted, batch by batch."""

PENDING = 1_000_000
"""Combinations that may wait to be merged with those found before."""

WORKERS = 4
"""Most threads that decode and count; each holds a batch and pieces of the file in memory."""

SPAN = 1 << 12
"""Integers of a smaller range are their own codes."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """One column of a batch: `codes` (n,) index `values`, or are `len(values)` where the cell is null."""

    values: pa.Array
    codes: Codes
    nulls: bool


@dataclass(slots=True, eq=False)
class Levels:
    """The distinct values of a column so far; `places` of a batch's values are remembered for the next batch."""

    values: pa.Array | None = None
    last: pa.Array | None = None
    places: Codes = field(default_factory=lambda: np.zeros(0, dtype=np.int32))
    nulls: bool = False

    def same(self, cells: Cells) -> bool:
        """Whether the batch before had the same values in the same order, and room for nulls if there are any."""
        if self.last is None or len(self.last) != len(cells.values) or (cells.nulls and not self.nulls):
            return False
        return bool(self.last.equals(cells.values))

    def learn(self, cells: Cells) -> int:
        """Make room for a batch's values; `places` (values + 1,) is then their code here, 0 for null.

        Returns how many codes the batch may have: nulls, once seen, are always reckoned with.
        """
        values = cells.values
        self.nulls |= cells.nulls
        known = values.slice(0, 0) if self.values is None else self.values
        found = pc.index_in(values, value_set=known)
        if found.null_count:
            known = pa.concat_arrays([known, values.filter(found.is_null())])
            found = pc.index_in(values, value_set=known)
        self.values, self.last = known, values
        self.places = np.append(found.to_numpy(zero_copy_only=False).astype(np.int32) + 1, np.int32(0))
        return max(len(values) + self.nulls, 1)


@dataclass(slots=True, eq=False)
class Found:
    """Distinct rows: code columns (0: null), how many rows have them, and the first of these (from 0)."""

    codes: list[Codes]
    count: Counts
    first: Counts

    def merged(self, others: list[Found], sizes: list[int]) -> Found:
        """With others that come later in the file."""
        every = [self, *others]
        columns = [np.concatenate(parts) for parts in zip(*(one.codes for one in every), strict=True)]
        count, first = (np.concatenate([getattr(one, name) for one in every]) for name in ("count", "first"))
        index, total = distinct_rows(columns, sizes, count)
        return Found([column[index] for column in columns], total, first[index])


@dataclass(slots=True, eq=False)
class Counter:
    """Counts the rows of batches; `result` is what it has found."""

    levels: list[Levels]
    rows: int = 0
    dense: Counts | None = None
    seen: Counts | None = None
    shape: tuple[int, ...] = ()
    done: Found | None = None
    pending: list[Found] = field(default_factory=list)

    def add(self, batch: list[Cells]) -> None:
        """Count one batch."""
        if not all(levels.same(cells) for levels, cells in zip(self.levels, batch, strict=True)):
            self._flush()
            self.shape = tuple(levels.learn(cells) for levels, cells in zip(self.levels, batch, strict=True))
        if math.prod(self.shape) <= DENSE:
            self._count(batch)
        else:
            index, count = distinct_rows([cells.codes for cells in batch], self.shape)
            self._keep([cells.codes[index] for cells in batch], count, self.rows + index)
        self.rows += len(batch[0].codes)

    def _count(self, batch: list[Cells]) -> None:
        """Add to the counts of combinations in the file's own codes, the row-major index of `shape`."""
        key = batch[0].codes.astype(np.int32)
        for cells, size in zip(batch[1:], self.shape[1:], strict=True):
            key *= np.int32(size)
            key += cells.codes
        count = np.bincount(key, minlength=math.prod(self.shape))
        if self.dense is None or self.seen is None:
            self.dense, self.seen = np.zeros_like(count), np.zeros_like(count)
        new = (self.dense == 0) & (count > 0)
        if new.any():
            rows = np.flatnonzero(new[key])[::-1]
            self.seen[key[rows]] = self.rows + rows  # the last assignment stays: the first row
        self.dense += count

    def _flush(self) -> None:
        """Turn the counts in the file's codes into found rows."""
        if self.dense is None or self.seen is None:
            return
        cells = np.flatnonzero(self.dense)
        codes = [part.astype(np.int32) for part in np.unravel_index(cells, self.shape)]
        self._keep(codes, self.dense[cells], self.seen[cells])
        self.dense = self.seen = None

    def _keep(self, codes: list[Codes], count: Counts, first: Counts) -> None:
        placed = [levels.places[column] for levels, column in zip(self.levels, codes, strict=True)]
        self.pending.append(Found(placed, count, first))
        waiting = sum(len(found.count) for found in self.pending)
        if waiting > max(PENDING, 0 if self.done is None else len(self.done.count)):
            self._merge()

    def _merge(self) -> None:
        sizes = [1 if levels.values is None else len(levels.values) + 1 for levels in self.levels]
        first, *others = self.pending if self.done is None else [self.done, *self.pending]
        self.done, self.pending = first.merged(others, sizes), []

    def absorb(self, other: Counter) -> None:
        """Add what another has counted, of rows that come later in the file."""
        found = other.result()
        if len(found.count):
            for levels, theirs in zip(self.levels, other.levels, strict=True):
                assert theirs.values is not None
                levels.learn(Cells(theirs.values, found.codes[0], nulls=False))
            # their code 0, null, is the last place of ours
            self._keep([codes - 1 for codes in found.codes], found.count, found.first)

    def result(self) -> Found:
        """All that was counted, in the order of the file's first rows."""
        self._flush()
        if self.pending:
            self._merge()
        if self.done is None:
            return Found([np.zeros(0, dtype=np.int32) for _ in self.levels], *(np.zeros(0, np.int64) for _ in range(2)))
        order = np.argsort(self.done.first, kind="stable")
        return Found([column[order] for column in self.done.codes], self.done.count[order], self.done.first[order])


def read_distinct(path: Path, kinds: Callable[[str], Kind | None]) -> Table:
    """The distinct rows of a Parquet file's columns of kind ``level``, with how many rows have each.

    Entries are in the order of the first row that has them. Raises `InputError` where the file
    cannot be read.
    """
    try:
        with pq.ParquetFile(path) as file:
            names = tuple(file.schema_arrow.names)
        refuse_repeated_columns(path.name, names)
        wanted = [name for name in names if kinds(name) == "level"]
        found, levels = count_rows(path, wanted)
    except (pa.ArrowException, OSError) as error:
        first = (str(error).splitlines() or ["unknown error"])[0]
        raise InputError(Problem(str(path), f"cannot be read as Parquet ({first}): write it again")) from error
    columns = {
        name: pa.chunked_array([_column(one.values, codes)])
        for name, one, codes in zip(wanted, levels, found.codes, strict=True)
    }
    return Table(path.name, len(found.count), names, columns, count=found.count, first=found.first)


def count_rows(path: Path, wanted: list[str]) -> tuple[Found, list[Levels]]:
    """Count the rows of these columns; runs of row groups side by side, each on a thread of its own."""
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
        types = {name: file.schema_arrow.field(name).type for name in wanted}
    parts = np.array_split(np.arange(len(sizes)), min(WORKERS, os.cpu_count() or 1, max(len(sizes), 1)))
    whole = Counter([Levels() for _ in wanted])
    with ThreadPoolExecutor(len(parts)) as pool:
        for counter in pool.map(lambda groups: _count_groups(path, wanted, groups.tolist(), sizes), parts):
            whole.absorb(counter)
    for name, levels in zip(wanted, whole.levels, strict=True):
        if levels.values is None:
            levels.values = pa.array([], types[name])
    return whole.result(), whole.levels


def _count_groups(path: Path, wanted: list[str], groups: list[int], sizes: list[int]) -> Counter:
    """Count the rows of some row groups, which follow one another."""
    counter = Counter([Levels() for _ in wanted], rows=sum(sizes[: groups[0]]) if groups else 0)
    with pq.ParquetFile(path, read_dictionary=wanted, pre_buffer=False, buffer_size=1 << 20) as file:
        for batch in file.iter_batches(batch_size=BATCH, row_groups=groups, columns=wanted, use_threads=False):
            counter.add([_cells(batch.column(name)) for name in wanted])
    return counter


def _cells(column: pa.Array) -> Cells:
    if pa.types.is_integer(column.type) and (found := _small_integers(column)) is not None:
        return found
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column)
    codes, nulls = column.indices, column.indices.null_count > 0
    if nulls:
        codes = pc.fill_null(codes.cast(pa.int32()), len(column.dictionary))
    return Cells(column.dictionary, codes.to_numpy(zero_copy_only=False), nulls)


def _small_integers(column: pa.Array) -> Cells | None:
    """Integers less the smallest; None where they span too many."""
    ends = pc.min_max(column).as_py()
    low, high = ends["min"], ends["max"]
    if low is None or high - low >= SPAN:
        return None
    codes = pc.subtract(column, pa.scalar(low, column.type))
    nulls = column.null_count > 0
    if nulls:
        codes = pc.fill_null(codes.cast(pa.int32()), high - low + 1)
    return Cells(pa.array(range(low, high + 1), column.type), codes.to_numpy(zero_copy_only=False), nulls)


def _column(values: pa.Array | None, codes: Codes) -> pa.Array:
    """Codes with 0 for null as a dictionary column."""
    indices = pa.array(codes - 1, mask=codes == 0)
    if values is None or pa.types.is_dictionary(values.type):
        return pa.array([None] * len(codes), pa.string())
    return pa.DictionaryArray.from_arrays(indices, values)


def parquet_shape(path: Path) -> tuple[int, tuple[str, ...]] | None:
    """Rows and column names of a Parquet file; None for other files, and for those that cannot be read."""
    if path.suffix.lower() not in {".parquet", ".pq"} or not path.is_file():
        return None
    try:
        with pq.ParquetFile(path) as file:
            return file.metadata.num_rows, tuple(file.schema_arrow.names)
    except (pa.ArrowException, OSError):
        return None
