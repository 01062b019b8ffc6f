"""The JSON format: audit.json, as `audit_json` writes it."""

from __future__ import annotations

from imgid_audit.core.result import AuditResult
from imgid_audit.export.audit_json import encode
from imgid_audit.export.formats import Files, Format
from imgid_audit.report import Report


def _files(result: AuditResult, _report: Report) -> Files:
    return {"audit.json": encode(result)}


FORMAT = Format("json", "Every number for machines, by a published schema: audit.json.", _files, private=True)
