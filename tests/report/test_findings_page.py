"""Evidence of a check on the page: words and rounded numbers, never a record as it is stored."""

from __future__ import annotations

from dataclasses import replace

from imgid_audit.core.result import Finding
from imgid_audit.report import SECTIONS
from imgid_audit.report.facts import Facts
from imgid_audit.report.sections.findings import FindingLine, Findings
from tests.report import factory

GAP = {"slice": {"device": "copier"}, "train": 0.75641, "val": 0.8, "gap": -0.0436, "low": -0.2, "high": 0.1, "n": 65}


def line(**evidence: object) -> FindingLine:
    found = Finding("M002", "Overfitting", "passed", "medium", "the gap is small", evidence)
    page = SECTIONS["findings"].build(Facts.of(replace(factory.audit(), findings=(found,)), factory.EPOCH))
    assert isinstance(page, Findings)
    return page.lines[0]


def facts(**evidence: object) -> dict[str, str]:
    return {fact.term: fact.text.replace("\xa0", " ") for fact in line(**evidence).evidence}


def test_records_of_slices_stay_in_audit_json() -> None:
    found = facts(gaps=[{**GAP, "slice": {}}, GAP], total=GAP, poor=[], epochs=10, least_val_loss=0.4351234)
    assert found == {
        "Epochs": "10", "Gaps": "2 entries, in audit.json", "Least val loss": "0.435", "Poor": "none",
        "Total": "in audit.json",
    }  # fmt: skip


def test_shallow_evidence_is_words_and_rounded_numbers() -> None:
    assert facts(falls=[0.0821635, 0.2064986], counts={"F": 12, "M": 3}) == {
        "Counts": "F: 12; M: 3", "Falls": "0.082, 0.206",
    }  # fmt: skip
