"""D002: groups that have too few evaluated rows, or too few of some label, to say much about them."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, listed, not_applicable, passed
from imgid_audit.core.factor import Codes, Counts, Factor, tally
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When a group is small."""

    min_rows: int | None = Field(None, ge=1, description="rows that a group needs; default: policy.min_support")


def run(context: CheckContext, params: Params) -> Outcome:
    """Rows of each level, and of each label within it, on the test split (the predicted rows, once there are any)."""
    labels, attributes, count = _evaluated(context)
    if not attributes:
        return not_applicable("no attributes are declared")
    if not len(labels):
        return not_applicable("no row is evaluated")
    least = params.min_rows or context.min_support
    names = context.task.labels
    sizes: dict[str, dict[str, int]] = {}
    short: dict[str, dict[str, dict[str, int]]] = {}
    small: list[str] = []
    thin: list[str] = []
    for factor in attributes:
        keys = factor.codes.astype(np.int64) * len(names) + labels
        counts = tally(keys, len(factor.levels) * len(names), count).reshape(-1, len(names))
        sizes[factor.name] = dict(zip(factor.levels, counts.sum(axis=1).tolist(), strict=True))
        for level, row in zip(factor.levels, counts, strict=True):
            n = int(row.sum())
            few = {names[i]: int(row[i]) for i in np.flatnonzero(row < least)}
            if n < least:
                small.append(f"{factor.name} = {level} ({n})")
            elif few:
                thin.append(f"{factor.name} = {level} ({min(few.values())} of {min(few, key=lambda k: few[k])})")
            if few:
                short.setdefault(factor.name, {})[level] = few
    evidence = {"min_rows": least, "rows": sizes, "labels_below": short}
    if not small and not thin:
        return passed(f"every level has {least} or more evaluated rows of every label", **evidence)
    sentences = [f"levels with fewer than {least} evaluated rows: {listed(small)}"] if small else []
    sentences += [f"levels with fewer than {least} rows of some label: {listed(thin)}"] if thin else []
    return found("; ".join(sentences), **evidence)


def _evaluated(context: CheckContext) -> tuple[Codes, tuple[Factor, ...], Counts | None]:
    """Labels, attributes and counts of the evaluated entries."""
    if context.decisions is not None:
        return context.decisions.label, context.decisions.attributes, context.decisions.count
    manifest = context.manifest
    rows = manifest.rows("test")
    attributes = tuple(factor.take(rows) for factor in manifest.attributes)
    return manifest.label.codes[rows], attributes, manifest.counted(rows)


CHECK = Check(
    name="D002",
    title="Small groups",
    summary="levels with too few evaluated rows, or too few of some label",
    severity="medium",
    Params=Params,
    run=run,
    tells="attributes",
)
