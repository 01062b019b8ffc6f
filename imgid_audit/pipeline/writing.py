"""What a run leaves for people: the config as run, provenance, and the formats of the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml

from imgid_audit.core.errors import Problem, raise_all
from imgid_audit.core.result import AuditResult
from imgid_audit.export import FORMATS, write
from imgid_audit.io import atomic
from imgid_audit.pipeline.job import Job
from imgid_audit.report import Report, build
from imgid_audit.report.facts import WorstImages

PUBLISHED = ("report.html", "report.pdf", "junit.xml", "tables/*.csv")
"""The files of a run folder that are made for publishing."""


def write_report(
    job: Job,
    result: AuditResult,
    formats: Sequence[str] | None = None,
    images: WorstImages | None = None,
    *,
    evaluated: bool = True,
) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Write the config as run, provenance and the asked formats (default: the config's) into the run folder.

    Returns what was written and what was removed: published files that are not written again show an
    earlier audit. Where the audit is the stored one (`evaluated` is False) the others show it too and stay.
    """
    job.progress.step("report")
    folder = job.folder
    atomic.write_text(folder.config, yaml.safe_dump(job.config.plain(), sort_keys=False, allow_unicode=True))
    atomic.write_json(folder.provenance, dict(result.provenance))
    files = save_result(result, folder.path, job.config.report.formats if formats is None else formats, images)
    # where small cells are hidden, no file stays that was not made with this very result
    stale = evaluated or result.privacy is not None
    return files, _remove_others(folder.path, files) if stale else ()


def _remove_others(folder: Path, written: Sequence[Path]) -> tuple[Path, ...]:
    """Remove the published files that an earlier command left and this one did not write; which they were."""
    others = [path for pattern in PUBLISHED for path in sorted(folder.glob(pattern)) if path not in written]
    for path in others:
        path.unlink()
    return tuple(others)


def save_result(
    result: AuditResult, folder: Path, formats: Sequence[str], images: WorstImages | None = None
) -> tuple[Path, ...]:
    """Write a result in these formats, audit.json always; the files in the registry's order."""
    unknown = [name for name in formats if name not in FORMATS]
    raise_all(Problem("[report > formats]", FORMATS.unknown(name)) for name in unknown)
    wanted = [form for form in FORMATS if form.name in {"json", *formats}]
    return write(folder, wanted, result, _report(result, images))


def page_of(result: AuditResult) -> str:
    """The HTML page as text."""
    (page,) = FORMATS["html"].files(result, _report(result)).values()
    return page.decode("utf-8")


def _report(result: AuditResult, images: WorstImages | None = None) -> Report:
    """The report bears the date of the audit itself, also when it is written again later."""
    return build(result, epoch=datetime.fromisoformat(str(result.run["epoch"])), images=images)
