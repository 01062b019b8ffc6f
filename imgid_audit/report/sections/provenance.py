"""Provenance: hashes, versions, and the settings as they were run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgid_audit.report import audited, words
from imgid_audit.report.blocks import Fact
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section


@dataclass(frozen=True, slots=True)
class FactGroup:
    """Facts under one heading."""

    title: str
    facts: tuple[Fact, ...]


@dataclass(frozen=True, slots=True)
class Provenance:
    """Payload: facts by heading, and the settings as JSON text, line by line."""

    lead: str
    groups: tuple[FactGroup, ...]
    settings: str


def build(facts: Facts) -> Provenance:
    """Payload of the section. The result's `run` block (time, place) is not in it: it differs between equal runs."""
    known = facts.result.provenance
    groups = [
        FactGroup("SHA-256 hashes", tuple(Fact(_term(k), v, True) for k, v in sorted(audited.hashes(known).items())))
    ]
    others = {key: value for key, value in known.items() if key != "hashes"}
    plain = {key: value for key, value in others.items() if not isinstance(value, Mapping)}
    nested = {key: value for key, value in others.items() if isinstance(value, Mapping)}
    groups += [FactGroup(_term(key), _facts(value)) for key, value in sorted(nested.items())]
    groups.append(FactGroup("Other", _facts(plain)))
    lead = "With these inputs, versions and settings the same audit gives the same bytes."
    return Provenance(lead, tuple(g for g in groups if g.facts), _json(facts.result.settings))


def _facts(values: Mapping[str, Any]) -> tuple[Fact, ...]:
    return tuple(Fact(str(key), _text(value)) for key, value in sorted(values.items()))


def _term(key: str) -> str:
    return words.sentence(key.replace("_", " "))


def _text(value: Any) -> str:
    if value is None or value == "":
        return "–"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _json(settings: Mapping[str, Any]) -> str:
    return json.dumps(settings, indent=2, ensure_ascii=False, sort_keys=True, default=str)


SECTION = Section("provenance", "Provenance", "Hashes, versions and settings of the run.", build)
