"""Findings of the checks: what they found, what they cannot tell, what passed, and which could not run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgid_audit.core.result import Finding
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Fact, StatusKind
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section

SEVERITIES = ("high", "medium", "low", "info")
STATUSES = ("finding", "inconclusive", "passed", "skipped", "not_applicable")
ENDED = {"finding": "found something"}
"""How a check ended, after a number of them, where the pill's word does not do."""

EVIDENCE = 12
LONGEST = 400


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
    """Payload: findings by severity, then what the data cannot tell, what passed, what did not run."""

    lead: str
    lines: tuple[FindingLine, ...]


def build(facts: Facts) -> Findings | None:
    """Payload of the section; None where no check was registered for the audit."""
    found = facts.result.findings
    if not found:
        return None
    tally: Counter[str] = Counter(f.status for f in found)
    said = [f"{numbers.count(tally[s])} {ENDED.get(s, words.FINDING_WORDS[s].lower())}" for s in STATUSES if tally[s]]
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
    """Evidence as text; a long one is cut, and says so. Records of slices are counted, for they are unreadable."""
    if _is_record(value):
        return "in audit.json"
    if isinstance(value, list | tuple) and value and all(map(_is_record, value)):
        return f"{numbers.plural(len(value), 'entry', 'entries')}, in audit.json"
    text = _words(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… (cut; whole in audit.json)"


def _is_record(value: Any) -> bool:
    return isinstance(value, Mapping) and "slice" in value


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return numbers.count(value)
    if isinstance(value, float):
        return numbers.decimal(value) if math.isfinite(value) else "not finite"
    if isinstance(value, Mapping):
        return "; ".join(_entry(key, item) for key, item in sorted(value.items(), key=str)) or "none"
    if isinstance(value, list | tuple):
        nested = any(isinstance(item, Mapping | list | tuple) for item in value)
        return (" | " if nested else ", ").join(_words(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _entry(key: object, item: Any) -> str:
    return f"{key} ({_words(item)})" if isinstance(item, Mapping) else f"{key}: {_words(item)}"


SECTION = Section("findings", "Findings of checks", "What the checks found, and which could not run.", build)
