"""The one place where reports reach the disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from imgid_audit.core.result import AuditResult
from imgid_audit.export.formats import Format
from imgid_audit.io.atomic import write_bytes
from imgid_audit.report import Report, publishable


def write(folder: Path, formats: Sequence[Format], result: AuditResult, report: Report) -> tuple[Path, ...]:
    """Write a report's formats into a run folder; returns what was written, in the formats' order.

    All contents are made before the first file is written, so a format that fails leaves the folder
    as it was; each file is replaced as a whole or not at all. Formats that are not private are given
    what may be published of the result.
    """
    public = publishable(result)
    made = [one.files(result if one.private else public, report) for one in formats]
    contents = [(path, data) for files in made for path, data in files.items()]
    written = []
    for path, data in contents:
        target = folder / PurePosixPath(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(target, data)
        written.append(target)
    return tuple(written)
