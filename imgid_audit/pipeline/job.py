"""A job: a config, its inputs, and the run folder they work on, locked."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.progress import Progress
from imgid_audit.io.lock import RunLock
from imgid_audit.io.run_folder import RunFolder, run_key, slug
from imgid_audit.io.run_parts import note_parts, refuse_other
from imgid_audit.pipeline.inputs import Inputs, read_inputs
from imgid_audit.vision.distributed import announced
from imgid_audit.vision.search.claims import alone as one_at_a_time

SHORT_KEY = 12

OPENING, PATIENCE = ".opening", 60.0
"""The lock of whoever opens a run folder, which takes a moment, and the seconds that others wait for it."""

STUDIES = ("ladder", "data_ladder", "augment_effect")
"""Parts of `train:` that train further networks beside the audited one."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Everything that a step needs. `epoch` is the date of reports; `began` counts seconds.

    `settled` is the config with the settings that a search chose; None until it has, or without one.
    """

    config: Config
    inputs: Inputs
    folder: RunFolder
    key: str
    epoch: datetime
    began: float
    progress: Progress
    stop: Callable[[], bool]
    trust_model_code: bool = False
    settled: Config | None = None

    @property
    def fitted(self) -> Config:
        """The config that networks are trained and loaded by."""
        return self.config if self.settled is None else self.settled

    def seconds(self) -> float:
        """Since the command began."""
        return round(time.monotonic() - self.began, 3)

    def place(self) -> dict[str, object]:
        """Time and place of this command: the block that may differ between identical runs."""
        return {
            "epoch": self.epoch.isoformat(),
            "seconds": self.seconds(),
            "host": platform.node(),
            "platform": platform.platform(),
            "cpus": os.cpu_count(),
            "folder": str(self.folder.path),
        }


@contextmanager
def open_job(
    config: Config, *, out: Path | None, progress: Progress, trust_model_code: bool = False, alone: bool = True
) -> Iterator[Job]:
    """Read the inputs, then hold the run folder that belongs to them until the block ends.

    Without `alone` the folder is opened and not held: others may be at work in it too. Raises `InputError` where
    the inputs are wrong, the folder holds another run, or (with `alone`) another process is at work in it.
    """
    if not announced().first:
        told = "only `train` and `run` are for several processes: start this command without torchrun"
        raise InputError(Problem("WORLD_SIZE", told))
    began, now = time.monotonic(), datetime.now(UTC)
    progress.step("read")
    inputs = read_inputs(config)
    parts = job_parts(config, inputs)
    key = run_key(parts)
    path = run_path(config, key, out)
    refuse_other(path, key, parts)
    with _opened(path, key, alone=alone) as folder, stop_on_signals() as stop:
        note_parts(path, parts)
        try:
            yield Job(config, inputs, folder, key, epoch(now), began, progress, stop, trust_model_code)
        except InputError:
            if alone:
                folder.forget_if_bare()  # nothing was run: the mended config may use the same folder
            raise


@contextmanager
def _opened(path: Path, key: str, *, alone: bool) -> Iterator[RunFolder]:
    """The run folder, held until the block ends; or, not `alone`, opened beside whoever holds it.

    While one process opens it the others wait: it has no key yet, and nobody is refused for that moment.
    """
    late = time.monotonic() + PATIENCE
    with RunLock(path) if alone else nullcontext():
        with one_at_a_time(path / OPENING, lambda: time.monotonic() > late) as entered:
            if not entered:
                message = "is being opened by another process that does not get on: wait for it, or end it"
                raise InputError(Problem(str(path), message))
            folder = RunFolder.open(path, key)
        yield folder


def run_path(config: Config, key: str, out: Path | None) -> Path:
    """The run folder: `out`, else one beside the config that is named by its `key`."""
    return out if out is not None else config.folder / "runs" / slug(config.name) / key[:SHORT_KEY]


def job_key(config: Config, inputs: Inputs) -> str:
    """Names what a run predicts, by `job_parts`."""
    return run_key(job_parts(config, inputs))


def job_parts(config: Config, inputs: Inputs) -> dict[str, Any]:
    """What a run predicts depends on: settings of task, data, model, train and predict, and all contents.

    Policy, metrics, intervals, checks and report are not part of it, nor an attribute's `reference`:
    changing them evaluates again in place. Nor are studies of training, which do not change the audited
    network, nor `predict.max_failed`, which changes no prediction: a
    run that it stopped goes on once it is raised.
    """
    plain = config.plain()
    plain.get("predict", {}).pop("max_failed", None)
    for study in STUDIES:
        plain.get("train", {}).pop(study, None)
    for attribute in plain["data"]["attributes"].values():
        attribute.pop("reference", None)
    named = ("task", "data", "model", *(("train",) if config.trains else ()), "predict")
    settings = {name: plain[name] for name in named if name in plain}
    return {"settings": settings, "hashes": dict(inputs.hashes)}


def epoch(now: datetime) -> datetime:
    """The date that reports bear: SOURCE_DATE_EPOCH (seconds since 1970), else `now`."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None or not given.strip():
        return now.replace(microsecond=0)
    try:
        return datetime.fromtimestamp(int(given), UTC)
    except (ValueError, OverflowError, OSError):
        raise InputError(Problem("SOURCE_DATE_EPOCH", f"must be seconds since 1970, got {given!r}")) from None


@contextmanager
def stop_on_signals() -> Iterator[Callable[[], bool]]:
    """A function that says whether SIGTERM or SIGINT came; a second SIGINT interrupts at once.

    Only the main thread may listen; elsewhere the function always says no.
    """
    asked = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield asked.is_set
        return

    def ask(number: int, _frame: object) -> None:
        if asked.is_set() and number == signal.SIGINT:
            raise KeyboardInterrupt
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
