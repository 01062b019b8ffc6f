"""D005: the same image file in more than one split, so that the model is judged on what it learned."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from pydantic import Field

from imgid_audit.checks.base import Check, CheckContext, Outcome, found, listed, not_applicable, passed, skipped
from imgid_audit.core.manifest import SPLITS, Status
from imgid_audit.io.settings import Settings


class Params(Settings):
    """How many shared images pass."""

    max_images: int = Field(0, ge=0, description="distinct images in more than one split, at most")


def run(context: CheckContext, params: Params) -> Outcome:
    """Counts distinct file contents (SHA-256) that occur in two splits or more.

    Images that were saved again, resized or cropped are not recognised: their bytes differ.
    """
    manifest, hashes = context.manifest, context.image_sha256
    if manifest.images is None:
        return not_applicable("there are no images, predictions alone")
    used = manifest.status != Status.EXCLUDED
    if len(np.unique(manifest.split.codes[used])) < 2:
        return not_applicable("there is one split alone")
    if hashes is None:
        return skipped("the images were not read")
    rows = np.flatnonzero(used & np.array([digest is not None for digest in hashes], dtype=bool))
    if not len(rows):
        return skipped("no image could be read")
    content = np.unique(hashes[rows].astype(str), return_inverse=True)[1]
    present = np.zeros((int(content.max()) + 1, len(SPLITS)), dtype=bool)
    present[content, manifest.split.codes[rows]] = True
    shared = np.flatnonzero(present.sum(axis=1) > 1)
    pairs = {
        f"{SPLITS[a]}, {SPLITS[b]}": int(np.count_nonzero(present[:, a] & present[:, b]))
        for a, b in combinations(range(len(SPLITS)), 2)
    }
    # Row numbers and no ids: findings are published, and ids may name people.
    examples = (rows[np.isin(content, shared)] + 1)[:10].tolist()
    evidence = {"images": len(present), "shared": len(shared), "unread": int(used.sum()) - len(rows)}
    if len(shared) <= params.max_images:
        return passed(f"{len(shared)} of {len(present)} distinct images are in more than one split", **evidence)
    told = [f"{count} in {pair.replace(', ', ' and ')}" for pair, count in pairs.items() if count]
    reason = f"{len(shared)} of {len(present)} distinct images are in more than one split: {listed(told)}"
    return found(reason, pairs={pair: n for pair, n in pairs.items() if n}, example_rows=examples, **evidence)


CHECK = Check(
    name="D005",
    title="Images shared between splits",
    summary="files with the same bytes in more than one split",
    severity="high",
    Params=Params,
    run=run,
    tells="nothing",
)
