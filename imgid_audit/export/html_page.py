"""The HTML page: one file that asks for nothing."""

from __future__ import annotations

from imgid_audit.core.result import AuditResult
from imgid_audit.export.formats import Files, Format
from imgid_audit.export.templates import render
from imgid_audit.report import Report


def render_html(report: Report) -> bytes:
    """The page in UTF-8. What UTF-8 cannot hold (a lone surrogate) is shown as a replacement character."""
    return render(report, "screen").encode("utf-8", "replace")


def _files(_result: AuditResult, report: Report) -> Files:
    return {"report.html": render_html(report)}


FORMAT = Format("html", "One self-contained page for a browser: report.html.", _files)
