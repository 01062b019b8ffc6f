"""D003: labels of very unequal frequency among the rows that a model learns from."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, passed, skipped
from imgid_audit.core.manifest import Status
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When labels are unbalanced."""

    max_ratio: float = Field(10, ge=1, description="most frequent label to rarest, at most")


def run(context: CheckContext, params: Params) -> Outcome:
    """Ratio of the most frequent label to the rarest, on train where there is one, else on all rows."""
    manifest = context.manifest
    train = manifest.rows("train")
    rows = train if len(train) else np.flatnonzero(manifest.status != Status.EXCLUDED)
    where = "train" if len(train) else "all splits"
    if not len(rows):
        return skipped("no row is left to look at")
    counts = manifest.label.take(rows).counts(manifest.counted(rows))
    names = manifest.label.levels
    evidence = {"split": where, "labels": dict(zip(names, counts.tolist(), strict=True)), "max_ratio": params.max_ratio}
    absent = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if absent:
        return found(f"labels without any row in {where}: {', '.join(absent)}", **evidence)
    most, least = int(counts.argmax()), int(counts.argmin())
    ratio = float(counts[most] / counts[least])
    told = f"{names[most]} has {counts[most]} rows and {names[least]} has {counts[least]} in {where}, {ratio:.1f} to 1"
    if ratio > params.max_ratio:
        return found(f"labels are unbalanced: {told}", ratio=ratio, **evidence)
    return passed(told, ratio=ratio, **evidence)


CHECK = Check(
    name="D003",
    title="Class imbalance",
    summary="ratio of the most frequent label to the rarest",
    severity="low",
    Params=Params,
    run=run,
    tells="labels",
)
