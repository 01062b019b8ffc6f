"""M001: groups in which a model does no better than the commonest label."""

from __future__ import annotations

from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.evaluation import evaluate


def judged(run, make, labels, predicted, params=None, metrics=("accuracy",), **attributes):
    rows = make.manifest(labels, **attributes)
    decisions = make.decisions(rows, predicted)
    evaluation = evaluate(decisions, EvaluationSpec(metrics))
    return run("M001", rows, params, decisions=decisions, evaluation=evaluation)


def test_the_planted_group_is_named(run, make) -> None:
    """In north the model is right always; in south it says `a` always, and three in four are."""
    labels = ["a", "b"] * 50 + ["a", "a", "a", "b"] * 25
    predicted = ["a", "b"] * 50 + ["a"] * 100
    finding = judged(run, make, labels, predicted, site=["north"] * 100 + ["south"] * 100)
    assert finding.status == "finding"
    assert [row["slice"] for row in finding.evidence["slices"]] == [{"site": "south"}]
    (row,) = finding.evidence["slices"]
    assert (row["accuracy"], row["majority_share"], row["majority_label"], row["n"]) == (0.75, 0.75, "a", 100)
    assert "site = south" in finding.reason


def test_a_good_model_passes(run, make) -> None:
    assert judged(run, make, ["a", "b"] * 50, ["a", "b"] * 50, sex=["f", "m"] * 50).status == "finding"
    mixed = ["f", "f", "m", "m"] * 25
    assert judged(run, make, ["a", "b"] * 50, ["a", "b"] * 50, sex=mixed).status == "passed"


def test_small_slices_are_counted_apart(run, make) -> None:
    labels, site = ["a", "b"] * 52, ["north"] * 100 + ["south"] * 4
    finding = judged(run, make, labels, labels, site=site)
    assert (finding.status, finding.evidence["too_small"]) == ("passed", 1)
    assert judged(run, make, labels, labels, {"min_rows": 4}, site=site).evidence["too_small"] == 0


def test_what_cannot_be_asked(run, make) -> None:
    rows = make.manifest(["a", "b"] * 5)
    assert run("M001", rows).status == "skipped"
    assert judged(run, make, ["a", "b"] * 9, ["a", "b"] * 9, metrics=("recall",)).status == "skipped"
