"""D006: splits that are small or lack a label."""

from __future__ import annotations


def test_absent_labels_and_small_splits_are_named(run, make) -> None:
    labels = ["a", "b"] * 40 + ["a"] * 40 + ["a", "b"] * 5
    finding = run("D006", make.manifest(labels, split=["train"] * 80 + ["test"] * 40 + ["val"] * 10))
    assert (finding.status, finding.severity) == ("finding", "high")
    assert "test has no b" in finding.reason
    assert "val has 10 rows" in finding.reason
    assert finding.evidence["labels"]["test"] == {"a": 40, "b": 0}
    assert "adjust" not in finding.evidence["labels"]


def test_whole_splits_pass(run, make) -> None:
    finding = run("D006", make.manifest(["a", "b"] * 40, split=["train"] * 40 + ["test"] * 40))
    assert finding.status == "passed"
    assert finding.reason.endswith("train 40, test 40")
    assert run("D006", make.manifest(["a", "b"] * 40), {"min_rows": 81}).status == "finding"


def test_no_test_rows_is_always_a_finding(run, make) -> None:
    assert "test has no rows" in run("D006", make.manifest(["a", "b"] * 40, split=["train"] * 80)).reason


def test_nothing_left_is_not_applicable(run, make) -> None:
    assert run("D006", make.manifest(["a", "b"], excluded=[0, 1])).status == "not_applicable"
