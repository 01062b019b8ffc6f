"""The run that `policy.baseline` names: opened and checked before anything runs, read when rules need it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.manifest import Status
from imgid_audit.core.policy import Policy
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.core.result import AuditResult
from imgid_audit.core.task import Task
from imgid_audit.evaluation.drops import Baseline, Earlier, beside
from imgid_audit.evaluation.pairing import NamedRows, same_task
from imgid_audit.export import read_audit
from imgid_audit.io.kept_rows import read_rows
from imgid_audit.io.run_folder import RunFolder

if TYPE_CHECKING:
    from imgid_audit.pipeline.inputs import Inputs

WHERE = "[policy > baseline]"


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A baseline's folder and what its audit.json says. `written` is its path as the config has it."""

    written: str
    path: Path
    folder: RunFolder
    result: AuditResult

    @property
    def cells(self) -> str:
        return str(self.result.provenance.get("hashes", {}).get("cells", ""))

    def identity(self) -> dict[str, Any]:
        """What provenance keeps: the name of the run and the hash of its evaluated rows."""
        return {"path": self.written, "name": self.result.name, "cells": self.cells}


def open_baseline(config: Config, task: Task) -> Opened | None:
    """The baseline that the config names; None where it names none. Raises `InputError` as `open_at` does."""
    written = config.policy.baseline
    return None if written is None else open_at(config.path_of(written), written, task)


def open_at(path: Path, written: str, task: Task) -> Opened:
    """The run at `path`; `InputError` where there is none, it was not evaluated, or its task is another."""
    try:
        folder = RunFolder.existing(path)
        result = read_audit(folder.audit)
        same_task(task, result.evaluation.task, str(path))
    except InputError as error:
        raise InputError(Problem(WHERE, str(problem)) for problem in error.problems) from error
    return Opened(written, path.resolve(), folder, result)


def earlier(opened: Opened) -> Earlier:
    """The baseline's rows; without names where it does not keep them, which costs the pairing alone."""
    decisions = opened.folder.read_decisions(opened.cells)
    try:
        rows = read_rows(opened.folder, opened.cells)
    except InputError as error:
        return Earlier(opened.written, decisions, None, f"the baseline's rows have no ids ({error})")
    return Earlier(opened.written, decisions, rows)


def named(inputs: Inputs, predictions: Predictions, decisions: Decisions) -> NamedRows | None:
    """The decided rows by name; None where the table was read as distinct rows."""
    manifest = inputs.manifest
    if manifest.count is not None or decisions.count is not None:
        return None
    rows = manifest.rows("test")
    rows = rows[(predictions.status[rows] == Status.PREDICTED) & (manifest.label.codes[rows] >= 0)]
    images = None if inputs.image_sha256 is None else inputs.image_sha256[rows]
    return NamedRows(manifest.ids[rows], decisions, images)


def with_baseline(result: AuditResult, opened: Opened | None) -> AuditResult:
    """The result with the baseline's identity in its provenance and its place in its run block."""
    if opened is None:
        return result
    provenance = {**result.provenance, "baseline": opened.identity()}
    return replace(result, provenance=provenance, run={**result.run, "baseline": str(opened.path)})


def for_gate(
    folder: RunFolder, result: AuditResult, decisions: Decisions, policy: Policy, given: Path | None
) -> Baseline | None:
    """The baseline of a gate beside the run's `decisions`: the one that the policy file `given` names, else the run's.

    None where no rule needs one. Raises `InputError` where none is named, it is gone, or it has other rows
    than when the run was judged.
    """
    opened = _of_gate(folder, result, policy, given)
    if opened is None:
        return None
    cells = str(result.provenance.get("hashes", {}).get("cells", ""))
    try:
        rows = read_rows(folder, cells)
    except InputError:
        rows = None  # what cannot be paired is compared without, and says so
    return beside(earlier(opened), decisions, rows)


def _of_gate(folder: RunFolder, result: AuditResult, policy: Policy, given: Path | None) -> Opened | None:
    drops = [index for index, rule in enumerate(policy.rules) if rule.kind == "max_drop"]
    if not drops:
        return None
    task = result.evaluation.task
    if given is not None and policy.baseline is not None:
        return open_at(given.resolve().parent / Path(policy.baseline).expanduser(), policy.baseline, task)
    known = result.provenance.get("baseline")
    if known is None:
        source = folder.config if given is None else given
        message = "needs `policy.baseline`, the folder of the run to compare with: the run was judged without one"
        raise InputError(Problem(f"{source} [policy > rules > {index} > max_drop]", message) for index in drops)
    opened = open_at(Path(str(result.run.get("baseline", known["path"]))), str(known["path"]), task)
    if opened.cells != known["cells"]:
        message = f"{opened.path} has been evaluated anew since {folder.path} was judged: evaluate that again"
        raise InputError(Problem(WHERE, message))
    return opened
