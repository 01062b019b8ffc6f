"""How factors and their levels are kept in Parquet files of a run: codes or texts, and JSON metadata.

Equal values give equal bytes: compression and format version are fixed, and no time is stored.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes, Factor

_META = b"imgid-audit"


def to_parquet(columns: dict[str, pa.Array], meta: dict[str, Any]) -> bytes:
    """A Parquet file as bytes, with `meta` as JSON in its metadata."""
    text = json.dumps(meta, sort_keys=True, ensure_ascii=False)
    table = pa.table(columns).replace_schema_metadata({_META: text.encode()})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", version="2.6")
    data: bytes = sink.getvalue().to_pybytes()
    return data


def table_of(data: bytes) -> pa.Table:
    """The table in a Parquet file's bytes, read on this thread alone.

    `pq.read_table` hands the buffer to Arrow's own threads, and one that lets go of a Python object
    while the interpreter exits aborts the process (apache/arrow#34314).
    """
    with pq.ParquetFile(pa.BufferReader(data), pre_buffer=False) as file:
        return file.read(use_threads=False)


def from_parquet(data: bytes, source: str, format_version: int) -> tuple[pa.Table, dict[str, Any]]:
    """The table and its metadata; `InputError` where the file is damaged or of another version."""
    try:
        table = table_of(data)
        meta = json.loads((table.schema.metadata or {})[_META])
    except (pa.ArrowException, OSError, KeyError, ValueError) as error:
        raise InputError(Problem(source, "is damaged, or no file of a run: run the audit again")) from error
    if not isinstance(meta, dict) or meta.get("format") != format_version:
        found = meta.get("format") if isinstance(meta, dict) else None
        raise InputError(Problem(source, f"has format {found}, this version reads {format_version}: run again"))
    return table, meta


def texts_column(factor: Factor) -> pa.Array:
    """The factor's texts (dictionary-encoded), null where the code is -1."""
    codes = pa.array(factor.codes, mask=factor.codes < 0)
    return pa.DictionaryArray.from_arrays(codes, pa.array(list(factor.levels), pa.string()))


def codes_of(column: pa.ChunkedArray, levels: tuple[str, ...]) -> Codes:
    """Codes of a column of texts among `levels`, -1 where null."""
    texts = column.cast(pa.string())
    codes = pc.index_in(texts, pa.array(list(levels), pa.string())).fill_null(-1)
    found: Codes = codes.to_numpy().astype(np.int32)
    return found
