"""JUnit XML: one test suite an audit, one test case a rule, for pipelines that show test results.

Elements and attributes are those that Jenkins, GitLab and GitHub read alike. Times are 0 and the date is the
report's own, so the same result gives the same bytes.
"""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime

from imgid_audit.core.result import AuditResult, Verdict
from imgid_audit.export.audit_json import verdict_values
from imgid_audit.export.formats import Files, Format
from imgid_audit.export.templates import visible
from imgid_audit.report import Report, publishable, waivers, words
from imgid_audit.report.facts import Facts

_FORBIDDEN = re.compile("[\ufffe\uffff]")
"""What XML 1.0 cannot hold and `visible` lets through."""

_TAGS = {"fail": "failure", "not_evaluated": "error", "inconclusive": "failure"}
_COUNTS = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def render_junit(result: AuditResult, epoch: datetime) -> bytes:
    """The verdicts as UTF-8 XML that bears the date `epoch`, in UTC.

    A broken rule is a failure, one that was not evaluated an error, an inconclusive one a failure, or
    skipped where the policy says ``on_inconclusive: warn``; a waived one is skipped with the waiver.
    """
    result = publishable(result)
    facts = Facts.of(result, epoch)
    verdicts = result.evaluation.verdicts
    warns = (result.settings.get("policy") or {}).get("on_inconclusive") == "warn"
    cases = [_case(facts, verdict, warns) for verdict in verdicts]
    counts = {name: str(sum(case.find(tag) is not None for case in cases)) for name, tag in _COUNTS.items()}
    about = {"name": _text(result.name), "tests": str(len(cases)), "time": "0"}
    root = ET.Element("testsuites", {**about, "failures": counts["failures"], "errors": counts["errors"]})
    stamp = epoch.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    suite = ET.SubElement(root, "testsuite", {**about, **counts, "timestamp": stamp})
    suite.extend(cases)
    ET.indent(root)
    body: bytes = ET.tostring(root, encoding="utf-8")
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + body + b"\n"


def _case(facts: Facts, verdict: Verdict, warns: bool) -> ET.Element:
    name = {"name": _text(verdict.rule), "classname": _text(facts.result.name), "time": "0"}
    case = ET.Element("testcase", name)
    properties = ET.SubElement(case, "properties")
    for key, value in verdict_values(verdict).items():
        if key not in ("rule", "reason") and value is not None:
            told = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            ET.SubElement(properties, "property", {"name": key, "value": _text(told)})
    tag = _tag(verdict, warns)
    waiver = waivers.text(verdict)
    if tag is not None:
        first = waiver if tag == "skipped" and waiver else ""
        message = " ".join(filter(None, (first, words.statement(verdict.reason))))
        outcome = ET.SubElement(case, tag, {"message": _text(message)})
        if tag != "skipped":
            outcome.set("type", verdict.status)
    settings = facts.rules.get(verdict.rule) or {}
    asked = words.rule(settings, multiclass=facts.multiclass) if settings else ""
    lines = (asked, f"{waivers.status(verdict)}. {words.statement(verdict.reason)}", waiver)
    ET.SubElement(case, "system-out").text = _text("\n".join(filter(None, lines)))
    return case


def _tag(verdict: Verdict, warns: bool) -> str | None:
    if verdict.status == "pass":
        return None
    if verdict.waived or (verdict.status == "inconclusive" and warns):
        return "skipped"
    return _TAGS[verdict.status]


def _text(text: str) -> str:
    """The text with what XML cannot hold, and what is not seen, spelt out."""
    return _FORBIDDEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", str(visible(text)))


def _files(result: AuditResult, report: Report) -> Files:
    return {"junit.xml": render_junit(result, report.epoch)}


FORMAT = Format("junit", "The verdicts as test cases, for pipelines: junit.xml.", _files)
