"""What people see: progress on stderr while it runs, verdicts and paths on stdout when it is done."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.result import AuditResult, Verdict

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

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
    """The verdicts in words and the paths of what was written, or the same as JSON; on stdout."""
    if as_json:
        import json

        typer.echo(json.dumps(_plain(outcome), indent=2, ensure_ascii=False))
        return
    if outcome.result is not None:
        for line in verdict_lines(outcome.result):
            typer.echo(line)
    for path in outcome.files:
        typer.echo(str(path))


def verdict_lines(result: AuditResult) -> Iterator[str]:
    """``FAIL  device-gap: reason``, one line a rule, and how many there are of each."""
    verdicts = result.evaluation.verdicts
    if not verdicts:
        yield "No policy rules, so no verdicts."
        return
    width = max(len(WORDS[verdict.status]) for verdict in verdicts)
    for verdict in verdicts:
        yield f"{WORDS[verdict.status]:<{width}}  {verdict.rule}: {verdict.reason}"
    counts = Counter[str](verdict.status for verdict in verdicts)
    yield "rules: " + ", ".join(f"{counts[status]} {word.lower()}" for status, word in WORDS.items() if counts[status])


def _plain(outcome: Outcome) -> dict[str, Any]:
    verdicts = outcome.result.evaluation.verdicts if outcome.result is not None else ()
    return {
        "exit_code": outcome.exit_code,
        "folder": str(outcome.folder),
        "files": [str(path) for path in outcome.files],
        "verdicts": [_verdict(verdict) for verdict in verdicts],
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    """The verdict with the keys of audit.json."""
    return {
        "rule": verdict.rule,
        "status": verdict.status,
        "reason": verdict.reason,
        "observed": verdict.observed,
        "low": verdict.low,
        "high": verdict.high,
        "tolerance": verdict.tolerance,
        "worst": verdict.worst.key if verdict.worst is not None else None,
        "subjects_needed": None if verdict.subjects_needed is None else dict(verdict.subjects_needed),
    }
