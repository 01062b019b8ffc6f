"""`diff`: two runs side by side, paired row by row where they evaluated the same data."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from imgid_audit.config import Config, load_config
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import AuditResult
from imgid_audit.evaluation.changes import changes
from imgid_audit.evaluation.pairing import in_task, pair, same_task
from imgid_audit.export import read_audit
from imgid_audit.io.kept_rows import read_rows
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.metrics import METRICS
from imgid_audit.report.changed import RunDifference, Side, verdict_changes

How = Literal["paired", "common", "unpaired"]


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A run as its folder keeps it. `cells` is the hash of the rows that it evaluated."""

    path: Path
    folder: RunFolder
    result: AuditResult
    config: Config
    cells: str

    @property
    def side(self) -> Side:
        return Side(str(self.path), self.result.name, self.cells, self.result.data.predicted)


def open_run(path: Path) -> Kept:
    """A run that has been evaluated; `InputError` where the folder holds none."""
    folder = RunFolder.existing(path)
    result = read_audit(folder.audit)
    cells = str(result.provenance.get("hashes", {}).get("cells", ""))
    return Kept(path, folder, result, load_config(folder.config), cells)


def diff(first: Path, second: Path, how: How = "paired") -> RunDifference:
    """What changed from the first run to the second.

    ``paired`` needs the same evaluated rows in both, ``common`` pairs the rows that both have and
    agree on, ``unpaired`` compares the two as independent samples. Metrics are those of both
    reports, intervals as the second run asks for them. Raises `InputError` for another task, and
    where the data differ and only ``paired`` was asked for, saying how.
    """
    one, two = open_run(first), open_run(second)
    same_task(one.result.evaluation.task, two.result.evaluation.task, str(second))
    if how == "unpaired":
        a, b, notes = _unpaired(one, two)
    else:
        a, b, notes = _paired(one, two, how)
    intervals = two.config.interval_spec()
    notes = (*notes, f"intervals are each at {intervals.level:g}; adjusted p-values count all the changes (Holm)")
    if one.config.privacy is not None or two.config.privacy is not None:
        notes = (*notes, "privacy.min_cell is set: this shows cells that the reports hide, and is not for publication")
    crossed = [names for names in one.config.data.intersections if names in two.config.data.intersections]
    known = {factor.name for factor in a.attributes}
    found = changes(
        a, b, _metrics(one.result, two.result), intervals,
        intersections=tuple(names for names in crossed if known.issuperset(names)), paired=how != "unpaired",
    )  # fmt: skip
    return RunDifference(one.side, two.side, found, notes, verdict_changes(one.result, two.result), a.task.kind)


def _paired(one: Kept, two: Kept, how: How) -> tuple[Decisions, Decisions, tuple[str, ...]]:
    found = pair(read_rows(one.folder, one.cells), read_rows(two.folder, two.cells))
    differing = found.differences.lines(str(one.path), str(two.path))
    if differing and how == "paired":
        advice = "--common pairs the rows that both have and agree on, --unpaired compares without pairing"
        where = f"{one.path} and {two.path}"
        message = f"evaluated different data and are not paired: {'; '.join(differing)}. {advice}"
        raise InputError(Problem(where, message))
    if not len(found.first):
        raise InputError(Problem(f"{one.path} and {two.path}", "have no row in common that they agree on"))
    notes = [f"paired by row id: {len(found.first):,} rows"]
    if any(found.left_out):
        notes.append(f"left out: {found.left_out[0]:,} rows of the first run and {found.left_out[1]:,} of the second")
    notes += differing
    if found.differences.attributes:
        notes.append(f"not compared, since its levels differ: {', '.join(found.differences.attributes)}")
    return found.first, found.second, (*notes, *found.notes)


def _unpaired(one: Kept, two: Kept) -> tuple[Decisions, Decisions, tuple[str, ...]]:
    a = one.folder.read_decisions(one.cells)
    b = in_task(two.folder.read_decisions(two.cells), a.task)
    names = {factor.name for factor in a.attributes} & {factor.name for factor in b.attributes}
    notes = [f"not paired: {a.rows:,} rows and {b.rows:,} rows compared as independent samples"]
    lone = sorted({factor.name for factor in (*a.attributes, *b.attributes)} - names)
    if lone:
        notes.append(f"only in one of the runs, not compared: {', '.join(lone)}")
    order = [factor.name for factor in a.attributes if factor.name in names]
    a, b = (replace(each, attributes=tuple(each.attribute(name) for name in order)) for each in (a, b))
    return a, b, tuple(notes)


def _metrics(first: AuditResult, second: AuditResult) -> tuple[str, ...]:
    """The metrics that both runs report, in the second one's order."""
    sides = [dict.fromkeys(one.metric for one in result.evaluation.estimates) for result in (first, second)]
    return tuple(name for name in sides[1] if name in sides[0] and name in METRICS)
