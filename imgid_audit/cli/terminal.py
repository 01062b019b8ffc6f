"""What people see: progress on stderr while it runs, verdicts and paths on stdout when it is done."""

from __future__ import annotations

import shlex
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import typer

from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.result import AuditResult, Verdict

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

    from imgid_audit.core.fit import Search
    from imgid_audit.pipeline import Outcome

WORDS = {"pass": "PASS", "fail": "FAIL", "inconclusive": "INCONCLUSIVE", "not_evaluated": "NOT EVALUATED"}


class _Lines:
    """One line a step: what a log file should hold."""

    def step(self, name: str) -> None:
        typer.echo(name, err=True)

    def update(self, done: int, total: int, text: str = "") -> None:
        """Nothing: only steps are worth a line."""


class _Bars:
    """A bar for the step that is running, and a line for each one that is done."""

    def __init__(self, bars: Bars) -> None:
        self.bars = bars
        self.task: Any = None
        self.name = ""

    def step(self, name: str) -> None:
        self.close()
        self.name = name
        self.task = self.bars.add_task(name, total=None, text="")

    def update(self, done: int, total: int, text: str = "") -> None:
        if self.task is not None:
            self.bars.update(self.task, completed=done, total=total, text=text)

    def close(self) -> None:
        if self.task is not None:
            self.bars.remove_task(self.task)
            self.bars.console.print(f"{self.name}: done", markup=False, highlight=False)
            self.task = None


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Bars on a terminal, a line a step elsewhere, nothing with `quiet`; always on stderr."""
    if quiet:
        yield SILENT
    elif not sys.stderr.isatty():
        yield _Lines()
    else:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        remark = TextColumn("{task.fields[text]}", markup=False)
        columns = ("{task.description}", BarColumn(), "{task.completed}/{task.total}", remark)
        times = (TimeElapsedColumn(), TimeRemainingColumn())
        with Progress(*columns, *times, console=Console(stderr=True), transient=True) as bars:
            listener = _Bars(bars)
            yield listener
            listener.close()


def show(outcome: Outcome, *, as_json: bool) -> None:
    """The verdicts in words and the paths of what was written, or the same as JSON; on stdout.

    Terminals end in logs, so they show what may be published and no more.
    """
    if outcome.result is not None:
        from imgid_audit.report import publishable

        outcome = replace(outcome, result=publishable(outcome.result))
    if as_json:
        import json

        typer.echo(json.dumps(_plain(outcome), indent=2, ensure_ascii=False))
        return
    if outcome.result is not None:
        for line in verdict_lines(outcome.result):
            typer.echo(line)
    for line in (*trained_lines(outcome), *searched_lines(outcome), *compared_lines(outcome)):
        typer.echo(line)
    for path in outcome.files:
        typer.echo(str(path))


def trained_lines(outcome: Outcome) -> list[str]:
    """What search, checks and studies say of the training; nothing where none was audited."""
    if outcome.result is None or outcome.result.fit is None:
        return []
    from imgid_audit.report.trained.lines import training_lines

    return training_lines(outcome.result)


def searched_lines(outcome: Outcome) -> list[str]:
    """How far a search is, its best trial, and what to do next; nothing where there was none."""
    if outcome.search is None:
        return []
    from imgid_audit.report.trained.lines import search_lines

    return [*search_lines(outcome.search), f"now: imgid-audit run CONFIG --out {shlex.quote(str(outcome.folder))}"]


def compared_lines(outcome: Outcome) -> list[str]:
    """What a comparison of mitigations found, a line a method; nothing where there was none."""
    found = outcome.comparison if outcome.result is None else outcome.result.comparison
    if found is None:
        return []
    from imgid_audit.report.compared.lines import comparison_lines

    return comparison_lines(found)


def removed_text(outcome: Outcome) -> str:
    """Which published files are gone because they showed an earlier audit; '' where none is."""
    names = (path.relative_to(outcome.folder) for path in outcome.removed)
    told = dict.fromkeys("tables/*.csv" if len(name.parts) > 1 else name.name for name in names)
    if not told:
        return ""
    again = "`imgid-audit report` writes the formats that the config asks for"
    return f"removed, as it showed an earlier audit: {', '.join(told)}; {again}"


def verdict_lines(result: AuditResult) -> Iterator[str]:
    """``FAIL  device-gap: reason``, one line a rule, what would settle it and its waiver beneath; then counts."""
    verdicts = result.evaluation.verdicts
    if not verdicts:
        yield "No policy rules, so no verdicts."
        return
    width = max(len(WORDS[verdict.status]) for verdict in verdicts)
    unit = "image" if result.data.subjects is None else "subject"
    for verdict in verdicts:
        yield f"{WORDS[verdict.status]:<{width}}  {verdict.rule}: {verdict.reason}"
        if verdict.subjects_needed:
            yield f"{'':<{width}}  {needed_text(verdict.subjects_needed, verdict.subjects_needed_range or {}, unit)}"
        if verdict.waiver is not None:
            yield f"{'':<{width}}  {waiver_text(verdict)}"
    counts = Counter[str](verdict.status for verdict in verdicts)
    waived = sum(verdict.waived for verdict in verdicts)
    told = ", ".join(f"{counts[status]} {word.lower()}" for status, word in WORDS.items() if counts[status])
    yield f"rules: {told}" + (f"; {waived} waived, not counted" if waived else "")


def needed_text(
    needed: Mapping[str, int],
    ranges: Mapping[str, tuple[int, int | None]] = MappingProxyType({}),
    unit: str = "subject",
    most: int = 6,
) -> str:
    """``to settle it: 40 (25 to 90) more subjects of F, 12 more subjects of M``."""
    told = []
    for level, count in needed.items():
        spread = _range(count, ranges.get(level))
        more = unit if count == 1 and not spread else f"{unit}s"
        told.append(f"{count}{spread} more {more} of {level}")
    return f"to settle it: {', '.join(told[:most])}" + (f" and {len(told) - most} more groups" if told[most:] else "")


def _range(count: int, ends: tuple[int, int | None] | None) -> str:
    if ends is None or ends == (count, count):
        return ""
    return f" ({ends[0]} or more)" if ends[1] is None else f" ({ends[0]} to {ends[1]})"


def waiver_text(verdict: Verdict) -> str:
    """``waived until 2027-03-31 by A. Person: why``, or what else became of the waiver; one line."""
    waiver = verdict.waiver
    assert waiver is not None
    by, why = (" ".join(text.split()) for text in (waiver.by, waiver.why))
    if not waiver.active:
        counts = "" if verdict.status == "pass" else ", the rule counts"
        return f"waiver expired on {waiver.until}{counts} (by {by}: {why})"
    if verdict.status == "pass":
        return f"waiver until {waiver.until} by {by} not needed: {why}"
    return f"waived until {waiver.until} by {by}: {why}"


def _plain(outcome: Outcome) -> dict[str, Any]:
    from imgid_audit.export.audit_json import verdict_values

    verdicts = outcome.result.evaluation.verdicts if outcome.result is not None else ()
    found = outcome.comparison if outcome.result is None else outcome.result.comparison
    plain = {
        "exit_code": outcome.exit_code,
        "folder": str(outcome.folder),
        "files": [str(path) for path in outcome.files],
        "verdicts": [verdict_values(verdict) for verdict in verdicts],
    }
    if outcome.search is not None:
        plain["search"] = _searched(outcome.search)
    if found is not None:
        from imgid_audit.export.comparison_json import comparison_document

        plain["comparison"] = comparison_document(found)
    return plain


def _searched(found: Search) -> dict[str, Any]:
    """How far a search is and its best trial, as JSON values."""
    best = found.choice
    states = Counter(trial.state for trial in found.trials)
    told = {state: states[state] for state in ("complete", "pruned", "failed")}
    chosen = None if best is None else {"number": best.number, "value": best.value, "parameters": dict(best.parameters)}
    given = next((trial.value for trial in found.trials if trial.number == 0 and trial.state == "complete"), None)
    return {
        "asked": found.asked,
        **told,
        "ended": found.ended,
        "criterion": found.criterion,
        "given": given,
        "best": chosen,
    }
