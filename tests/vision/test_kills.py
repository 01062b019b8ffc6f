"""A prediction run that is killed at random moments and resumed ends with the bytes of an unbroken run."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import InputSettings, ModelSettings
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import save_weights

DRIVER = Path(__file__).with_name("predict_driver.py")
SIDE = 32


class Runs:
    """Runs of one world and one model, each a process of its own; a context manager."""

    def __init__(self, images: Path, folder: Path, shard_rows: int) -> None:
        torch.manual_seed(0)
        weights = folder / "weights.safetensors"
        model = build_model(ModelSettings(input=InputSettings(size=SIDE)), 3)
        save_weights(model, weights, ("a", "b", "c"), InputTransform(SIDE), "smallcnn")
        command = [sys.executable, str(DRIVER), str(images), str(weights), str(shard_rows)]
        self._driver = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Runs:
        return self

    def __exit__(self, *_: object) -> None:
        self._driver.communicate(timeout=60)

    def whole(self, out: Path) -> str:
        """Run to the end; the digest of what it left."""
        self._start(out)
        assert self._answer() == 0
        return digest(out)

    def killed(self, out: Path, shards: int, delay: float) -> bool:
        """SIGKILL `delay` seconds after `out` holds `shards` more shards; whether that came before its end."""
        wanted = count(out) + shards
        process = self._start(out)
        while count(out) < wanted and alive(process):
            time.sleep(0.001)
        time.sleep(delay)
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        return self._answer() == -signal.SIGKILL

    def _start(self, out: Path) -> int:
        assert self._driver.stdin is not None
        self._driver.stdin.write(f"{out}\n")
        self._driver.stdin.flush()
        return self._answer()

    def _answer(self) -> int:
        assert self._driver.stdout is not None
        return int(self._driver.stdout.readline())


def count(folder: Path) -> int:
    return len(list(folder.glob("*.parquet")))


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def digest(folder: Path) -> str:
    """SHA-256 of every file's name and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def test_two_kills_over_200_images(world: Callable, tmp_path: Path) -> None:
    """The second kill falls into the resumed run."""
    with Runs(world(200, size=SIDE).root, tmp_path, shard_rows=10) as runs:
        clean = runs.whole(tmp_path / "clean")
        out = tmp_path / "killed"
        assert runs.killed(out, 7, 0.002)
        assert runs.killed(out, 5, 0.001)
        assert 12 <= count(out) < 20
        assert runs.whole(out) == clean


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(world: Callable, tmp_path: Path) -> None:
    """One folder, killed after every second shard until it ends by itself."""
    with Runs(world(1000, size=SIDE).root, tmp_path, shard_rows=50) as runs:
        clean = runs.whole(tmp_path / "clean")
        out, kills = tmp_path / "killed", 0
        while runs.killed(out, 2, 0.0):
            kills += 1
            assert kills <= 10
        assert kills >= 5
        assert digest(out) == clean


@pytest.mark.slow
def test_twenty_kills_over_3000_images(world: Callable, tmp_path: Path) -> None:
    """Twenty runs of 30 shards, each killed at a random moment of its work and resumed."""
    rng = np.random.default_rng(1)
    with Runs(world(3000, size=SIDE).root, tmp_path, shard_rows=100) as runs:
        clean = runs.whole(tmp_path / "clean")
        fell = 0
        for number in range(20):
            out, shards, delay = tmp_path / f"killed-{number}", int(rng.integers(0, 29)), rng.uniform(0, 0.1)
            fell += runs.killed(out, shards, delay)
            assert runs.whole(out) == clean, f"kill {number}, {delay:.3f} s after {shards} shards"
        assert fell >= 15
