"""M002: training that went too far."""

from __future__ import annotations

from imgid_audit.checks import TrainingCurve


def test_a_gap_at_the_end_is_found(run, make) -> None:
    rows = make.manifest(["a", "b"])
    finding = run("M002", rows, training=TrainingCurve((0.5, 0.7, 0.99), (0.5, 0.69, 0.7)))
    assert finding.status == "finding"
    assert finding.evidence == {"train_accuracy": 0.99, "val_accuracy": 0.7, "epochs": 3}
    assert "99.0 % on train and 70.0 % on val" in finding.reason


def test_the_gap_that_passes_is_the_parameter(run, make) -> None:
    rows, curve = make.manifest(["a", "b"]), TrainingCurve((0.9,), (0.8,))
    assert run("M002", rows, training=curve).status == "passed"
    assert run("M002", rows, {"max_gap": 0.05}, training=curve).status == "finding"


def test_better_on_val_is_no_finding(run, make) -> None:
    assert run("M002", make.manifest(["a", "b"]), training=TrainingCurve((0.5,), (0.9,))).status == "passed"


def test_what_cannot_be_asked(run, make) -> None:
    rows = make.manifest(["a", "b"])
    assert run("M002", rows).status == "not_applicable"
    assert run("M002", rows, training=TrainingCurve((), ())).status == "skipped"
