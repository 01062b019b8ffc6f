"""The evaluated rows of a run with their ids, put together from what its folder keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.factor import Codes
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions
from imgid_audit.evaluation.pairing import NamedRows
from imgid_audit.io.run_folder import RunFolder


def read_rows(folder: RunFolder, sha256: str) -> NamedRows:
    """The rows behind ``cells.parquet``, whose hash is `sha256`, with the ids of ``manifest.parquet``.

    Raises `InputError` where a file is missing or damaged, the two do not belong together, or the
    rows are not kept one by one (a large table, or an older version's run of labels without scores).
    """
    kept = folder.read_decisions(sha256)
    source = str(folder.manifest)
    manifest = folder.read_manifest()
    predicted, images = folder.read_answers(kept.task.labels)
    rows = manifest.rows("test")
    rows = rows[(manifest.status[rows] == Status.PREDICTED) & (manifest.label.codes[rows] >= 0)]
    if manifest.count is not None or len(rows) != kept.rows:
        message = (
            f"keeps {len(rows):,} entries for {kept.rows:,} evaluated rows: without each row's id nothing is paired"
        )
        raise InputError(Problem(source, message))
    if kept.scores is None:
        if predicted is None:
            message = "lacks the column `predicted`, which older versions did not keep: evaluate the run again"
            raise InputError(Problem(source, message))
        decisions = _from_manifest(kept, manifest, rows, predicted[rows])
        same = _alike(decisions.distinct(), kept.distinct())
    else:
        decisions = kept
        same = np.array_equal(kept.label, manifest.label.codes[rows])
    if not same:
        raise InputError(Problem(source, "does not belong to the cells beside it: evaluate the run again"))
    return NamedRows(manifest.ids[rows], decisions, None if images is None else images[rows])


def _from_manifest(kept: Decisions, manifest: Manifest, rows: NDArray[np.intp], predicted: Codes) -> Decisions:
    """The rows as the manifest has them, decided by what `kept` was decided by."""
    subject = None if kept.subject is None or manifest.subject is None else manifest.subject.take(rows)
    names = [factor.name for factor in kept.attributes]
    return replace(
        kept,
        label=manifest.label.codes[rows],
        predicted=predicted,
        subject=subject,
        attributes=tuple(factor.take(rows) for factor in manifest.attributes if factor.name in names),
        count=None,
    )


def _alike(one: Decisions, other: Decisions) -> bool:
    """Whether two sorted decisions have the same distinct rows, each as often."""

    def columns(of: Decisions) -> list[NDArray[Any]]:
        factors = [*([] if of.subject is None else [of.subject]), *of.attributes]
        counts = np.ones(len(of), dtype=np.int64) if of.count is None else of.count
        return [of.label, of.predicted, counts, *(factor.codes for factor in factors)]

    pairs = columns(one), columns(other)
    return len(pairs[0]) == len(pairs[1]) and all(map(np.array_equal, *pairs))
