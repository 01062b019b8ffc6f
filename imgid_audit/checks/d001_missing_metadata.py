"""D001: attributes whose level is missing in a large share of the rows."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, listed, not_applicable, passed, percent
from imgid_audit.core.factor import MISSING
from imgid_audit.core.manifest import Status
from imgid_audit.io.settings import Settings


class Params(Settings):
    """When missing metadata is worth a finding."""

    max_share: float = Field(0.05, ge=0, lt=1, description="largest share of (missing) that passes")


def run(context: CheckContext, params: Params) -> Outcome:
    """Share of `(missing)` for each attribute, over all rows that are not excluded."""
    manifest = context.manifest
    if not manifest.attributes:
        return not_applicable("no attributes are declared")
    rows = np.flatnonzero(manifest.status != Status.EXCLUDED)
    if not len(rows):
        return not_applicable("no row is left to look at")
    total = manifest.size(rows)
    shares: dict[str, dict[str, float | int]] = {}
    for factor in manifest.attributes:
        code = factor.levels.index(MISSING) if MISSING in factor.levels else -1
        missing = manifest.size(rows[factor.codes[rows] == code])
        shares[factor.name] = {"missing": missing, "rows": total, "share": missing / total}
    bad = {name: share for name, share in shares.items() if share["share"] > params.max_share}
    if not bad:
        return passed(
            f"no attribute is missing in more than {percent(params.max_share)} of the rows", attributes=shares
        )
    told = [f"{name} in {percent(s['share'])} of the rows ({s['missing']} of {s['rows']})" for name, s in bad.items()]
    return found(f"metadata is missing: {listed(told)}", attributes=shares)


CHECK = Check(
    name="D001",
    title="Missing metadata",
    summary="share of (missing) in each attribute",
    severity="medium",
    Params=Params,
    run=run,
    tells="attributes",
)
