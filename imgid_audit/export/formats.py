"""What an export format is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from imgid_audit.core.result import AuditResult
from imgid_audit.report import Report

Files = Mapping[str, bytes]
"""Contents by path relative to the run folder."""


@dataclass(frozen=True, slots=True)
class Format:
    """A registered format: `files` turns a result and its report into contents and touches no disk.

    `private` formats are given the whole result, the others what may be published of it.
    """

    name: str
    summary: str
    files: Callable[[AuditResult, Report], Files]
    private: bool = False
