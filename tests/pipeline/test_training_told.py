"""What commands say of a training: before it, where it cannot be, and after it in a line for each answer."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.cli.commands import app
from imgid_audit.core.errors import InputError
from imgid_audit.pipeline.checking_training import training_lines
from tests.tiny import tiny_config, write_tiny

TRAIN = {"epochs": 1, "lr": 0.01, "batch_size": 8, "groups": ["device"]}
TOO_SMALL = {"architecture": "squeezenet1_1", "input": {"size": 8}}
SAID = r"\[model > input > size\] squeezenet1_1, fed images of 3 x 8 x 8 .*Output size is too small"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder, rows=120)
    return folder


def config_in(folder: Path, train: dict[str, Any], **changes: Any) -> ia.Config:
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(tiny_config(train={**TRAIN, **train}, **changes)))
    return ia.load_config(path)


SMALL = {"architecture": "smallcnn", "input": {"size": 8}}


class Listed:
    """What progress tells."""

    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, name: str) -> None:
        self.steps.append(name)

    def update(self, done: int, total: int, text: str = "") -> None:
        """Nothing."""


def test_a_network_that_cannot_take_the_input_is_refused_in_a_run(world: Path, tmp_path: Path) -> None:
    config = config_in(world, {}, model=TOO_SMALL)
    with pytest.raises(InputError, match=SAID):
        pipeline.run(config, out=tmp_path / "run")
    result = CliRunner().invoke(app, ["run", str(config.source), "--out", str(tmp_path / "run"), "-q"])
    assert result.exit_code == 2


def test_in_a_ladder_it_has_not_run_and_in_a_search_it_has_failed(world: Path, tmp_path: Path) -> None:
    names = ["smallcnn", "squeezenet1_1"]
    train = {"ladder": {"architectures": names, "seeds": 2}}
    train["search"] = {"sampler": "grid", "trials": 2, "confirm": 2, "space": {"architecture": names}}
    outcome = pipeline.run(config_in(world, train, model=SMALL), out=tmp_path / "run")
    assert outcome.result is not None
    assert outcome.result.fit is not None
    search, (study,) = outcome.result.fit.search, outcome.result.fit.studies
    assert search is not None
    assert [(trial.state, "Output size is too small" in trial.reason) for trial in search.trials] == [
        ("complete", False), ("failed", True),
    ]  # fmt: skip
    assert [(one.status, "Output size is too small" in one.reason) for one in study.variants] == [
        ("ran", False), ("not_run", True),
    ]  # fmt: skip


def test_what_a_training_starts_from_is_told_by_check(world: Path) -> None:
    model = {"architecture": "resnet18", "input": {"size": 16}}

    def told(**train: Any) -> list[str]:
        return list(training_lines(config_in(world, {"epochs": 4, **train}, model=model)))

    assert told() == []
    assert told(init="DEFAULT", fine_tune={"layer_decay": 0.5}, average={"method": "swa"}) == [
        "init: DEFAULT, the weights that are published for the architecture",
        "fine-tuning: the last layer alone in 1 of 4 epochs, then everything; all but the last layer at 0.1 of the "
        "learning rate, each block below the top one at 0.5 of the one above it",
        "averaging: swa: mean of the weights after each epoch, from 0.75 of the training on",
    ]
    assert told(init="my.pt", fine_tune={"frozen_epochs": 4}, average={"decay": 0.9}) == [
        "init: my.pt",
        "fine-tuning: the last layer alone in 4 of 4 epochs; nothing else learns",
        "averaging: ema, decay 0.9: exponential moving average of the weights",
    ]
    given = {"weights": "w.safetensors"}
    plain = ia.load_config(world / "audit.yaml")
    assert not list(training_lines(plain.model_copy(update={"model": plain.model.model_copy(update=given)})))


def test_a_word_for_published_weights_that_is_no_file_hears_of_the_right_one(world: Path) -> None:
    with pytest.raises(InputError, match=r"\[train > init\] no such file: .*imagenet \(DEFAULT takes torchvision's or"):
        pipeline.check(config_in(world, {"init": "imagenet"}))


@pytest.fixture(scope="module")
def searched(world: Path) -> tuple[pipeline.Outcome, list[str], str]:
    """A run with a search and a study, what progress told of it, and what `search` printed before."""
    search = {"trials": 3, "confirm": 2, "space": {"lr": [0.02, 0.03]}}
    train = {"search": search, "augment": {"colour": 0.2}, "augment_effect": {"seeds": 2}, "lr": 1e-6, "epochs": 6}
    config = config_in(world, train)
    printed = CliRunner().invoke(app, ["search", str(config.source), "--out", str(world / "run"), "-q"])
    assert printed.exit_code == 0
    listed = Listed()
    return pipeline.run(config, out=world / "run", progress=listed), listed.steps, printed.stdout


def test_progress_says_which_settings_are_confirmed(searched: tuple[pipeline.Outcome, list[str], str]) -> None:
    assert [step for step in searched[1] if step.startswith("confirm")] == [
        f"confirm, settings as {name}, seed {seed}" for name in ("given", "chosen") for seed in (0, 1)
    ]


def test_search_prints_given_and_best_and_what_to_do_next(searched: tuple[pipeline.Outcome, list[str], str]) -> None:
    outcome, _, printed = searched
    lines = printed.replace("\xa0", " ").splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == ["search", "given", "best"]
    assert re.fullmatch(r"given: trial 0, .* on val [\d.]+ %: lr = \S+", lines[1])
    assert re.fullmatch(r"best: trial [12], .* on val [\d.]+ %: lr = 0.0[23]", lines[2])
    assert lines[3].startswith("The best of 3 tries on the same val rows looks better than it is; `imgid-audit run`")
    assert lines[4] == f"now: imgid-audit run CONFIG --out {outcome.folder}"


def test_run_prints_a_line_for_the_search_each_check_of_the_fit_and_each_study(
    searched: tuple[pipeline.Outcome, list[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    from imgid_audit.cli.terminal import show

    outcome = searched[0]
    assert outcome.result is not None
    show(outcome, as_json=False)
    told = capsys.readouterr().out.replace("\xa0", " ").splitlines()
    (search,) = [line for line in told if line.startswith("search: ")]
    assert re.search(r"\(lr \S+ -> 0.0[23]\)", search)
    assert "chosen less given: " in search
    assert "points (95 %)" in search
    assert [line[:4] for line in told if line.startswith("M00")] == ["M002", "M003"]
    assert sum(line.startswith("Whom does augmentation help?") for line in told) == 1
    hidden = replace(outcome, result=private(outcome))
    show(hidden, as_json=False)
    published = capsys.readouterr().out
    assert "search: " in published
    assert "points" not in published
    assert "Whom does augmentation help?" not in published


def private(outcome: pipeline.Outcome) -> Any:
    from imgid_audit.core.result import Privacy

    assert outcome.result is not None
    return replace(outcome.result, privacy=Privacy(11))


def test_more_trials_in_the_same_folder_are_refused_by_name(
    world: Path, searched: tuple[pipeline.Outcome, list[str], str]
) -> None:
    args = [str(world / "audit.yaml"), "--out", str(searched[0].folder), "-q", "--set", "train.search.trials=5"]
    for command in ("run", "search"):
        result = CliRunner().invoke(app, [command, *args, "--set", "train.search.minutes=1"])
        assert result.exit_code == 2
        assert "train > search > trials (3 there, 5 here)" in result.stderr
        assert "train > search > minutes (null there, 1.0 here)" in result.stderr
