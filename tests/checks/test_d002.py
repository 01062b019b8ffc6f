"""D002: small groups, on the rows that are evaluated."""

from __future__ import annotations


def test_small_levels_and_thin_labels_are_named(run, make) -> None:
    labels = ["a"] * 20 + ["b"] * 20 + ["a"] * 20 + ["b"] * 3 + ["a"] * 4
    site = ["north"] * 40 + ["south"] * 23 + ["west"] * 4
    finding = run("D002", make.manifest(labels, site=site))
    assert finding.status == "finding"
    assert finding.evidence["rows"] == {"site": {"north": 40, "south": 23, "west": 4}}
    assert finding.evidence["labels_below"] == {"site": {"south": {"b": 3}, "west": {"a": 4, "b": 0}}}
    assert "fewer than 10 evaluated rows: site = west (4)" in finding.reason
    assert "of some label: site = south (3 of b)" in finding.reason


def test_only_test_rows_count_before_there_are_predictions(run, make) -> None:
    rows = make.manifest(["a", "b"] * 30, split=["train"] * 50 + ["test"] * 10, sex=["f", "m"] * 30)
    finding = run("D002", rows)
    assert finding.evidence["rows"] == {"sex": {"f": 5, "m": 5}}


def test_predicted_rows_count_once_there_are_any(run, make) -> None:
    rows = make.manifest(["a", "b"] * 30, sex=["f"] * 60)
    few = make.manifest(["a", "b"] * 2, sex=["f"] * 4)
    assert run("D002", rows).status == "passed"
    assert run("D002", rows, decisions=make.decisions(few, ["a"] * 4)).evidence["rows"] == {"sex": {"f": 4}}


def test_the_limit_is_the_policys_or_the_parameters(run, make) -> None:
    rows = make.manifest(["a", "b"] * 12, sex=["f"] * 24)
    assert run("D002", rows).status == "passed"
    assert run("D002", rows, min_support=13).status == "finding"
    assert run("D002", rows, {"min_rows": 12}, min_support=13).status == "passed"


def test_a_level_without_any_evaluated_row_is_small(run, make) -> None:
    rows = make.manifest(["a", "b"] * 20, split=["train"] * 2 + ["test"] * 38, sex=["x"] * 2 + ["f"] * 38)
    assert "sex = x (0)" in run("D002", rows).reason


def test_without_attributes_there_is_nothing_to_ask(run, make) -> None:
    assert run("D002", make.manifest(["a", "b"])).status == "not_applicable"


def test_the_limit_itself_is_enough(run, make) -> None:
    finding = run("D002", make.manifest(["a"] * 10 + ["a", "b"] * 20, site=["x"] * 10 + ["y"] * 40))
    assert "evaluated rows: " not in finding.reason
    assert "of some label: site = x (0 of b)" in finding.reason
    assert "site = x (9)" in run("D002", make.manifest(["a"] * 9 + ["a", "b"] * 20, site=["x"] * 9 + ["y"] * 40)).reason
