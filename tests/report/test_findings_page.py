"""Evidence of a check on the page: words and rounded numbers, never a record as it is stored."""

from __future__ import annotations

from dataclasses import replace

from imgid_audit.core.result import Finding, Privacy
from imgid_audit.report import SECTIONS, publishable
from imgid_audit.report.facts import Facts
from imgid_audit.report.sections.findings import FindingLine, Findings
from imgid_audit.report.sections.limits import Limits
from tests.report import factory

GAP = {"slice": {"device": "copier"}, "train": 0.75641, "val": 0.8, "gap": -0.0436, "low": -0.2, "high": 0.1, "n": 65}


def line(**evidence: object) -> FindingLine:
    found = Finding("M002", "Overfitting", "passed", "medium", "the gap is small", evidence)
    page = SECTIONS["findings"].build(Facts.of(replace(factory.audit(), findings=(found,)), factory.EPOCH))
    assert isinstance(page, Findings)
    return page.lines[0]


def facts(**evidence: object) -> dict[str, str]:
    return {fact.term: fact.text.replace("\xa0", " ") for fact in line(**evidence).evidence}


def test_what_the_data_cannot_tell_comes_after_findings_and_is_a_limit() -> None:
    found = (
        Finding("D001", "Missing metadata", "passed", "info", "none is missing"),
        Finding("M002", "Overfitting", "inconclusive", "info", "the data cannot tell whether there is a gap"),
        Finding("M003", "Underfitting", "finding", "medium", "the training rows are not learnt"),
        Finding("D005", "Same image in two splits", "skipped", "info", "images were not hashed"),
    )
    facts = Facts.of(replace(factory.audit(), findings=found), factory.EPOCH)
    page, limits = SECTIONS["findings"].build(facts), SECTIONS["limits"].build(facts)
    assert isinstance(page, Findings)
    assert [(one.code, one.status, one.kind, one.severity) for one in page.lines] == [
        ("M003", "Finding", "bad", "medium severity"),
        ("M002", "Cannot tell", "open", ""),
        ("D001", "Passed", "good", ""),
        ("D005", "Not run", "off", ""),
    ]
    assert "1 found something, 1 cannot tell, 1 passed, 1 not run" in page.lead.replace("\xa0", " ")
    assert isinstance(limits, Limits)
    told = {limit.title: limit.items for limit in limits.limits}
    assert told["Checks that the data cannot answer"] == (
        "M002 Overfitting: cannot tell, the data cannot tell whether there is a gap.",
    )
    assert told["Checks that did not run"] == ("D005 Same image in two splits: not run, images were not hashed.",)


def test_where_details_are_hidden_the_status_stays() -> None:
    open_one = Finding("M002", "Overfitting", "inconclusive", "info", "F: 3 rows", {"gaps": [GAP]})
    result = replace(factory.audit(), findings=(open_one,), privacy=Privacy(11, ("sex",)))
    (shown,) = publishable(result).findings
    assert (shown.status, shown.evidence) == ("inconclusive", {})
    assert "F: 3" not in shown.reason


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
