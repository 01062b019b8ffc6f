"""D004: attributes that go along with the label, or with one another, so that a gap may not be theirs."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from pydantic import Field

from imgid_audit.checks.association import contingency, cramers_v
from imgid_audit.checks.base import Check, CheckContext, Outcome, found, listed, not_applicable, passed, skipped
from imgid_audit.core.manifest import Status
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When two columns go together."""

    max_v: float = Field(0.3, ge=0, le=1, description="largest bias-corrected Cramér's V that passes")


def run(context: CheckContext, params: Params) -> Outcome:
    """Bias-corrected Cramér's V of each attribute with the label and with each other attribute.

    Over all rows that are not excluded; `(missing)` is a level like any other, for that metadata is
    missing may itself go along with the label.
    """
    manifest = context.manifest
    if not manifest.attributes:
        return not_applicable("no attributes are declared")
    rows = np.flatnonzero(manifest.status != Status.EXCLUDED)
    if manifest.size(rows) < 3:
        return skipped(f"{manifest.size(rows)} rows are too few to tell")
    units = None if manifest.subject is None else len(np.unique(manifest.subject.codes[rows]))
    count = manifest.counted(rows)
    factors = [manifest.label, *manifest.attributes]
    pairs: list[dict[str, Any]] = []
    for a, b in combinations(range(len(factors)), 2):
        value = cramers_v(contingency(factors[a].codes[rows], factors[b].codes[rows], count), units)
        names = ["label" if i == 0 else factors[i].name for i in (a, b)]
        pairs.append({"columns": names, "cramers_v": value})
    evidence = {"pairs": pairs, "max_v": params.max_v}
    defined = [pair for pair in pairs if pair["cramers_v"] is not None]
    if not defined:
        return skipped("no two columns vary enough to be compared")
    strong = sorted((p for p in defined if p["cramers_v"] > params.max_v), key=lambda p: -p["cramers_v"])
    if not strong:
        return passed(f"no two columns have a Cramér's V above {params.max_v:g}", **evidence)
    told = [f"{pair['columns'][0]} and {pair['columns'][1]} (V = {pair['cramers_v']:.2f})" for pair in strong]
    reason = f"columns go together, so a gap seen in one may belong to the other: {listed(told)}"
    return found(reason, **evidence)


CHECK = Check(
    name="D004",
    title="Confounded columns",
    summary="Cramér's V of each attribute with the label and with each other attribute",
    severity="medium",
    Params=Params,
    run=run,
    tells="pairs",
)
