"""SIGTERM finishes the shard and exits 3; the same command goes on and ends with the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from imgid_audit import pipeline
from imgid_audit.config import load_config
from tests.tiny import tiny_config, write_tiny

ROWS = 40
WAIT = 500
"""Seconds that only a process that hangs takes."""


def shards(run: Path) -> list[Path]:
    return sorted((run / "predictions").glob("*.parquet"))


@pytest.fixture
def world(tmp_path: Path) -> Path:
    write_tiny(tmp_path, rows=ROWS)
    trained = pipeline.train(load_config(tiny_config(train={"epochs": 1}), folder=tmp_path), out=tmp_path / "train")
    shutil.copy(trained.files[0], tmp_path / "weights.safetensors")
    model = {"architecture": "smallcnn", "weights": "weights.safetensors"}
    predict = {"shard_rows": 1, "device": "cpu", "batch_size": 1}
    settings = tiny_config(model=model, predict=predict, data={**tiny_config()["data"]})
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(settings))
    return tmp_path


SIGNALLED = """
import os, signal, sys
from imgid_audit.cli import main
from imgid_audit.io.shards import ShardStore

name, shards = sys.argv.pop(1), int(sys.argv.pop(1))
write = ShardStore.write

def writing(self, index, columns):
    write(self, index, columns)
    if index + 1 == shards:
        os.kill(os.getpid(), signal.Signals[name])

ShardStore.write = writing
main()
"""


def start(world: Path, run: str, name: str = "SIGTERM", shards: int = 0) -> subprocess.Popen[str]:
    """A prediction that gets the signal once it has as many shards."""
    arguments = [sys.executable, "-c", SIGNALLED, name, str(shards), "predict", "audit.yaml", "--out", run, "--quiet"]
    return subprocess.Popen(arguments, cwd=world, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_sigterm_exits_3_and_the_same_command_resumes(world: Path):
    process = start(world, "stopped", shards=3)
    _, messages = process.communicate(timeout=WAIT)
    assert process.returncode == 3, messages
    assert "resume" in messages
    assert len(shards(world / "stopped")) == 3
    ledger = json.loads((world / "stopped" / "predictions" / "ledger.json").read_text())
    assert len(ledger["shards"]) == 3, "every file on the disk is whole and entered"

    for run in ("stopped", "unbroken"):
        process = start(world, run)
        _, messages = process.communicate(timeout=WAIT)
        assert process.returncode == 0, messages
    ours, theirs = ([path.read_bytes() for path in shards(world / run)] for run in ("stopped", "unbroken"))
    assert ours == theirs
    assert len(ours) == ROWS


def test_a_second_run_in_the_folder_is_refused_while_the_first_works(world: Path):
    first = start(world, "busy", "SIGSTOP", shards=1)  # it works as slowly as it takes
    _, status = os.waitpid(first.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    second = start(world, "busy")
    _, messages = second.communicate(timeout=WAIT)
    first.send_signal(signal.SIGCONT)
    assert second.returncode == 2
    assert str(first.pid) in messages
    first.communicate(timeout=WAIT)
    assert first.returncode == 0
