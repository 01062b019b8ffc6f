"""D006: splits that are very small, or in which a label never occurs."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, listed, not_applicable, passed
from imgid_audit.core.manifest import SPLITS
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When a split is too small."""

    min_rows: int = Field(30, ge=1, description="rows that every split in use needs")


def run(context: CheckContext, params: Params) -> Outcome:
    """Rows and labels of each split that has any; an empty test split is always a finding."""
    manifest = context.manifest
    rows = {split: manifest.rows(split) for split in SPLITS}
    used = {split: index for split, index in rows.items() if len(index)}
    if not used:
        return not_applicable("no row is left to look at")
    names = manifest.label.levels
    labels: dict[str, dict[str, int]] = {}
    told: list[str] = [] if "test" in used else ["test has no rows"]
    for split, index in used.items():
        size = manifest.size(index)
        counts = manifest.label.take(index).counts(manifest.counted(index))
        labels[split] = dict(zip(names, counts.tolist(), strict=True))
        if size < params.min_rows:
            told.append(f"{split} has {size} rows")
        absent = [names[i] for i in np.flatnonzero(counts == 0)]
        if absent:
            told.append(f"{split} has no {', '.join(absent)}")
    evidence = {"min_rows": params.min_rows, "labels": labels}
    if told:
        return found(f"splits that cannot serve: {listed(told)}", **evidence)
    sizes = ", ".join(f"{split} {manifest.size(index)}" for split, index in used.items())
    return passed(f"every split has every label, and {params.min_rows} rows or more: {sizes}", **evidence)


CHECK = Check(
    name="D006",
    title="Split coverage",
    summary="rows and labels of each split",
    severity="high",
    Params=Params,
    run=run,
    tells="labels",
)
