"""The history on a terminal: a line a run, oldest first; or all of it as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from imgid_audit.cli.terminal import WORDS
from imgid_audit.core.history import History, Project, RunRecord, changed
from imgid_audit.core.result import Undefined, Verdict

if TYPE_CHECKING:
    from imgid_audit.pipeline import HistoryOutcome


def show_history(outcome: HistoryOutcome, *, as_json: bool) -> None:
    """The runs in lines and the page's path, or the same as JSON; on stdout."""
    if as_json:
        typer.echo(json.dumps(_plain(outcome), indent=2, ensure_ascii=False))
        return
    for line in history_lines(outcome.history):
        typer.echo(line)
    for path in outcome.files:
        typer.echo(str(path))


def history_lines(history: History) -> Iterator[str]:
    """A block a project, then what could not be read, with why."""
    from imgid_audit.export.templates import visible

    for project in history.projects:
        yield f"{visible(_line(project.name))}: {len(project.runs)} audit{'' if len(project.runs) == 1 else 's'}"
        for line in _project_lines(project):
            yield f"  {visible(line)}"
    if history.unread:
        yield f"not read: {len(history.unread)}"
        for one in history.unread:
            yield f"  {visible(_line(f'{one.place}: {one.reason}'))}"


def _project_lines(project: Project) -> Iterator[str]:
    wide = max(len(run.place) for run in project.runs)
    rows = max(len(_rows(run)) for run in project.runs)
    for run in project.runs:
        rules = ", ".join(_rule_text(verdict) for verdict in run.verdicts) or "no rules"
        yield (
            f"{run.epoch:%Y-%m-%d %H:%M}  {_line(run.place):<{wide}}  {_rows(run):>{rows}} rows  "
            f"{_tally(run)}  {_line(rules)}"
        )


def _rows(run: RunRecord) -> str:
    return "hidden" if run.evaluated is None else str(run.evaluated)


def _tally(run: RunRecord) -> str:
    counts = Counter[str](verdict.status for verdict in run.verdicts)
    waived = sum(verdict.waived for verdict in run.verdicts)
    told = [f"{counts[status]} {word.lower()}" for status, word in WORDS.items() if counts[status]]
    return ", ".join([*told, *([f"{waived} waived"] if waived else [])]) or "nothing judged"


def _rule_text(verdict: Verdict) -> str:
    """``device-gap FAIL 0.2110``, with ``(waived)`` where it does not count."""
    from imgid_audit.evaluation.wording import number

    value = "" if verdict.observed is None else f" {number(verdict.observed)}"
    return f"{verdict.rule} {WORDS[verdict.status]}{value}" + (" (waived)" if verdict.waived else "")


def _line(text: str) -> str:
    return " ".join(text.split())


def _plain(outcome: HistoryOutcome) -> dict[str, Any]:
    return {
        "exit_code": 0,
        "folder": str(outcome.folder),
        "files": [str(path) for path in outcome.files],
        "projects": [
            {
                "name": project.name,
                "runs": [
                    _run(run, before) for run, before in zip(project.runs, (None, *project.runs[:-1]), strict=True)
                ],
            }
            for project in outcome.history.projects
        ],
        "unread": [{"run": one.place, "reason": one.reason} for one in outcome.history.unread],
    }


def _run(run: RunRecord, before: RunRecord | None) -> dict[str, Any]:
    from imgid_audit.export.audit_json import verdict_values

    counts = Counter[str](verdict.status for verdict in run.verdicts)
    return {
        "run": run.place,
        "date": run.epoch.isoformat(),
        "rows": run.evaluated,
        "verdict_counts": {status: counts[status] for status in WORDS},
        "waived": sum(verdict.waived for verdict in run.verdicts),
        "changed": None if before is None else list(changed(before, run)),
        "verdicts": [verdict_values(verdict) for verdict in run.verdicts],
        "totals": [
            {
                "metric": total.metric,
                "class": total.class_name,
                "value": None if isinstance(total.value, Undefined) else total.value,
                "undefined": total.value.kind if isinstance(total.value, Undefined) else None,
                "low": None if total.interval is None else total.interval.low,
                "high": None if total.interval is None else total.interval.high,
                "level": None if total.interval is None else total.interval.level,
                "method": None if total.interval is None else total.interval.method,
                "n": total.n,
            }
            for total in run.totals
        ],
    }
