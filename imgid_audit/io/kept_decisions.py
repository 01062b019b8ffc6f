"""``cells.parquet``: the evaluated rows as codes, so that a policy can be applied again.

Without scores, rows that are alike are one row with a count: these are the cells that every metric
is computed from. With scores each row stands for itself.
"""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Factor
from imgid_audit.core.predictions import Decisions, OperatingPoint, Scores
from imgid_audit.core.task import Task
from imgid_audit.io.kept import from_parquet, to_parquet

FORMAT = 1


def to_bytes(decisions: Decisions) -> bytes:
    """Parquet of codes (int32): label, predicted, subject, ``attribute:<name>``; `n` or `scores`.

    Task, levels and operating point stand in the metadata. `scores` is a list of one float64 a class.
    """
    factors = _factors(decisions)
    codes = {"label": decisions.label, "predicted": decisions.predicted}
    codes |= {column: factor.codes for column, factor in factors.items()}
    columns: dict[str, pa.Array] = {}
    if decisions.scores is None:
        sizes = [len(decisions.task.labels)] * 2 + [len(factor.levels) for factor in factors.values()]
        distinct, counts = _distinct(list(codes.values()), sizes)
        columns["n"] = pa.array(counts)
        codes = dict(zip(codes, distinct, strict=True))
    else:
        flat = pa.array(np.ascontiguousarray(decisions.scores, dtype=np.float64).ravel())
        columns["scores"] = pa.FixedSizeListArray.from_arrays(flat, len(decisions.task.labels))
    columns |= {name: pa.array(np.asarray(column, dtype=np.int32)) for name, column in codes.items()}
    point = decisions.operating_point
    meta = {
        "format": FORMAT,
        "task": asdict(decisions.task),
        "operating_point": None if point is None else asdict(point),
        "factors": [[column, factor.name, list(factor.levels)] for column, factor in factors.items()],
    }
    return to_parquet(columns, meta)


def from_bytes(data: bytes, source: str) -> Decisions:
    """The decisions that `to_bytes` wrote: exact, but for the order of rows where there are no scores."""
    table, meta = from_parquet(data, source, FORMAT)
    task = Task(meta["task"]["kind"], tuple(meta["task"]["labels"]), meta["task"]["positive"])
    repeats = table.column("n").to_numpy() if "n" in table.column_names else None

    def codes(column: str) -> Codes:
        values: Codes = table.column(column).to_numpy()
        return values if repeats is None else np.repeat(values, repeats)

    factors = {column: Factor(name, tuple(levels), codes(column)) for column, name, levels in meta["factors"]}
    point = meta["operating_point"]
    return Decisions(
        task=task,
        label=codes("label"),
        predicted=codes("predicted"),
        scores=_scores(table, len(task.labels)),
        subject=factors.pop("subject", None),
        attributes=tuple(factors.values()),
        operating_point=None if point is None else OperatingPoint(**point),
    )


def _factors(decisions: Decisions) -> dict[str, Factor]:
    factors = {f"attribute:{factor.name}": factor for factor in decisions.attributes}
    return factors if decisions.subject is None else {"subject": decisions.subject, **factors}


def _scores(table: pa.Table, classes: int) -> Scores | None:
    if "scores" not in table.column_names:
        return None
    flat: NDArray[Any] = table.column("scores").combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, classes)


def _distinct(columns: list[Codes], sizes: list[int]) -> tuple[list[NDArray[Any]], NDArray[np.int64]]:
    """Distinct combinations in sorted order, one array a column, and how many rows have each."""
    if math.prod(max(size, 1) for size in sizes) < 2**62:
        keys = np.zeros(len(columns[0]), dtype=np.int64)
        for column, size in zip(columns, sizes, strict=True):
            keys = keys * max(size, 1) + column
        _, first, counts = np.unique(keys, return_index=True, return_counts=True)
        return [column[first] for column in columns], counts
    rows, counts = np.unique(np.stack(columns, axis=1), axis=0, return_counts=True)
    return list(rows.T), counts
