"""The search of training settings as a step: what it chooses by, what it must not look at, and how it goes on."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.checks import CheckContext, fitting, run_checks
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.fit import Search
from imgid_audit.io.content import hash_file
from imgid_audit.pipeline import assessing
from imgid_audit.pipeline.searching import trials
from tests.tiny import tiny_config, write_tiny

SPACE: dict[str, Any] = {
    "lr": {"low": 0.003, "high": 0.05, "log": True},
    "augment.hflip": [0, 0.5],
    "batch_size": [8, 16],
}
SEARCH = {"sampler": "tpe", "trials": 5, "confirm": 2, "pruner": "none", "space": SPACE}
TRAIN = {"epochs": 5, "lr": 0.00001, "batch_size": 16, "groups": ["device"]}


def config_in(folder: Path, search: dict[str, Any] | None = None, train: dict[str, Any] | None = None, **changes: Any):
    path = folder / "audit.yaml"
    block = {**TRAIN, "search": {**SEARCH, **(search or {})}, **(train or {})}
    path.write_text(yaml.safe_dump(tiny_config(train=block, **changes)))
    return ia.load_config(path)


def searched(outcome: pipeline.Outcome) -> Search:
    assert outcome.result is not None
    assert outcome.result.fit is not None
    assert outcome.result.fit.search is not None
    return outcome.result.fit.search


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, rows=120)
    return folder


@pytest.fixture(scope="module")
def finished(world: Path) -> pipeline.Outcome:
    return pipeline.run(config_in(world), out=world / "run")


def test_the_first_trial_is_as_given_and_the_best_is_chosen(finished: pipeline.Outcome) -> None:
    found = searched(finished)
    assert found.trials[0].parameters == {"lr": 0.00001, "augment.hflip": 0.0, "batch_size": 16}
    assert [trial.number for trial in found.trials] == list(range(5))
    values = [trial.value for trial in found.finished]
    assert found.choice is not None
    assert found.choice.value == max(value for value in values if value is not None)
    assert found.choice.value > (found.trials[0].value or 0)  # a rate of 1e-5 learns nothing in two epochs


def test_the_audited_network_is_that_of_the_chosen_settings(
    world: Path, finished: pipeline.Outcome, tmp_path: Path
) -> None:
    choice = searched(finished).choice
    assert choice is not None
    settings = {**TRAIN, "lr": choice.parameters["lr"], "batch_size": choice.parameters["batch_size"]}
    settings["augment"] = {"hflip": choice.parameters["augment.hflip"]}
    path = world / "chosen.yaml"
    path.write_text(yaml.safe_dump(tiny_config(train=settings)))
    alone = pipeline.run(ia.load_config(path), out=tmp_path / "run")
    weights = [folder / "model" / "weights.safetensors" for folder in (finished.folder, alone.folder)]
    assert hash_file(weights[0]) == hash_file(weights[1])
    assert alone.result is not None
    assert finished.result is not None
    assert alone.result.evaluation.estimates == finished.result.evaluation.estimates


def test_checks_know_what_was_given_and_what_the_search_chose(
    world: Path, finished: pipeline.Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[CheckContext] = []

    def noted(context: CheckContext, settings: Any) -> Any:
        seen.append(context)
        return run_checks(context, settings)

    monkeypatch.setattr(assessing, "run_checks", noted)
    pipeline.evaluate(config_in(world, intervals={"draws": 50, "level": 0.9}), out=world / "run")
    pipeline.evaluate(config_in(world), out=world / "run")
    choice = searched(finished).choice
    assert choice is not None
    assert fitting.named(seen[0], "train.lr") == f"train.lr ({choice.parameters['lr']:g}, as the search chose)"
    assert fitting.named(seen[0], "train.epochs") == "train.epochs (5)"


def test_the_choice_is_compared_with_seeds_that_no_trial_had(finished: pipeline.Outcome) -> None:
    found = searched(finished)
    assert found.seeds == (0, 1)
    assert set(found.val) == {"given", "chosen"}
    overall = [one for one in found.changes if one.quantity == "overall" and one.metric == "accuracy"]
    assert len(overall) == 1
    assert overall[0].verdict in ("helps", "harms", "no evidence")
    assert {one.quantity for one in found.changes} >= {"overall", "group", "worst_group", "worst_class"}


def test_nothing_is_chosen_by_test_labels(world: Path, finished: pipeline.Outcome, tmp_path: Path) -> None:
    """Other labels of the test rows: the same trials, the same choice, the same weights."""
    import pandas as pd

    kept = pd.read_parquet(finished.folder / "manifest.parquet")
    test = set(kept.loc[kept["split"] == "test", "id"])
    table = pd.read_csv(world / "metadata.csv", dtype=str)
    split = dict(zip(kept["id"], kept["split"], strict=True))
    for name in ("one", "other"):
        labels = table["label"].copy()
        if name == "other":
            swap = table["image"].isin(test)
            labels[swap] = labels[swap].map({"left": "right", "right": "left"})
        table.assign(label=labels, split=table["image"].map(split)).to_csv(world / f"{name}.csv", index=False)
    runs = []
    for name in ("one", "other"):
        data = {**tiny_config()["data"], "manifest": f"{name}.csv", "split": "split"}
        runs.append(pipeline.run(config_in(world, data=data), out=tmp_path / name))
    one, other = (searched(outcome) for outcome in runs)
    assert one.trials == other.trials
    assert one.chosen == other.chosen
    assert one.importance == other.importance
    files = [outcome.folder / "model" / "weights.safetensors" for outcome in runs]
    assert hash_file(files[0]) == hash_file(files[1])
    assert one.changes != other.changes  # while what is told of test did change


class Counter:
    """Counts the networks that trials train, and stops the search after `most`."""

    def __init__(self, work: Callable[..., Any], most: int, error: BaseException | None = None) -> None:
        self.work, self.most, self.count = work, most, 0
        self.error = error or StoppedError("stopped by the test")

    def __call__(self, *args: Any, **named: Any) -> Any:
        if self.count == self.most:
            raise self.error
        self.count += 1
        return self.work(*args, **named)


@pytest.mark.parametrize("after", [0, 1, 4])
def test_a_killed_search_goes_on_without_repeating_a_trial(
    world: Path, finished: pipeline.Outcome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    config = config_in(world)
    first = Counter(trials.trained, after, KeyboardInterrupt())
    monkeypatch.setattr(trials, "trained", first)
    with pytest.raises(KeyboardInterrupt):
        pipeline.run(config, out=tmp_path / "run")
    second = Counter(first.work, 99)
    monkeypatch.setattr(trials, "trained", second)
    outcome = pipeline.run(config, out=tmp_path / "run")
    assert first.count + second.count == 5
    assert searched(outcome) == searched(finished)
    third = Counter(first.work, 0)
    monkeypatch.setattr(trials, "trained", third)
    assert searched(pipeline.run(config, out=tmp_path / "run")) == searched(finished)
    assert third.count == 0


def test_processes_share_one_search(world: Path, finished: pipeline.Outcome, tmp_path: Path) -> None:
    config_in(world, {"sampler": "random"})
    command = [
        sys.executable,
        "-m",
        "imgid_audit.cli",
        "search",
        "--json",
        str(world / "audit.yaml"),
        "--out",
        str(tmp_path / "run"),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    both = [subprocess.Popen(command, env=environment, stdout=-1, stderr=-1) for _ in range(2)]
    told = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    assert all(json.loads(out)["search"]["complete"] == 5 for out, _ in told)
    outcome = pipeline.run(config_in(world, {"sampler": "random"}), out=tmp_path / "run")
    found = searched(outcome)
    assert [trial.number for trial in found.trials] == list(range(5))
    alone = searched(pipeline.run(config_in(world, {"sampler": "random"}), out=tmp_path / "alone"))
    assert found.trials == alone.trials  # random draws do not depend on what others found
    assert searched(finished).trials[0] == found.trials[0]


def test_where_the_settings_as_given_are_best_they_stay(world: Path, tmp_path: Path) -> None:
    space = {"lr": {"low": 1e-9, "high": 1e-8, "log": True}}
    outcome = pipeline.run(config_in(world, {"space": space, "trials": 3}, {"lr": 0.01}), out=tmp_path / "run")
    found = searched(outcome)
    assert found.chosen == 0
    assert found.changes == ()
    assert found.seeds == ()


def test_a_trial_that_diverges_is_told_and_the_others_go_on(world: Path, tmp_path: Path) -> None:
    space = {"lr": [1e30, 0.01]}
    outcome = pipeline.run(config_in(world, {"space": space, "sampler": "grid"}, {"lr": 0.001}), out=tmp_path / "run")
    found = searched(outcome)
    states = {trial.parameters["lr"]: trial for trial in found.trials}
    assert states[1e30].state == "failed"
    assert "train.lr" in states[1e30].reason
    assert states[0.01].state == "complete"
    assert found.ended == "grid exhausted"


def test_a_search_without_a_trial_to_choose_is_an_error(world: Path, tmp_path: Path) -> None:
    space = {"lr": [1e30, 1e31]}
    with pytest.raises(InputError, match="no trial could be completed"):
        pipeline.run(config_in(world, {"space": space}, {"lr": 1e32}), out=tmp_path / "run")


def test_evaluate_before_the_search_is_done_is_an_error(world: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no finished search yet"):
        pipeline.evaluate(config_in(world), out=tmp_path / "run")


def test_evaluate_and_report_show_the_search_again(world: Path, tmp_path: Path) -> None:
    config = config_in(world)
    whole = pipeline.run(config, out=tmp_path / "run")
    again = pipeline.evaluate(config, out=tmp_path / "run")
    assert searched(again) == searched(whole)
    assert searched(pipeline.report(config, out=tmp_path / "run")) == searched(whole)


def test_the_architecture_may_be_searched(world: Path, tmp_path: Path) -> None:
    space = {"architecture": ["smallcnn", "shufflenet_v2_x0_5"]}
    config = config_in(world, {"space": space, "sampler": "grid"}, {"lr": 0.01})
    outcome = pipeline.run(config, out=tmp_path / "run")
    choice = searched(outcome).choice
    assert choice is not None
    from imgid_audit.vision.metadata import read_metadata

    assert (
        read_metadata(tmp_path / "run" / "model" / "weights.safetensors").architecture
        == choice.parameters["architecture"]
    )


def test_an_objective_that_val_cannot_tell_is_refused_before_anything_runs(world: Path, tmp_path: Path) -> None:
    import pandas as pd

    table = pd.read_csv(world / "metadata.csv", dtype=str)
    people = table["patient"].unique()
    split = dict(zip(people, np.resize(["train", "val", "test"], len(people)), strict=True))
    table["split"] = table["patient"].map(split)
    table = table[(table["split"] != "val") | (table["label"] == "left")]
    table.to_csv(world / "one_class.csv", index=False)
    data = {**tiny_config()["data"], "manifest": "one_class.csv", "split": "split"}
    config = config_in(world, {"objective": {"metric": "auroc"}}, data=data)
    with pytest.raises(InputError, match="AUROC of “right” over all rows on val cannot be computed"):
        pipeline.check(config)


SMALL = "{} rows that count{}, fewer than policy.min_support ({})"
RIGHT, ONE = " for class 'right'", "fewer than two groups with enough rows"


@pytest.mark.parametrize(
    ("asked", "least", "left_out"),
    [
        ({"metric": "accuracy"}, 13, ["night (" + SMALL.format(5, "", 13)]),
        ({"metric": "accuracy", "of": "gap"}, 13, ["night (" + SMALL.format(5, "", 13)]),
        ({"metric": "recall"}, 10, ["day (" + SMALL.format(9, RIGHT, 10), "night (" + SMALL.format(3, RIGHT, 10)]),
        ({"metric": "accuracy", "ignore": ["day"]}, 1, ["day (ignored, as declared)", "leave out fewer levels"]),
        ({"metric": "accuracy", "ignore": ["day", "night"]}, 1, ["day (ignored, as declared); night (ignored, as"]),
    ],
)
def test_the_worst_of_one_group_is_no_objective(
    world: Path, asked: dict[str, Any], least: int, left_out: list[str]
) -> None:
    """Of 24 val rows 19 are by day. Whom it leaves out is told, with counts and the minimum."""
    config = config_in(world, {"objective": {"across": "device", **asked}}, policy={"min_support": least})
    with pytest.raises(InputError, match="device on val cannot be computed") as refused:
        pipeline.check(config)
    (problem,) = refused.value.problems
    assert problem.where == "[train > search > objective]"
    for part in (ONE, *left_out):
        assert part in problem.message
    assert ("policy.min_support" in problem.message) == (least > 1)


def test_a_choice_is_compared_anew_where_only_the_evaluation_changed(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = searched(pipeline.run(config_in(world), out=tmp_path / "run"))
    count = Counter(trials.trained, 0)
    monkeypatch.setattr(trials, "trained", count)
    narrow = config_in(world, intervals={"draws": 50, "level": 0.5})
    for again in (pipeline.evaluate(narrow, out=tmp_path / "run"), pipeline.run(narrow, out=tmp_path / "run")):
        found = searched(again)
        assert found.trials == whole.trials
        assert found.val == whole.val
        assert found.level == 0.5
        for old, new in zip(whole.changes, found.changes, strict=True):
            assert new.value == old.value
            if old.interval is not None and old.interval.high < 1:
                assert new.interval is not None
                assert new.interval.high < old.interval.high


def test_no_judged_network_has_the_seed_of_trials(world: Path, finished: pipeline.Outcome) -> None:
    """Nor any of the studies and comparisons that could be asked for beside the search."""
    from imgid_audit.vision.study_settings import SearchSettings, StudySettings

    most = max(SearchSettings(space=SPACE, confirm=100).confirm, StudySettings(seeds=100).seeds)
    assert most < trials.APART


def test_a_network_of_other_settings_than_were_chosen_is_trained_anew(world: Path, tmp_path: Path) -> None:
    """A search that had to be made again may choose otherwise: the network of the first choice is not passed off."""
    config = config_in(world)
    first = pipeline.run(config, out=tmp_path / "run")
    (tmp_path / "run" / "model" / "settled.json").write_text('"another choice"')
    with pytest.raises(InputError, match="holds no trained model yet"):
        pipeline.evaluate(config, out=tmp_path / "run")
    again = pipeline.run(config, out=tmp_path / "run")
    assert again.result is not None
    assert first.result is not None
    assert again.result.evaluation.estimates == first.result.evaluation.estimates


def test_a_study_that_cannot_be_written_is_no_failure_of_the_trial(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another process holds the file for longer than anybody waits: the search stops, and the trial is made later."""
    from imgid_audit.vision.search import storage

    config = config_in(world, {"trials": 3, "pruner": "median"}, {"epochs": 2, "lr": 0.01})
    plain = storage.Storage.report

    def while_locked(self: Any, record: Any, epoch: int, value: float) -> None:
        with closing(sqlite3.connect(self.path)) as other:
            if record.position == 1:
                other.execute("BEGIN IMMEDIATE")
            plain(self, record, epoch, value)

    with monkeypatch.context() as patched:
        patched.setattr(storage.Storage, "report", while_locked)
        patched.setattr(storage, "PATIENCE", 0.0)
        with pytest.raises(StoppedError, match="database is locked"):
            pipeline.search(config, out=tmp_path / "run")
    found = pipeline.search(config, out=tmp_path / "run").search
    assert found is not None
    assert [trial.state for trial in found.trials] == ["complete"] * 3
    assert found == pipeline.search(config, out=tmp_path / "whole").search


@pytest.mark.parametrize("killed", ["in the epoch that diverges", "before the trial is told"])
def test_a_trial_that_diverges_after_a_kill_has_as_many_epochs(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    from imgid_audit.vision.errors import DivergedError
    from imgid_audit.vision.loop import Loop
    from imgid_audit.vision.search import Ticket

    config = config_in(world, {"trials": 2, "sampler": "random"}, {"epochs": 4, "lr": 0.01})
    plain, tell = Loop.train_epoch, Ticket.fail

    def diverges(self: Any, epoch: int, *rest: Any) -> Any:
        if epoch == 3 and self.job.settings.lr != 0.01:
            raise DivergedError("planted")
        return plain(self, epoch, *rest)

    def dies(self: Any, epoch: int, *rest: Any) -> Any:
        if epoch == 3 and self.job.settings.lr != 0.01:
            raise KeyboardInterrupt
        return plain(self, epoch, *rest)

    monkeypatch.setattr(Loop, "train_epoch", diverges)
    whole = pipeline.search(config, out=tmp_path / "whole").search
    assert whole is not None
    assert [(trial.state, trial.epochs) for trial in whole.trials] == [("complete", 4), ("failed", 2)]
    if killed == "before the trial is told":
        monkeypatch.setattr(Ticket, "fail", Counter(tell, 0, KeyboardInterrupt()))
    else:
        monkeypatch.setattr(Loop, "train_epoch", dies)
    with pytest.raises(KeyboardInterrupt):
        pipeline.search(config, out=tmp_path / "run")
    monkeypatch.setattr(Loop, "train_epoch", diverges)
    monkeypatch.setattr(Ticket, "fail", tell)
    assert pipeline.search(config, out=tmp_path / "run").search == whole


def chosen_otherwise(run: Path) -> None:
    """The search's answer is that of one made again, under which another trial was best."""
    path = run / "search" / "search.json"
    told = json.loads(path.read_text())
    (other, *_) = [t["number"] for t in told["search"]["trials"] if t["number"] not in (0, told["search"]["chosen"])]
    told["search"]["chosen"] = other
    path.write_text(json.dumps(told))


def test_a_kill_before_the_other_choice_is_trained_does_not_pass_the_first_off_as_it(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgid_audit.vision import train as training

    config = config_in(world, {"trials": 3}, {"epochs": 1, "lr": 0.01}, intervals={"draws": 50})
    pipeline.run(config, out=tmp_path / "run")
    weights = tmp_path / "run" / "model" / "weights.safetensors"
    first = hash_file(weights)
    chosen_otherwise(tmp_path / "run")
    with monkeypatch.context() as patched:
        patched.setattr(training, "initial_model", Counter(training.initial_model, 0, KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            pipeline.run(config, out=tmp_path / "run")
    with pytest.raises(InputError, match="holds no trained model yet"):
        pipeline.evaluate(config, out=tmp_path / "run")
    again = pipeline.run(config, out=tmp_path / "run")
    assert hash_file(weights) != first
    assert again.result is not None
    assert again.result.provenance["hashes"]["weights"] == hash_file(weights)


@pytest.mark.parametrize("space", [{"dropout": [0.5, 0.6]}, {"architecture": ["smallcnn", "shufflenet_v2_x0_5"]}])
def test_remedies_end_to_end_train_what_was_chosen(world: Path, tmp_path: Path, space: dict[str, Any]) -> None:
    from imgid_audit.pipeline.comparing import compare

    block = {
        "scope": "full", "methods": ["class_weights"], "seeds": 2, "trials": 1,
        "primary": {"metric": "accuracy", "across": "device"},
    }  # fmt: skip
    config = config_in(world, {"space": space, "trials": 3, "confirm": 2}, {"epochs": 1, "lr": 0.01}, mitigations=block)
    seen = []
    plain = compare.open_whole

    def spy(bench: Any) -> Any:
        seen.append(bench.job.fitted.model)
        return plain(bench)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(compare, "open_whole", spy)
        from imgid_audit.vision import train as training

        trained = []
        fit = training.train

        def train(*args: Any, **named: Any) -> Any:
            trained.append((args[3], named.get("keep_average", False)))
            return fit(*args, **named)

        patched.setattr(training, "train", train)
        outcome = pipeline.run(config, out=tmp_path / "run")
    (chosen,) = seen
    choice = searched(outcome).choice
    assert choice is not None
    whole = [model for model, of_a_comparison in trained if of_a_comparison]
    assert whole
    assert all(model == chosen for model in whole)
    assert getattr(chosen, next(iter(space))) == choice.parameters[next(iter(space))]


def test_a_pruned_trial_leaves_nothing_on_disk(world: Path, tmp_path: Path) -> None:
    search = {"trials": 14, "pruner": "median", "sampler": "random", "confirm": 2}
    outcome = pipeline.run(config_in(world, search, {"epochs": 4, "lr": 0.01}), out=tmp_path / "run")
    found = searched(outcome)
    assert any(trial.state == "pruned" for trial in found.trials)
    assert not list((tmp_path / "run" / "studies").rglob("*.resume.pt"))
    assert all("median" in trial.reason for trial in found.trials if trial.state == "pruned")


def test_beside_privacy_a_command_hands_out_no_value_of_a_trial(world: Path, tmp_path: Path) -> None:
    config = config_in(world, {"trials": 2}, {"epochs": 1}, privacy={"min_cell": 3})
    found = pipeline.search(config, out=tmp_path / "run").search
    assert found is not None
    assert len(found.trials) == 2
    assert found.chosen is not None
    assert all(trial.value is None for trial in found.trials)


def test_a_stop_between_two_trials_is_a_stop(world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The user asks while a trial is told: the search is not taken for finished with fewer trials."""
    import signal

    plain = trials.trained

    def asked_to_stop(*args: Any, **named: Any) -> Any:
        network = plain(*args, **named)
        os.kill(os.getpid(), signal.SIGTERM)
        return network

    monkeypatch.setattr(trials, "trained", asked_to_stop)
    config = config_in(world)
    with pytest.raises(StoppedError, match="search stopped after 1 of 5 trials"):
        pipeline.search(config, out=tmp_path / "run")
    assert not (tmp_path / "run" / "search" / "search.json").exists()
    monkeypatch.setattr(trials, "trained", plain)
    outcome = pipeline.search(config, out=tmp_path / "run")
    assert outcome.search is not None
    assert len(outcome.search.trials) == 5


def test_what_would_fail_for_every_trial_is_an_error_and_tried_again(
    world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from imgid_audit.core.errors import Problem

    plain = trials.trained
    monkeypatch.setattr(trials, "trained", Counter(plain, 0, InputError(Problem("[train > init]", "no network"))))
    with pytest.raises(InputError, match="no network"):
        pipeline.run(config_in(world), out=tmp_path / "run")
    monkeypatch.setattr(trials, "trained", plain)
    assert len(searched(pipeline.run(config_in(world), out=tmp_path / "run")).finished) == 5


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"augment": {"hflip": [0, 0.5]}}, "with a dot"),
        ({"lr": ["1e-4", "fast"]}, "number"),
        ({"lr": 0.1}, "must be a list of values"),
    ],
)
def test_a_space_that_is_written_otherwise_says_how(world: Path, space: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError, match=told):
        config_in(world, {"space": space})


def test_numbers_that_yaml_reads_as_text_are_numbers(world: Path) -> None:
    (world / "text.yaml").write_text(
        yaml.safe_dump(tiny_config(train={**TRAIN, "search": {"space": {"lr": ["LIST"]}}})).replace("LIST", "1e-4")
    )
    assert ia.load_config(world / "text.yaml").train.search.space["lr"] == (0.0001,)


def test_default_weights_need_a_network_that_has_some(world: Path) -> None:
    with pytest.raises(InputError, match="smallcnn is none"):
        config_in(world, train={"init": "DEFAULT"})


def test_a_starting_point_is_loaded_by_check(world: Path) -> None:
    (world / "garbage.pth").write_bytes(b"no weights")
    with pytest.raises(InputError, match="garbage"):
        pipeline.check(config_in(world, train={"init": "garbage.pth"}))
    with pytest.raises(InputError, match="is a folder"):
        pipeline.check(config_in(world, train={"init": "images"}))
