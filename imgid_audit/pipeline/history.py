"""Many run folders as one history: what was found, and the page of it. Only audit.json is read."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.history import History, Project, RunRecord, Unread
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.export import read_audit
from imgid_audit.export.history_page import render_history
from imgid_audit.io.run_folder import KEY, RunFolder
from imgid_audit.pipeline.gating import write_file
from imgid_audit.report.past import build_history, record

DEFAULT_NAME = "history.html"

WITHIN_A_RUN = frozenset({"model", "predictions", "tables", "release"})
"""Folders of a run, which hold no runs."""


@dataclass(frozen=True, slots=True)
class HistoryOutcome:
    """What was found, and the page that was written."""

    history: History
    folder: Path
    files: tuple[Path, ...]


def history(folder: Path, *, out: Path | None = None, progress: Progress = SILENT) -> HistoryOutcome:
    """Gather every run below `folder` and write the trend page, by default as ``history.html`` in it.

    Changes no run. Raises `InputError` where there is no run, or none that can be read, with the
    reason of each; the unread beside others are listed in the history.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "is not there"
        raise InputError(Problem(str(folder), f"{what}: name the folder that holds the runs"))
    progress.step("read")
    found = gather(folder, progress)
    if not found.projects:
        problems = [Problem(str(folder / one.place), one.reason) for one in found.unread]
        raise InputError(
            problems or Problem(str(folder), "holds no run: name the folder that `imgid-audit run` wrote to")
        )
    progress.step("report")
    page = render_history(build_history(found))
    return HistoryOutcome(found, folder, (write_file(folder / DEFAULT_NAME if out is None else out, page),))


def gather(folder: Path, progress: Progress = SILENT) -> History:
    """The history of all runs below `folder`. Links to folders are not followed: they could go round."""
    unread: list[Unread] = []
    places = sorted(_places(folder, unread))
    projects: dict[str, list[RunRecord]] = defaultdict(list)
    for number, place in enumerate(places, 1):
        progress.update(number, len(places), place)
        read = _read(folder, place)
        if isinstance(read, Unread):
            unread.append(read)
        else:
            projects[read.name].append(read)
    return History(
        tuple(
            Project(name, tuple(sorted(runs, key=lambda run: (run.epoch, run.place))))
            for name, runs in sorted(projects.items())
        ),
        tuple(sorted(unread, key=lambda one: one.place)),
    )


def _places(folder: Path, unread: list[Unread]) -> Iterator[str]:
    """Run folders relative to `folder`, with ``/``; what cannot be looked into is added to `unread`."""

    def refused(error: OSError) -> None:
        unread.append(Unread(_place(folder, str(error.filename)), f"cannot be looked into: {error.strerror}"))

    for path, folders, files in os.walk(folder, onerror=refused):
        is_run = "audit.json" in files or KEY in files
        folders[:] = [name for name in folders if not (name.startswith(".") or (is_run and name in WITHIN_A_RUN))]
        if is_run:
            yield _place(folder, path)


def _place(folder: Path, path: str) -> str:
    return Path(path).relative_to(folder).as_posix()


def _read(folder: Path, place: str) -> RunRecord | Unread:
    path = RunFolder(folder / place).audit
    if not path.is_file():
        return Unread(place, "holds no audit.json: the run has not come so far")
    try:
        return record(read_audit(path), place)
    except InputError as error:
        return Unread(place, f"audit.json {error.problems[0].message}")
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError) as error:
        return Unread(place, f"audit.json is not that of an audit: {error}")
