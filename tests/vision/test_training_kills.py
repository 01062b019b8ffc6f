"""A training that is killed by SIGKILL and started again ends with the bytes of an unbroken one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from imgid_audit.io.content import hash_file
from imgid_audit.vision import checkpoint
from imgid_audit.vision import train as training
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings

DRIVER = Path(__file__).with_name("train_driver.py")
ROWS = 160
WAIT = 500
"""Seconds that only a process that hangs takes."""
SETTINGS = {
    "architecture": "smallcnn",
    "epochs": 12,
    "augment": {"hflip": 0.5, "colour": 0.2},
    "average": {"method": "ema", "decay": 0.9},
    "select": "worst_group",
    "groups": ["device"],
    "accumulate": 2,
}


def started(images: Path, out: Path, fault: str = "none") -> subprocess.Popen[bytes]:
    command = [sys.executable, str(DRIVER), str(images), str(out), str(ROWS), fault]
    command += [f"{key}={json.dumps(value)}" for key, value in SETTINGS.items()]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def at_work(out: Path) -> bool:
    return not (out / "training.json").exists()


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bytes(world: Callable, tmp_path: Path) -> None:
    """Killed between any two batches, around any write, and again and again: each kill is of the run that goes on."""
    made = world(ROWS)
    assert started(made.root, tmp_path / "whole").wait(timeout=WAIT) == 0
    expected = files(tmp_path / "whole")
    assert set(expected) == {"training.json", "weights.safetensors"}
    out = tmp_path / "parts"
    for fault in ("step:3", "step:13", "before:1", "after:1", "before:2", "before:3", "after:5", "kill:6", "step:18"):
        assert started(made.root, out, fault).wait(timeout=WAIT) == -signal.SIGKILL, fault
        assert at_work(out), fault
    assert started(made.root, out, "kill:12").wait(timeout=WAIT) == -signal.SIGKILL
    assert started(made.root, out).wait(timeout=WAIT) == 0
    assert files(out) == expected
    assert sorted(path.name for path in out.iterdir()) == sorted(expected)  # no temporary file of the dead


def test_weights_are_those_that_the_record_names_where_an_epoch_does_not_come_out_twice(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A GPU may sum in another order: epoch 3, best before the kill that lost its checkpoint, is not best after it."""
    made = world(40)
    settings = TrainSettings(epochs=4, batch_size=16, lr=0.01, workers=0)
    model = ModelSettings(architecture="smallcnn", input=InputSettings(size=16))
    values = iter([0.5, 0.6, 0.9, 0.1, 0.1])
    monkeypatch.setattr(training, "criterion_of", lambda *_: (next(values), "", ()))
    save = checkpoint.save

    def dies(folder: Path, name: str, history: checkpoint.History, parts: dict[str, Any]) -> None:
        if len(history.epochs) == 3:
            raise KeyboardInterrupt
        save(folder, name, history, parts)

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", dies)
        with pytest.raises(KeyboardInterrupt):
            training.train(made.manifest, made.task, made.root, model, settings, tmp_path)
    record = training.train(made.manifest, made.task, made.root, model, settings, tmp_path)
    assert record.best_epoch == 2
    assert hash_file(tmp_path / record.weights) == record.sha256
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == [
        "training.json",
        "weights.safetensors",
    ]
