"""An audit of predictions in memory: no run folder, no lock, nothing written."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgid_audit.config import Config
from imgid_audit.core.errors import raise_all
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AuditResult
from imgid_audit.io.content import hash_file
from imgid_audit.io.predictions import interpret, read_predictions
from imgid_audit.io.settings import PredictionsSettings
from imgid_audit.io.tables import frame_table
from imgid_audit.pipeline.assessing import assess
from imgid_audit.pipeline.baseline import earlier, open_baseline, with_baseline
from imgid_audit.pipeline.deciding import require_few_unpredicted
from imgid_audit.pipeline.inputs import Inputs
from imgid_audit.pipeline.job import epoch
from imgid_audit.pipeline.unmet import unmet

if TYPE_CHECKING:
    import pandas as pd


def evaluate_table(table: pd.DataFrame | str | Path, config: Config) -> tuple[AuditResult, Decisions]:
    """The audit of a table of predictions. Raises `InputError` with everything that is wrong with it.

    `StoppedError` where more rows than ``predictions.max_failed`` allows have no prediction.
    """
    began, now = time.monotonic(), datetime.now(UTC)
    task = config.task
    asked: dict[str, Any] = {"kind": task.type, "positive": task.positive, "labels": task.labels}
    if isinstance(table, str | Path):
        stream = None if config.predictions is None else config.predictions.stream
        settings = PredictionsSettings(table=str(Path(table).resolve()), stream=stream)
        read = read_predictions(settings, config.data, config.folder, **asked)
        roles: tuple[str, ...] = ("predictions", "manifest")
    else:
        read = interpret(frame_table(table), config.data, config.folder, **asked)
        roles = ("manifest",)
    hashes = dict(zip(roles, map(hash_file, read.paths), strict=False))
    inputs = Inputs(read.task, read.manifest, read.predictions, read.notes, read.columns, hashes, None, config.folder)
    raise_all(unmet(config, inputs.task, inputs.manifest, inputs.brought))
    if config.predictions is not None:
        require_few_unpredicted(config.predictions, inputs.manifest, read.predictions)
    place = {"epoch": epoch(now).isoformat(), "seconds": round(time.monotonic() - began, 3)}
    opened = open_baseline(config, inputs.task)
    before = None if opened is None else earlier(opened)
    result, decisions = assess(config, inputs, read.predictions, None, place, before)
    return with_baseline(result, opened), decisions
