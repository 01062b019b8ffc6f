"""M003: training rows that were not learnt, and training that stopped while it learnt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.checks.test_m002 import fit

GUESS = (0.69,) * 6
LEARNT = (0.6, 0.3, 0.1, 0.1, 0.1, 0.1)


@pytest.fixture
def rows(make):
    """As many of both labels among 400 training rows of two devices."""
    return balanced(make, 400)


def balanced(make, n: int):
    devices = [f"d{int(i >= n // 2)}" for i in range(n)]
    return make.manifest(["a", "b"] * (n // 2), split=["train"] * n, device=devices)


def test_rows_that_were_not_learnt_are_found(run, rows) -> None:
    finding = run("M003", rows, fit=fit([(110, 200), (104, 200)], [(60, 100), (50, 100)], GUESS, GUESS))
    assert (finding.status, finding.severity) == ("finding", "medium")
    assert "accuracy on the training rows is 53.5 %, where the commonest label alone is 50.0 %" in finding.reason
    assert "a larger network" in finding.reason
    assert "let a person name a sample" in finding.reason
    assert finding.evidence["asked"] == 0.75


def test_what_to_change_names_what_holds_it_back(run, rows) -> None:
    given = fit([(110, 200), (104, 200)], [(60, 100), (50, 100)], GUESS, GUESS)
    settings = {"train": {"epochs": 6, "lr": 1e-6, "weight_decay": 0.5, "augment": {"rotation": 30.0}},
                "model": {"architecture": "smallcnn", "dropout": 0.0}}  # fmt: skip
    reason = run("M003", rows, fit=given, settings=settings).reason
    assert "more of train.epochs (6); another train.lr (1e-06), larger first" in reason
    assert "less of train.weight_decay (0.5), train.augment" in reason
    assert "model.dropout" not in reason


def test_what_a_search_chose_is_told_as_that(run, rows) -> None:
    given = fit([(110, 200), (104, 200)], [(60, 100), (50, 100)], GUESS, GUESS)
    settings = {"train": {"epochs": 6, "lr": 0.002726}, "model": {"architecture": "smallcnn"}}
    written = {"train": {"epochs": 6, "lr": 0.001}, "model": {"architecture": "smallcnn"}}
    reason = run("M003", rows, fit=given, settings=settings, given=written).reason
    assert "more of train.epochs (6); another train.lr (0.002726, as the search chose), larger first" in reason
    assert "model.architecture (smallcnn)" in reason


def test_weights_of_an_early_epoch_are_told_as_that(run, rows) -> None:
    """Later epochs remember: more of them is no advice."""
    losses = (0.69, 0.6, 0.3, 0.1, 0.05, 0.02), (0.69, 0.7, 0.8, 0.9, 0.9, 0.9)
    finding = run("M003", rows, fit=fit([(105, 200), (104, 200)], [(55, 100), (50, 100)], *losses, best_epoch=1))
    assert finding.status == "finding"
    assert "are of epoch 1 of 6; the last epochs learnt the training rows (training loss 0.02)" in finding.reason
    assert "train.epochs" not in finding.reason


def test_learnt_rows_pass_whatever_the_gap(run, rows) -> None:
    memory = fit([(200, 200), (200, 200)], [(60, 100), (60, 100)], LEARNT, (0.6, 0.7, 0.9, 1.2, 1.5, 1.6))
    assert run("M003", rows, fit=memory).status == "passed"
    good = run("M003", rows, fit=fit([(190, 200), (190, 200)], [(95, 100), (95, 100)], LEARNT, LEARNT))
    assert (good.status, good.reason.endswith("the training rows are learnt")) == ("passed", True)


def test_what_is_asked_is_the_parameter(run, rows) -> None:
    given = fit([(170, 200), (170, 200)], [(85, 100), (85, 100)], GUESS, GUESS)
    assert run("M003", rows, fit=given).status == "passed"
    assert run("M003", rows, {"min_skill": 0.9}, fit=given).status == "finding"


def test_few_rows_cannot_tell(run, make) -> None:
    finding = run("M003", balanced(make, 20), fit=fit([(7, 10), (7, 10)], [(7, 10), (7, 10)], GUESS, GUESS))
    assert (finding.status, finding.severity) == ("inconclusive", "info")
    assert finding.reason.endswith("the data cannot tell whether that is enough")


def test_a_group_of_few_rows_cannot_tell_and_is_named(run, make) -> None:
    """All of eight rows right: by chance also where 70 % are."""
    rows = make.manifest(["a", "b"] * 204, split=["train"] * 408, device=["d0"] * 400 + ["d1"] * 8)
    finding = run("M003", rows, fit=fit([(390, 400), (8, 8)], [(95, 100), (2, 2)], LEARNT, LEARNT))
    assert finding.status == "inconclusive"
    assert "over all rows they are learnt; whether those of device = d1 (100 %; commonest label 50.0 %) are, the" in (
        finding.reason.replace("100.0", "100")
    )
    assert [one["slice"] for one in finding.evidence["cannot_tell"]] == [{"device": "d1"}]


def test_half_of_ten_classes_learnt_with_calm_probabilities_is_found(run, make) -> None:
    """Argmax decides, so nothing but the network lowers accuracy, however much of the loss it explains."""
    rows = make.manifest(list("abcdefghij") * 40, split=["train"] * 400, device=["d0"] * 400)
    calm = (2.0, 1.8, 1.6, 1.5, 1.5, 1.5)  # of log 10 = 2.3: a third is explained
    finding = run("M003", rows, fit=fit([(190, 400)], [(47, 100)], calm, calm))
    assert finding.status == "finding"
    assert "accuracy on the training rows is 47.5 %, where the commonest label alone is 10.0 %" in finding.reason
    assert finding.evidence["explained_loss"] == pytest.approx(1 - 1.5 / math.log(10))


def test_a_group_that_was_not_learnt_is_named(run, rows) -> None:
    given = fit([(198, 200), (104, 200)], [(99, 100), (50, 100)], LEARNT, LEARNT)
    finding = run("M003", rows, fit=given)
    assert finding.status == "finding"
    assert "low in device = d1 (52.0 %; commonest label 50.0 %)" in finding.reason
    assert [one["slice"] for one in finding.evidence["poor"]] == [{"device": "d1"}]


@pytest.mark.parametrize("n", [20, 100])
def test_of_thirty_groups_at_the_mark_hardly_one_is_called_low_by_chance(run, make, n: int) -> None:
    """Two labels alike: `min_skill` .8 asks for 90 % right, as every group truly is. 2.5 in 100 may be called low."""
    groups, draws, rng = 30, 200, np.random.default_rng(0)
    devices = [f"d{row // n}" for row in range(groups * n)]
    rows = make.manifest(["a", "b"] * (groups * n // 2), split=["train"] * (groups * n), device=devices)
    named = 0
    for _ in range(draws):
        right = rng.binomial(n, 0.9, groups)
        finding = run(
            "M003", rows, {"min_skill": 0.8}, fit=fit([(k, n) for k in right], [(1, 2)] * groups, GUESS, GUESS)
        )
        named += any(one["slice"] for one in finding.evidence["poor"])
    assert named / draws <= 0.05 + 3 * (0.05 * 0.95 / draws) ** 0.5


def test_a_group_that_is_far_below_is_named_among_thirty(run, make) -> None:
    devices = [f"d{row // 100}" for row in range(3000)]
    rows = make.manifest(["a", "b"] * 1500, split=["train"] * 3000, device=devices)
    given = fit([(60, 100)] + [(98, 100)] * 29, [(1, 2)] * 30, LEARNT, LEARNT)
    assert [one["slice"] for one in run("M003", rows, fit=given).evidence["poor"]] == [{"device": "d0"}]


def test_a_group_of_one_label_is_asked_no_more_than_all_rows(run, make) -> None:
    """95 % of d1 has one label; 93 % right there is no failure to learn, where all rows are asked 76 %."""
    labels = ["a", "b"] * 300 + ["a"] * 190 + ["b"] * 10
    rows = make.manifest(labels, split=["train"] * 800, device=["d0"] * 600 + ["d1"] * 200)
    given = fit([(570, 600), (184, 200)], [(57, 60), (18, 20)], LEARNT, LEARNT)
    assert run("M003", rows, fit=given).status == "passed"


def test_accuracy_that_a_threshold_lowers_is_told_as_that(run, make) -> None:
    """A screening threshold, or costs: 60 % right by design, while the losses are far below a guesser's."""
    rows = make.manifest(["a"] * 360 + ["b"] * 40, split=["train"] * 400, device=["d0"] * 400)
    low = math.log(2) / 20
    given = fit([(240, 400)], [(60, 100)], (0.3, 0.1, low, low, low, low), (0.3, 0.1, low, low, low, low))
    for settings in ({"operating_point": {"at": "specificity", "value": 0.5}}, {"costs": {"false_negative": 9}}):
        finding = run("M003", rows, fit=given, settings=settings)
        assert finding.status == "passed"
        assert finding.reason.endswith(f"low by its decisions ({next(iter(settings))}), not by its losses")
    poor = fit([(240, 400)], [(60, 100)], (0.32,) * 6, (0.32,) * 6)  # of .325 that guessing has
    assert run("M003", rows, fit=poor, settings={"operating_point": {"at": "specificity"}}).status == "finding"
    argmax = {"operating_point": None, "costs": None}
    assert run("M003", rows, fit=given, settings=argmax).status == "finding"


STILL = (0.7, 0.65, 0.6, 0.55, 0.45, 0.35)


@pytest.mark.parametrize(
    ("val", "status"), [(STILL, "finding"), ((0.7, 0.65, 0.6, 0.6, 0.6, 0.6), "passed"), (STILL[::-1], "passed")]
)
def test_losses_that_still_fell_are_found_where_val_agrees(run, rows, val: Sequence[float], status: str) -> None:
    finding = run("M003", rows, fit=fit([(180, 200), (180, 200)], [(90, 100), (90, 100)], STILL, val))
    assert finding.status == status
    if status == "finding":
        said = "in the last 2 epochs, training loss from 0.55 to 0.35 and validation loss from 0.55 to 0.35"
        assert said in finding.reason
        assert "images do not determine" not in finding.reason
        assert "train.epochs" in finding.reason


def test_losses_that_fall_beside_a_gap_or_after_a_spike_are_no_sign(run, rows) -> None:
    memory = fit([(200, 200), (200, 200)], [(60, 100), (60, 100)], STILL, STILL)
    assert run("M003", rows, fit=memory).status == "passed"
    assert run("M003", rows, {"max_gap": 0.9}, fit=memory).status == "finding"
    spike = (0.7, 0.4, 0.5, 3.0, 1.0, 0.4)
    given = fit([(180, 200), (180, 200)], [(90, 100), (90, 100)], STILL, spike)
    assert run("M003", rows, fit=given).status == "passed"


def test_one_epoch_tells_nothing_of_falling(run, rows) -> None:
    given = fit([(180, 200), (180, 200)], [(90, 100), (90, 100)], (0.5,), (0.5,), best_epoch=1)
    assert run("M003", rows, fit=given).evidence["falls"] == []


def test_resampled_rows_are_compared_with_even_labels(run, make) -> None:
    """Balanced by resampling, a loss of .4 tells something though the labels' own entropy is less."""
    rows = make.manifest(["a"] * 380 + ["b"] * 20, split=["train"] * 400, device=["d0"] * 400)
    given = fit([(320, 400)], [(80, 100)], (0.4,) * 6, (0.4,) * 6)
    assert run("M003", rows, fit=given).status == "finding"
    resampled = run("M003", rows, fit=given, settings={"train": {"resample": {"name": "oversample"}}})
    assert resampled.status == "passed"
    assert resampled.reason.endswith("training on labels in other shares (train.resample), not by its losses")


def test_what_cannot_be_asked(run, rows) -> None:
    assert run("M003", rows).status == "not_applicable"
    assert run("M003", rows, fit=replace(fit([(1, 1)], [(1, 1)]), gaps=())).status == "skipped"
