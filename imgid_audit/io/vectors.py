"""Vectors kept under names, in parts whose own file names tell whether they are whole.

A pass that is killed loses at most the part that it was working on. A part is called by its number and
by the hash of its bytes, so one that is damaged is known without a ledger, and computed again.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from imgid_audit.core.factor import Texts
from imgid_audit.io import atomic
from imgid_audit.io.kept import table_of

FORMAT = 1
_PART = re.compile(r"(\d{6})-([0-9a-f]{32})\.parquet")
_META = "meta.json"
_NAME, _REASON, _VALUES = "name", "reason", "values"


class VectorStore:
    """Vectors of `width` float32 numbers, each under a name, or the reason why there is none.

    They lie in a folder of their own below `folder`, named by the hash of `plan`: all that they are
    computed from besides what the names stand for. Opening checks every part and deletes those that
    are damaged, whose names are then not known any more. The caller holds the run folder's lock.
    """

    def __init__(self, folder: Path, plan: Mapping[str, Any], width: int) -> None:
        plain = {"format": FORMAT, "width": width, **plan}
        key = hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()
        self.folder = folder / key[:32]
        self._width = width
        self._files: dict[int, str] = {}
        self._place: dict[str, tuple[int, int]] = {}
        self._meta: dict[str, Any] = {"plan": plain}
        self._open()

    def __contains__(self, name: object) -> bool:
        return name in self._place

    @property
    def meta(self) -> Mapping[str, Any]:
        """Small JSON values kept beside the vectors, such as the batch size in use."""
        return self._meta

    def set_meta(self, name: str, value: Any) -> None:
        self._meta[name] = value
        atomic.write_json(self.folder / _META, self._meta)

    def write(self, names: Sequence[str], values: NDArray[np.float32], reasons: Texts) -> None:
        """Keep one part: `names` (m,), `values` (m, width), `reasons` (m,) with '' for a vector that is good."""
        data = _to_parquet(names, values, reasons)
        number = next(number for number in range(len(self._files) + 1) if number not in self._files)
        file = f"{number:06d}-{hashlib.sha256(data).hexdigest()[:32]}.parquet"
        atomic.write_bytes(self.folder / file, data)
        self._enter(number, file, names)

    def read(self, names: Sequence[str]) -> tuple[NDArray[np.float32], Texts]:
        """`(values (n, width), reasons (n,))` of names that are known; KeyError names one that is not."""
        places = np.array([self._place[name] for name in names], dtype=np.int64).reshape(-1, 2)
        values = np.empty((len(places), self._width), dtype=np.float32)
        reasons: Texts = np.full(len(places), "", dtype=object)
        for number in np.unique(places[:, 0]).tolist():
            table = table_of((self.folder / self._files[number]).read_bytes())
            mine = places[:, 0] == number
            values[mine] = _values(table, self._width)[places[mine, 1]]
            reasons[mine] = np.array(table.column(_REASON).to_pylist(), dtype=object)[places[mine, 1]]
        return values, reasons

    def _open(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.glob("*.parquet")):
            named = _PART.fullmatch(path.name)
            data = path.read_bytes()
            if named is None or int(named[1]) in self._files or hashlib.sha256(data).hexdigest()[:32] != named[2]:
                path.unlink()
                continue
            self._enter(int(named[1]), path.name, table_of(data).column(_NAME).to_pylist())
        try:
            meta = json.loads((self.folder / _META).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            meta = None
        if isinstance(meta, dict) and meta.get("plan") == self._meta["plan"]:
            self._meta = meta
        atomic.remove_leftovers(self.folder)

    def _enter(self, number: int, file: str, names: Iterable[str]) -> None:
        self._files[number] = file
        self._place.update({name: (number, at) for at, name in enumerate(names)})


def _to_parquet(names: Sequence[str], values: NDArray[np.float32], reasons: Texts) -> bytes:
    flat = pa.array(np.ascontiguousarray(values, dtype=np.float32).ravel())
    table = pa.table(
        {
            _NAME: pa.array(list(names), pa.string()),
            _REASON: pa.array(list(reasons), pa.string()),
            _VALUES: pa.FixedSizeListArray.from_arrays(flat, values.shape[1]),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="none", use_dictionary=False, version="2.6")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _values(table: pa.Table, width: int) -> NDArray[np.float32]:
    column = table.column(_VALUES).combine_chunks()
    values: NDArray[np.float32] = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
    return values
