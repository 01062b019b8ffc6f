"""M002: memorised training rows, and training that went too far."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.fit import Curves, Fit
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.evaluation.generalisation import generalisation

TASK = Task("binary", ("a", "b"), "b")
FLAT = (0.6, 0.4, 0.3, 0.3, 0.3, 0.3)


def side(rights: Sequence[tuple[int, int]]) -> Decisions:
    """Rows of devices d0, d1, ...: so many right of so many."""
    rows = [n for _, n in rights]
    label = np.arange(sum(rows), dtype=np.int32) % 2
    hit = np.concatenate([np.arange(n) < right for right, n in rights])
    device = Factor("device", tuple(f"d{i}" for i in range(len(rows))), np.repeat(np.arange(len(rows)), rows))
    return Decisions(TASK, label, np.where(hit, label, 1 - label), None, None, (device,))


def fit(
    train: Sequence[tuple[int, int]],
    val: Sequence[tuple[int, int]],
    train_loss: Sequence[float] = FLAT,
    val_loss: Sequence[float | None] = FLAT,
    best_epoch: int = 6,
) -> Fit:
    curves = Curves(tuple(train_loss), tuple(val_loss), (0.001,) * len(train_loss), best_epoch, "accuracy on val",
                    "all epochs", ())  # fmt: skip
    return Fit(curves, generalisation(side(train), side(val), IntervalSpec()))


@pytest.fixture
def rows(make):
    return make.manifest(["a", "b"])


def test_a_gap_at_the_end_is_found(run, rows) -> None:
    finding = run("M002", rows, fit=fit([(99, 100), (100, 100)], [(70, 100), (72, 100)]))
    assert (finding.status, finding.severity) == ("finding", "medium")
    assert finding.reason.startswith("accuracy is 99.5 % on train and 71.0 % on val, a gap of 28.5 points (95 % int")
    assert "too large for device = d0: 29.0 points" in finding.reason
    assert finding.evidence["gaps"][0]["gap"] == pytest.approx(0.285)
    assert [one["slice"] for one in finding.evidence["gaps"]] == [{}, {"device": "d0"}, {"device": "d1"}]


def test_what_to_change_names_what_the_config_has(run, rows) -> None:
    given = fit([(100, 100), (100, 100)], [(70, 100), (72, 100)])
    settings = {"train": {"weight_decay": 0.0001, "augment": {"hflip": 0.0}}, "model": {"architecture": "resnet18"}}
    plain = run("M002", rows, fit=given, settings=settings).reason
    assert "more of train.weight_decay (0.0001) or model.dropout; train.augment (nothing is on)" in plain
    assert "a smaller network than model.architecture (resnet18)" in plain
    written = {"train": {"weight_decay": 0.0001, "augment": {"hflip": 0.5}}}
    chosen = run("M002", rows, fit=given, settings=settings, given=written).reason
    assert "train.augment (nothing is on, as the search chose)" in chosen
    settings["train"]["augment"]["hflip"] = 0.5
    assert "stronger train.augment" in run("M002", rows, fit=given, settings=settings).reason


def test_the_gap_that_passes_is_the_parameter_and_its_interval_decides(run, rows) -> None:
    given = fit([(450, 500), (450, 500)], [(390, 500), (390, 500)])  # 12 points, 9 to 15 or so
    assert run("M002", rows, fit=given).status == "finding"
    assert run("M002", rows, {"max_gap": 0.2}, fit=given).status == "passed"
    few = fit([(9, 10), (9, 10)], [(8, 10), (7, 10)])  # 15 points of twenty rows: nothing is shown
    unsure = run("M002", rows, fit=few)
    assert (unsure.status, unsure.severity) == ("inconclusive", "info")
    said = "the data cannot tell whether the gap is above 5.0 points (all rows; device = d0; device = d1): more val"
    assert said in unsure.reason
    sure = run("M002", rows, fit=fit([(900, 1000), (900, 1000)], [(900, 1000), (899, 1000)]))
    assert sure.status == "passed"
    assert sure.reason.endswith("the gap is at most 5.0 points, of all rows and of every group")


def test_a_group_that_val_says_too_little_of_is_named(run, rows) -> None:
    """All rows are shown to have no gap; d1 has four val rows, d2 has none."""
    given = fit([(1900, 2000), (48, 50), (20, 20)], [(1900, 2000), (4, 4), (0, 0)])
    finding = run("M002", rows, fit=given)
    assert given.gaps[0].interval.high < 0.05
    assert finding.status == "inconclusive"
    assert (
        "cannot tell whether the gap is above 5.0 points (device = d1; device = d2, no val rows): more"
        in finding.reason
    )


def test_a_group_that_training_rows_have_none_of_leaves_nothing_open(run, rows) -> None:
    given = fit([(1900, 2000), (0, 0)], [(1900, 2000), (2, 4)])
    assert run("M002", rows, fit=given).status == "passed"


def test_one_group_alone_is_named(run, rows) -> None:
    given = fit([(1900, 2000), (99, 100)], [(1900, 2000), (60, 100)])
    finding = run("M002", rows, fit=given)
    assert given.gaps[0].interval.low < 0.05
    assert finding.status == "finding"
    assert "too large for device = d1: 39.0 points" in finding.reason
    assert "d0" not in finding.reason


def test_groups_hold_together() -> None:
    """Of many alike groups hardly one is named by chance: their limits are wider than each would be alone."""
    alone, among = fit([(95, 100)], [(85, 100)]), fit([(95, 100)] * 20, [(85, 100)] * 20)
    assert among.gaps[1].interval.low < alone.gaps[1].interval.low


def test_better_on_val_is_no_finding(run, rows) -> None:
    assert run("M002", rows, fit=fit([(50, 100)], [(90, 100)])).status == "passed"


LEARNS = (0.7, 0.5, 0.3, 0.1, 0.05, 0.01, 0.01)


@pytest.mark.parametrize(("kept", "said"), [(3, "epoch 3, before the rise"), (6, "epoch 6, 3 epochs into it")])
def test_careless_last_epochs_are_found_and_the_kept_weights_told(run, rows, kept: int, said: str) -> None:
    val = (0.7, 0.55, 0.5, 0.6, 0.8, 1.1, 1.2)
    given = fit([(90, 100)], [(90, 100)], LEARNS, val, kept)
    finding = run("M002", rows, fit=given)
    assert finding.status == "finding"
    assert "after epoch 3 of 7 validation loss rose from 0.50 to 1.10 while training loss fell from 0.30 to 0.01" in (
        finding.reason
    )
    assert said in finding.reason
    assert "fewer epochs or train.patience" in finding.reason
    assert run("M002", rows, {"max_rise": 0.5}, fit=given).status == "inconclusive"


def test_one_bad_epoch_or_validation_noise_alone_is_no_rise(run, rows) -> None:
    spike = (0.7, 0.55, 0.5, 0.5, 0.5, 2.0, 0.5)
    assert run("M002", rows, fit=fit([(900, 1000)], [(900, 1000)], LEARNS, spike)).status == "passed"
    noisy, level = (0.7, 0.55, 0.3, 0.5, 0.6, 0.6, 0.6), (0.7, 0.5, 0.45, 0.45, 0.45, 0.44, 0.44)
    assert run("M002", rows, fit=fit([(900, 1000)], [(900, 1000)], level, noisy)).status == "passed"


def test_what_cannot_be_asked(run, rows) -> None:
    assert run("M002", rows).status == "not_applicable"
    assert "nothing was trained" in run("M002", rows, fit=Fit(None, ())).reason
    no_val = run("M002", rows, fit=Fit(fit([(1, 1)], [(1, 1)], val_loss=(None,) * 6).curves, ()))
    assert (no_val.status, no_val.reason) == ("not_applicable", "there is no val split to compare with")
    lost = run("M002", rows, fit=Fit(fit([(1, 1)], [(1, 1)]).curves, ()))
    assert (lost.status, lost.reason) == ("skipped", "train and val cannot be compared: no row was predicted")
    empty = fit([(0, 0)], [(1, 1)])
    assert run("M002", rows, fit=empty).reason == "train and val cannot be compared: no rows on train"
