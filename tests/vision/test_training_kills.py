"""A training that is killed by SIGKILL and started again ends with the bytes of an unbroken one."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from imgid_audit.vision import checkpoint

DRIVER = Path(__file__).with_name("train_driver.py")
ROWS = 160
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
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".partial")}


def killed(images: Path, out: Path, delay: float) -> bool:
    """SIGKILL `delay` seconds after the next checkpoint appeared; whether the training was still at work."""
    state = out / checkpoint.FILE
    before = state.stat().st_mtime_ns if state.exists() else 0
    process = started(images, out)
    while process.poll() is None and not (state.exists() and state.stat().st_mtime_ns > before):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(signal.SIGKILL)
    return process.wait(timeout=60) == -signal.SIGKILL


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_bytes(world: Callable, tmp_path: Path) -> None:
    """Killed within epochs (0 to 80 ms after a checkpoint) and, at last, right after one."""
    made = world(ROWS)
    assert started(made.root, tmp_path / "whole").wait(timeout=120) == 0
    expected = files(tmp_path / "whole")
    assert set(expected) == {"training.json", "weights.safetensors"}
    out, rng = tmp_path / "parts", np.random.default_rng(0)
    kills = [killed(made.root, out, delay) for delay in rng.uniform(0, 0.08, 3)]
    assert sum(kills) >= 2
    assert not (out / "training.json").exists()
    assert started(made.root, out, "kill:11").wait(timeout=120) == -signal.SIGKILL
    assert started(made.root, out).wait(timeout=120) == 0
    assert files(out) == expected
