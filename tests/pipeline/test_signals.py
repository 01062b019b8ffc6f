"""SIGTERM finishes the shard and exits 3; the same command goes on and ends with the same bytes."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from imgid_audit import pipeline
from imgid_audit.config import load_config
from tests.tiny import tiny_config, write_tiny


def shards(run: Path) -> list[Path]:
    return sorted((run / "predictions").glob("*.parquet"))


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_tiny(tmp_path, rows=400)
    trained = pipeline.train(load_config(tiny_config(train={"epochs": 1}), folder=tmp_path), out=tmp_path / "train")
    shutil.copy(trained.files[0], tmp_path / "weights.safetensors")
    model = {"architecture": "smallcnn", "weights": "weights.safetensors"}
    predict = {"shard_rows": 1, "device": "cpu", "batch_size": 1}
    settings = tiny_config(model=model, predict=predict, data={**tiny_config()["data"]})
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


def start(world: Path, command: str, run: str) -> subprocess.Popen[str]:
    arguments = [sys.executable, "-m", "imgid_audit.cli", command, "audit.yaml", "--out", run, "--quiet"]
    return subprocess.Popen(arguments, cwd=world, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_sigterm_exits_3_and_the_same_command_resumes(world: Path):
    process = start(world, "predict", "stopped")
    deadline = time.monotonic() + 120
    while len(shards(world / "stopped")) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=120)
    assert process.returncode == 3, messages
    assert "resume" in messages
    done = len(shards(world / "stopped"))
    assert 3 <= done < 400
    ledger = json.loads((world / "stopped" / "predictions" / "ledger.json").read_text())
    assert len(ledger["shards"]) == done, "every file on the disk is whole and entered"

    for run in ("stopped", "unbroken"):
        process = start(world, "predict", run)
        _, messages = process.communicate(timeout=240)
        assert process.returncode == 0, messages
    ours, theirs = ([path.read_bytes() for path in shards(world / run)] for run in ("stopped", "unbroken"))
    assert ours == theirs
    assert len(ours) == 400


def test_a_second_run_in_the_folder_is_refused_while_the_first_works(world: Path):
    first = start(world, "predict", "busy")
    deadline = time.monotonic() + 120
    while not shards(world / "busy") and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    first.send_signal(signal.SIGSTOP)  # it works as slowly as it takes
    assert first.poll() is None
    second = start(world, "predict", "busy")
    _, messages = second.communicate(timeout=120)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert str(first.pid) in messages
    assert first.wait(timeout=240) == 0
