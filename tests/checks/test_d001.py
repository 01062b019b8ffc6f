"""D001: planted shares of missing metadata are found, to the row."""

from __future__ import annotations

from imgid_audit.core.factor import MISSING


def test_a_planted_share_is_found(run, make) -> None:
    rows = make.manifest(["a"] * 100, sex=[MISSING] * 7 + ["f"] * 93, view=["pa"] * 100)
    finding = run("D001", rows)
    assert (finding.status, finding.severity) == ("finding", "medium")
    assert finding.evidence["attributes"]["sex"] == {"missing": 7, "rows": 100, "share": 0.07}
    assert finding.evidence["attributes"]["view"]["missing"] == 0
    assert "sex in 7.0 % of the rows (7 of 100)" in finding.reason
    assert "view" not in finding.reason


def test_the_threshold_is_the_parameter(run, make) -> None:
    rows = make.manifest(["a"] * 100, sex=[MISSING] * 7 + ["f"] * 93)
    assert run("D001", rows, {"max_share": 0.07}).status == "passed"
    assert run("D001", rows, {"max_share": 0.069}).status == "finding"


def test_excluded_rows_do_not_count(run, make) -> None:
    rows = make.manifest(["a"] * 10, excluded=[0, 1], sex=[MISSING] * 2 + ["f"] * 8)
    assert run("D001", rows).evidence["attributes"]["sex"] == {"missing": 0, "rows": 8, "share": 0}


def test_without_attributes_there_is_nothing_to_ask(run, make) -> None:
    assert run("D001", make.manifest(["a", "b"])).status == "not_applicable"
