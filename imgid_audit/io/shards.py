"""Durable shards of predictions: a fixed plan, one Parquet file a shard, a ledger of hashes.

A run killed at any point loses at most the shard it was working on. A shard counts as done when
the ledger holds the hash of its bytes; a shard without that is removed on opening.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io import atomic
from imgid_audit.io.kept import table_of

FORMAT = 1
LEDGER = "ledger.json"
ROW = "row"
"""Name of the column that every shard has besides those given: the row indices of the manifest."""


class ShardStore:
    """Columns of `rows` kept as shards of at most `shard_rows` rows in `folder`.

    - `key` names what the shards were computed from; a folder that holds another key, or the same
      key with another plan, raises `InputError` and is left as it is
    - `rows` (n,): row indices of the manifest, in the order of the plan

    Opening verifies every shard that the ledger names: one that is gone or whose bytes differ is
    dropped (its index is in `discarded` and again in `missing()`); shards that the ledger does not
    name, and temporary files, are deleted, files of other names are none of ours. The caller holds
    the run folder's lock.
    """

    def __init__(self, folder: Path, key: str, rows: NDArray[Any], shard_rows: int) -> None:
        if shard_rows < 1:
            raise ValueError(f"shard_rows must be 1 or more, got {shard_rows}")
        self.folder = folder
        self._rows = np.ascontiguousarray(rows, dtype=np.int64)
        self._shard_rows = shard_rows
        self._plan = {
            "format": FORMAT,
            "key": key,
            "rows": len(self._rows),
            "rows_sha256": hashlib.sha256(self._rows.astype("<i8").tobytes()).hexdigest(),
            "shard_rows": shard_rows,
        }
        self._shards: dict[int, dict[str, Any]] = {}
        self._meta: dict[str, Any] = {}
        self.discarded: tuple[int, ...] = ()
        self._open()

    def __len__(self) -> int:
        """Number of shards of the plan; 0 where there are no rows."""
        return -(-len(self._rows) // self._shard_rows)

    def missing(self) -> list[int]:
        """Indices of the shards that are still to be written, ascending."""
        return [index for index in range(len(self)) if index not in self._shards]

    def rows(self, index: int) -> NDArray[np.int64]:
        """Row indices of shard `index`, shape (at most `shard_rows`,)."""
        if not 0 <= index < len(self):
            raise IndexError(f"shard {index} of {len(self)}")
        return self._rows[index * self._shard_rows : (index + 1) * self._shard_rows]

    @property
    def meta(self) -> dict[str, Any]:
        """A copy of the small JSON values kept with the shards, such as the batch size in use."""
        return dict(self._meta)

    def set_meta(self, name: str, value: Any) -> None:
        """Keep a JSON value in the ledger, durably."""
        self._meta[name] = value
        self._write_ledger()

    def write(self, index: int, columns: Mapping[str, NDArray[Any]]) -> None:
        """Keep the columns of shard `index`: file first, then its hash in the ledger.

        Columns have one entry a row of `rows(index)`: numbers or booleans of shape (m,), texts as
        objects (m,) with None allowed, or numbers of shape (m, k). Equal columns give equal bytes.
        """
        rows = self.rows(index)
        data = _to_parquet({ROW: rows, **columns}, len(rows))
        name = f"{index:06d}.parquet"
        atomic.write_bytes(self.folder / name, data)
        self._shards[index] = {"file": name, "rows": len(rows), "sha256": hashlib.sha256(data).hexdigest()}
        self._write_ledger()

    def read(self) -> dict[str, NDArray[Any]]:
        """All columns, and `ROW`, in the order of the plan; every file is verified again.

        Without rows there are no columns. Raises `InputError` where shards are missing or changed.
        """
        if missing := self.missing():
            raise InputError(
                Problem(str(self.folder), f"{len(missing)} of {len(self)} shards are missing: predict again to resume")
            )
        parts = [self._read_shard(index) for index in range(len(self))]
        if not parts:
            return {}
        if any(list(part) != list(parts[0]) for part in parts):
            raise InputError(Problem(str(self.folder), "shards differ in their columns: remove the folder"))
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def digest(self) -> str:
        """One sha256 over the shards' hashes in order: names these very predictions."""
        hashes = "\n".join(self._shards[index]["sha256"] for index in sorted(self._shards))
        return hashlib.sha256(hashes.encode()).hexdigest()

    def _read_shard(self, index: int) -> dict[str, NDArray[Any]]:
        entry = self._shards[index]
        path = self.folder / entry["file"]
        data = _bytes_of(path)
        if data is None or hashlib.sha256(data).hexdigest() != entry["sha256"]:
            raise InputError(Problem(str(path), "does not match its ledger: predict again to redo this shard"))
        columns = _from_parquet(data)
        if not np.array_equal(columns[ROW], self.rows(index)):
            raise InputError(Problem(str(path), "holds other rows than the plan: remove the folder"))
        return columns

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / LEDGER
        if path.exists():
            ledger = _load_ledger(path)
            self._refuse_other(ledger)
            self._meta = ledger["meta"]
            found = {int(index): entry for index, entry in ledger["shards"].items()}
            self._shards = {i: entry for i, entry in sorted(found.items()) if self._matches(entry)}
            self.discarded = tuple(sorted(set(found) - set(self._shards)))
        # The ledger forgets a bad shard before its file goes, so that a kill in between loses nothing.
        if self.discarded or not path.exists():
            self._write_ledger()
        named = {entry["file"] for entry in self._shards.values()}
        for stray in self.folder.glob("[0-9]" * 6 + ".parquet"):
            if stray.name not in named:
                stray.unlink()
        atomic.remove_leftovers(self.folder)

    def _refuse_other(self, ledger: Mapping[str, Any]) -> None:
        differing = [name for name, value in self._plan.items() if ledger[name] != value]
        if differing:
            found = ", ".join(f"{name} {ledger[name]!r} and not {self._plan[name]!r}" for name in differing)
            raise InputError(
                Problem(str(self.folder), f"holds predictions of another run ({found}): name another folder with --out")
            )

    def _matches(self, entry: Mapping[str, Any]) -> bool:
        data = _bytes_of(self.folder / entry["file"])
        return data is not None and hashlib.sha256(data).hexdigest() == entry["sha256"]

    def _write_ledger(self) -> None:
        shards = {str(index): self._shards[index] for index in sorted(self._shards)}
        atomic.write_json(self.folder / LEDGER, {**self._plan, "meta": self._meta, "shards": shards})


def _load_ledger(path: Path) -> dict[str, Any]:
    """The ledger, checked for shape: what stands in it decides which files are deleted."""
    broken = InputError(Problem(str(path), "is not a ledger of predictions: remove its folder to predict again"))
    try:
        ledger = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise broken from error
    wanted = {"format", "key", "rows", "rows_sha256", "shard_rows", "meta", "shards"}
    if not isinstance(ledger, dict) or not wanted <= set(ledger):
        raise broken
    if not isinstance(ledger["meta"], dict) or not isinstance(ledger["shards"], dict):
        raise broken
    for index, entry in ledger["shards"].items():
        whole = isinstance(entry, dict) and {"file", "sha256"} <= set(entry)
        if not whole or not index.isdecimal() or entry["file"] != f"{int(index):06d}.parquet":
            raise broken
    return ledger


def _bytes_of(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _to_parquet(columns: Mapping[str, NDArray[Any]], rows: int) -> bytes:
    arrays = {}
    for name, column in columns.items():
        if len(column) != rows:
            raise ValueError(f"column {name!r} has {len(column)} entries for {rows} rows")
        arrays[name] = _to_arrow(column)
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table(arrays), sink, compression="zstd", version="2.6")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _to_arrow(column: NDArray[Any]) -> pa.Array:
    if column.ndim == 2:
        flat = pa.array(np.ascontiguousarray(column).ravel())
        return pa.FixedSizeListArray.from_arrays(flat, column.shape[1])
    return pa.array(column, type=pa.string() if column.dtype == object else None)


def _from_parquet(data: bytes) -> dict[str, NDArray[Any]]:
    table = table_of(data)
    return {name: _to_numpy(table.column(name)) for name in table.column_names}


def _to_numpy(column: pa.ChunkedArray) -> NDArray[Any]:
    array = column.combine_chunks()
    if pa.types.is_fixed_size_list(array.type):
        width = array.type.list_size
        return array.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    values: NDArray[Any] = array.to_numpy(zero_copy_only=False)
    return values
