"""Training by several processes that torchrun started: the first does everything, the others train with it.

The first process holds the run folder, searches, predicts and reports as ever; of the network that is audited
each process trains its share (`vision.distributed`). Every further network, of a search, a study or a comparison, is
the first process's alone.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from imgid_audit.config import Config
from imgid_audit.core.progress import SILENT
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import steps
from imgid_audit.pipeline.inputs import read_inputs
from imgid_audit.pipeline.job import Job, epoch, job_key, run_path, stop_on_signals
from imgid_audit.vision.distributed import announced, joined


def follows() -> bool:
    """Whether this is one of torchrun's further processes. Raises `InputError` where its environment is not whole."""
    return not announced().first


def follow(config: Config, *, out: Path | None = None) -> Path:
    """Train with the first process, write nothing, and return the run folder when the training is done.

    Nothing is left to do where the config trains nothing. Raises as `train` does.
    """
    began, now = time.monotonic(), datetime.now(UTC)
    inputs = read_inputs(config)
    key = job_key(config, inputs)
    path = run_path(config, key, out)
    if config.trains:
        # Signals are heard once the first process is here: until then torchrun may end this one at once.
        with joined(config.train.device), stop_on_signals() as stop:
            steps.train_step(Job(config, inputs, RunFolder(path), key, epoch(now), began, SILENT, stop))
    return path
