"""The history as payloads: a project's latest state, its runs, a trend a rule and a trend a metric."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from imgid_audit import __version__
from imgid_audit.core.history import History, Project, RunRecord, Unread, changed
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, StatusKind, Table, name, number, undefined
from imgid_audit.report.past.trends import DRAWN, TrendBlock, metric_trends, rule_trends
from imgid_audit.report.sections.verdicts import conclusion

SHORT_NAME = 70


@dataclass(frozen=True, slots=True)
class ProjectPart:
    """One project: how its latest audit came out, all its runs, and its trends."""

    anchor: str
    name: str
    short_name: str
    headline: str
    kind: StatusKind
    explanation: str
    runs: Table
    rules: tuple[TrendBlock, ...]
    metrics: tuple[TrendBlock, ...]
    note: str


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Everything that the template places. `unread` is None where every audit could be read."""

    lead: str
    date: str
    generator: str
    projects: tuple[ProjectPart, ...]
    unread: Table | None


def build_history(history: History) -> HistoryPage:
    """The payload of a history with one project or more. It reads no clock: its date is the latest audit's."""
    runs = [run for project in history.projects for run in project.runs]
    latest = max(run.epoch for run in runs)
    some = numbers.plural(len(history.projects), "project")
    unread = f" {numbers.plural(len(history.unread), 'folder')} could not be read." if history.unread else ""
    return HistoryPage(
        f"{numbers.plural(len(runs), 'audit')} of {some}.{unread} Figures have the oldest on the left, tables the "
        "latest first; audits stand at equal distances, whatever the time between them.",
        numbers.date(latest),
        f"imgid-audit {__version__}",
        tuple(_project(project, f"project-{i}") for i, project in enumerate(history.projects, 1)),
        _unread(history.unread) if history.unread else None,
    )


def _project(project: Project, anchor: str) -> ProjectPart:
    latest = project.runs[-1]
    headline, kind, explanation = _state(latest)
    short = project.name if len(project.name) <= SHORT_NAME else f"{project.name[: SHORT_NAME - 1]}…"
    cut = len(project.runs) > DRAWN
    shown = f"The latest {numbers.count(DRAWN)} of {numbers.count(len(project.runs))} audits are drawn. " if cut else ""
    return ProjectPart(
        anchor,
        project.name,
        short,
        headline,
        kind,
        explanation,
        _runs(project.runs),
        rule_trends(project.runs),
        metric_trends(project.runs),
        f"{shown}Points are observed values. Lines through them reach from the lower to the upper bound.",
    )


def _state(run: RunRecord) -> tuple[str, StatusKind, str]:
    """Headline, colour and explanation of the latest audit, as its own report words them."""
    said, kind, explanation = conclusion(run.verdicts, warns=run.warns)
    if not run.verdicts:
        explanation = "No policy was set, so nothing was judged."
    return f"Latest audit, {numbers.date_time(run.epoch)}: {said[0].lower()}{said[1:]}", kind, explanation


def _runs(runs: tuple[RunRecord, ...]) -> Table:
    """All runs, the latest first, with their counts and which inputs changed since the one before."""
    before = (None, *runs[:-1])
    rows = tuple(_row(run, earlier) for run, earlier in zip(reversed(runs), reversed(before), strict=True))
    columns = (
        Column("Date (UTC)", "name"),
        Column("Run", "text"),
        Column("Rows", "number"),
        *(Column(words.STATUS_WORDS[status], "number") for status in words.STATUS_WORDS),
        Column("Waived", "number"),
        Column("Changed since the audit before", "text"),
    )
    notes = ["Rows are those that were evaluated. Waived rules are counted in their own columns too."]
    if any(run.suppressed for run in runs):
        notes.append("Numbers of small groups are hidden.")
    return Table("Every audit, the latest first", columns, rows, tuple(notes), "Audits")


def _row(run: RunRecord, before: RunRecord | None) -> tuple[Cell, ...]:
    tally: Counter[str] = Counter(v.status for v in run.verdicts)
    inputs = None if before is None else changed(before, run)
    told = "–" if inputs is None else ", ".join(inputs) or "nothing"
    seconds = str(int(run.epoch.timestamp()))
    return (
        Cell(numbers.stamp(run.epoch), "name", seconds),
        Cell(run.place),
        _count(run.evaluated),
        *(_count(tally[status]) for status in words.STATUS_WORDS),
        _count(sum(v.waived for v in run.verdicts)),
        Cell(told),
    )


def _count(some: int | None) -> Cell:
    if some is None:
        return undefined(words.UNDEFINED_WORDS["suppressed"])
    return number(numbers.count(some), str(some))


def _unread(unread: tuple[Unread, ...]) -> Table:
    rows = tuple((name(one.place), Cell(words.sentence(one.reason))) for one in unread)
    return Table("Nothing of these is in the figures and tables", (Column("Folder", "name"), Column("Why")), rows)
