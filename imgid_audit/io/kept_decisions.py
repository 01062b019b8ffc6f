"""``cells.parquet``: the evaluated rows as codes, so that a policy can be applied again.

Without scores, rows that are alike are one row with a count: these are the cells that every metric
is computed from. With scores each row stands for itself.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from imgid_audit.core.factor import Codes, Factor
from imgid_audit.core.predictions import Costs, Decisions, OperatingPoint, Scores
from imgid_audit.core.task import Task
from imgid_audit.io.kept import from_parquet, to_parquet

FORMAT = 1


def to_bytes(decisions: Decisions) -> bytes:
    """Parquet of codes (int32): label, predicted, subject, ``attribute:<name>``; `n` or `scores`.

    Task, levels, operating point and costs stand in the metadata. `scores` is a list of one float64 a class.
    """
    decisions = decisions.distinct()
    factors = _factors(decisions)
    codes = {"label": decisions.label, "predicted": decisions.predicted}
    codes |= {column: factor.codes for column, factor in factors.items()}
    columns: dict[str, pa.Array] = {}
    if decisions.scores is None:
        columns["n"] = pa.array(decisions.count)
    else:
        flat = pa.array(np.ascontiguousarray(decisions.scores, dtype=np.float64).ravel())
        columns["scores"] = pa.FixedSizeListArray.from_arrays(flat, len(decisions.task.labels))
    columns |= {name: pa.array(np.asarray(column, dtype=np.int32)) for name, column in codes.items()}
    point = decisions.operating_point
    meta = {
        "format": FORMAT,
        "task": asdict(decisions.task),
        "operating_point": None if point is None else asdict(point),
        "costs": None if decisions.costs is None else decisions.costs.table,
        "factors": [[column, factor.name, list(factor.levels)] for column, factor in factors.items()],
    }
    return to_parquet(columns, meta)


def from_bytes(data: bytes, source: str) -> Decisions:
    """The decisions that `to_bytes` wrote: exact; without scores as `Decisions.distinct` has them."""
    table, meta = from_parquet(data, source, FORMAT)
    task = Task(meta["task"]["kind"], tuple(meta["task"]["labels"]), meta["task"]["positive"])

    def codes(column: str) -> Codes:
        values: Codes = table.column(column).to_numpy()
        return values

    factors = {column: Factor(name, tuple(levels), codes(column)) for column, name, levels in meta["factors"]}
    point, costs = meta["operating_point"], meta.get("costs")
    return Decisions(
        task=task,
        label=codes("label"),
        predicted=codes("predicted"),
        scores=_scores(table, len(task.labels)),
        subject=factors.pop("subject", None),
        attributes=tuple(factors.values()),
        operating_point=None if point is None else OperatingPoint(**point),
        costs=None if costs is None else Costs(tuple(map(tuple, costs))),
        count=table.column("n").to_numpy() if "n" in table.column_names else None,
    )


def _factors(decisions: Decisions) -> dict[str, Factor]:
    factors = {f"attribute:{factor.name}": factor for factor in decisions.attributes}
    return factors if decisions.subject is None else {"subject": decisions.subject, **factors}


def _scores(table: pa.Table, classes: int) -> Scores | None:
    if "scores" not in table.column_names:
        return None
    flat: NDArray[Any] = table.column("scores").combine_chunks().flatten().to_numpy()
    return flat.reshape(-1, classes)
