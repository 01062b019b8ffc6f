"""D003: class imbalance among the rows that a model learns from."""

from __future__ import annotations


def test_the_ratio_is_that_of_train(run, make) -> None:
    labels = ["a"] * 33 + ["b"] * 3 + ["a", "b"] * 20
    finding = run("D003", make.manifest(labels, split=["train"] * 36 + ["test"] * 40))
    assert finding.status == "finding"
    assert finding.evidence["ratio"] == 11
    assert finding.evidence["split"] == "train"
    assert "a has 33 rows and b has 3 in train, 11.0 to 1" in finding.reason


def test_without_train_all_rows_are_looked_at(run, make) -> None:
    finding = run("D003", make.manifest(["a"] * 30 + ["b"] * 3))
    assert (finding.status, finding.evidence["ratio"], finding.evidence["split"]) == ("passed", 10, "all splits")
    assert run("D003", make.manifest(["a"] * 30 + ["b"] * 3), {"max_ratio": 9.9}).status == "finding"


def test_a_label_that_never_occurs_is_a_finding(run, make) -> None:
    finding = run("D003", make.manifest(["a"] * 5, levels=["a", "b", "c"]))
    assert finding.status == "finding"
    assert "labels without any row in all splits: b, c" in finding.reason


def test_no_rows_no_answer(run, make) -> None:
    assert run("D003", make.manifest(["a", "b"], excluded=[0, 1])).status == "skipped"
