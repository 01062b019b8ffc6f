"""A compiled training leaves what a plain one leaves; where torch cannot compile, it says so or goes on without."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.vision import compiled
from imgid_audit.vision.compiled import MIN_STEPS, Compiled, failed_to_compile
from imgid_audit.vision.records import WEIGHTS, TrainingRecord
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import PLAIN, Treatment

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


@pytest.fixture(autouse=True)
def _fresh() -> None:
    torch._dynamo.reset()


def run(world: Any, folder: Path, treatment: Treatment = PLAIN, **options: Any) -> TrainingRecord:
    model = ModelSettings(input=InputSettings(size=16), dropout=options.pop("dropout", 0.0))
    stop = options.pop("stop", lambda: False)
    given = TrainSettings(**{"epochs": 2, "batch_size": 16, "lr": 0.01, "workers": 0, **options})
    return train(world.manifest, world.task, world.root, model, given, folder, treatment=treatment, stop=stop)


def using(monkeypatch: pytest.MonkeyPatch, backend: Any) -> None:
    compile_ = torch.compile
    monkeypatch.setattr(compiled.torch, "compile", lambda model, **_: compile_(model, backend=backend))


def broken(*_: Any) -> None:
    raise RuntimeError("Failed to find C compiler")


@pytest.mark.parametrize(
    ("setting", "device", "steps", "active"),
    [
        ("never", CUDA, 10 * MIN_STEPS, False),
        ("auto", CPU, 10 * MIN_STEPS, False),
        ("auto", CUDA, MIN_STEPS - 1, False),
        ("auto", CUDA, MIN_STEPS, True),
        ("always", CPU, 1, True),
    ],
)
def test_when_it_compiles(setting: Any, device: torch.device, steps: int, active: bool) -> None:
    assert Compiled(nn.Linear(2, 2), setting, device, steps).active is active


@pytest.mark.parametrize("treatment", ["plain", "ldam_drw"])  # the latter reads what enters the last layer
def test_what_is_left_is_what_a_plain_training_leaves(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, treatment: str
) -> None:
    """By a backend that traces and computes eagerly: dropout draws the same, names and bytes are the same."""
    using(monkeypatch, "eager")
    made = world(80)
    ask = Ask(("blue", "green", "red"), binary=False, scope="full")
    given = PLAIN if treatment == "plain" else Remedy.of(MethodSettings(name=treatment), find).treatment(ask)
    plain = run(made, tmp_path / "plain", given, compile="never", dropout=0.3)
    traced = run(made, tmp_path / "traced", given, compile="always", dropout=0.3)
    assert plain.epochs == traced.epochs
    one, other = (load_file(tmp_path / name / WEIGHTS) for name in ("plain", "traced"))
    assert list(one) == list(other)
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_an_interrupted_one_goes_on(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    using(monkeypatch, "eager")
    made, polls = world(80), iter(range(100))
    whole = run(made, tmp_path / "whole", compile="always")
    with pytest.raises(StoppedError):
        run(made, tmp_path / "parts", compile="always", stop=lambda: next(polls) >= 4)
    assert run(made, tmp_path / "parts", compile="always") == whole


def test_always_says_why_it_cannot(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    using(monkeypatch, broken)
    with pytest.raises(InputError, match=r"\[train > compile\] always asked for, but .*: set never, or auto") as caught:
        run(world(48), tmp_path / "model", compile="always")
    assert "Failed to find C compiler" in str(caught.value)


def test_auto_goes_on_without(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The batch at which compiling failed is not lost: weights are those of a plain training."""
    made = world(48)
    plain = run(made, tmp_path / "plain", compile="never")
    using(monkeypatch, broken)
    inner = Compiled.__init__
    monkeypatch.setattr(
        Compiled, "__init__", lambda self, model, setting, _device, _steps: inner(self, model, setting, CUDA, MIN_STEPS)
    )
    auto = run(made, tmp_path / "auto", compile="auto")
    assert auto.sha256 == plain.sha256


def test_errors_of_the_network_are_not_the_compilers() -> None:
    assert not failed_to_compile(RuntimeError("shapes do not match"))
    assert not failed_to_compile(torch.OutOfMemoryError("CUDA out of memory"))
    assert not Compiled(nn.Linear(2, 2), "never", CPU, 1).gives_up(torch._dynamo.exc.TorchDynamoException("x"))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("gcc") is None and shutil.which("cc") is None, reason="no C compiler here")
def test_the_real_compiler_to_rounding(world: Callable, tmp_path: Path) -> None:
    made = world(80)
    run(made, tmp_path / "plain", compile="never", lr=0.001)
    run(made, tmp_path / "compiled", compile="always", lr=0.001)
    one, other = (load_file(tmp_path / name / WEIGHTS) for name in ("plain", "compiled"))
    for name, value in one.items():
        torch.testing.assert_close(other[name], value, rtol=1e-2, atol=2e-3)
