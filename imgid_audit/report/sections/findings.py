"""Findings of the checks: what they found, what passed, and which could not run."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from imgid_audit.core.result import Finding
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Fact, StatusKind
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section

SEVERITIES = ("high", "medium", "low", "info")
STATUSES = ("finding", "passed", "skipped", "not_applicable")
EVIDENCE = 12


@dataclass(frozen=True, slots=True)
class FindingLine:
    """One check and its outcome."""

    code: str
    title: str
    status: str
    kind: StatusKind
    severity: str
    reason: str
    evidence: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """Payload: findings by severity, then what passed, then what did not run."""

    lead: str
    lines: tuple[FindingLine, ...]


def build(facts: Facts) -> Findings | None:
    """Payload of the section; None where no check was registered for the audit."""
    found = facts.result.findings
    if not found:
        return None
    tally = Counter(f.status for f in found)
    said = [f"{numbers.count(tally[s])} {words.FINDING_WORDS[s].lower()}" for s in STATUSES if tally[s]]
    order = sorted(found, key=lambda f: (STATUSES.index(f.status), SEVERITIES.index(f.severity), f.code))
    lead = f"Of {numbers.plural(len(found), 'check')}: {', '.join(said)}. What did not run is listed with its reason."
    return Findings(lead, tuple(_line(f) for f in order))


def _line(finding: Finding) -> FindingLine:
    severity = f"{finding.severity} severity" if finding.status == "finding" else ""
    items = sorted(finding.evidence.items())
    shown = [Fact(_term(str(key)), _text(value)) for key, value in items[:EVIDENCE]]
    if len(items) > EVIDENCE:
        shown.append(Fact("more", f"{numbers.count(len(items) - EVIDENCE)} entries, in audit.json"))
    return FindingLine(
        finding.code,
        finding.title,
        words.FINDING_WORDS[finding.status],
        words.STATUS_KINDS[finding.status],
        severity,
        words.statement(finding.reason),
        tuple(shown),
    )


def _term(key: str) -> str:
    return words.sentence(key.replace("_", " "))


def _text(value: Any) -> str:
    """Evidence as text: plain numbers with their digits, structures as JSON, long ones cut and said so."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return numbers.count(value)
    if isinstance(value, float):
        return numbers.decimal(value)
    if isinstance(value, list | tuple) and all(isinstance(item, str | int | float) for item in value):
        value = ", ".join(_text(item) for item in value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return text if len(text) <= 400 else f"{text[:400]}… (cut; whole in audit.json)"


SECTION = Section("findings", "Findings of checks", "What the checks found, and which could not run.", build)
