"""A prediction run that is killed at any moment and resumed ends with the bytes of an unbroken run."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
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
        self._driver.communicate(timeout=500)

    def whole(self, out: Path) -> str:
        """Run to the end; the digest of what it left."""
        assert self._run("none", out) == 0
        return digest(out)

    def killed(self, out: Path, moment: str) -> bool:
        """Run until the moment (see the driver); whether that came before the end."""
        return self._run(moment, out) == -signal.SIGKILL

    def _run(self, moment: str, out: Path) -> int:
        assert self._driver.stdin is not None
        assert self._driver.stdout is not None
        self._driver.stdin.write(f"{moment} {out}\n")
        self._driver.stdin.flush()
        return int(self._driver.stdout.readline())


def count(folder: Path) -> int:
    return len(list(folder.glob("*.parquet")))


def digest(folder: Path) -> str:
    """SHA-256 of every file's name and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def test_kills_over_200_images(world: Callable, tmp_path: Path) -> None:
    """Around every write of the first shards, and between batches; each kill is of the run that goes on."""
    with Runs(world(200, size=SIDE).root, tmp_path, shard_rows=10) as runs:
        clean = runs.whole(tmp_path / "clean")
        out, before = tmp_path / "killed", 0
        for number in range(1, 9):
            assert runs.killed(out, f"sync:{number}")
        for moment in ("batch:2", "batch:4", "sync:21", "batch:1"):
            assert runs.killed(out, moment)
            assert before <= count(out) < 20
            before = count(out)
        assert before >= 8
        assert runs.whole(out) == clean


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(world: Callable, tmp_path: Path) -> None:
    """One folder, killed in every third shard until a run ends by itself."""
    with Runs(world(1000, size=SIDE).root, tmp_path, shard_rows=50) as runs:
        clean = runs.whole(tmp_path / "clean")
        out, kills = tmp_path / "killed", 0
        while runs.killed(out, "sync:11"):
            kills += 1
            assert kills <= 20
        assert kills >= 5
        assert digest(out) == clean


@pytest.mark.slow
def test_twenty_kills_over_3000_images(world: Callable, tmp_path: Path) -> None:
    """Twenty runs of 30 shards, each killed at a random moment of its work and resumed."""
    rng = np.random.default_rng(1)
    with Runs(world(3000, size=SIDE).root, tmp_path, shard_rows=100) as runs:
        clean = runs.whole(tmp_path / "clean")
        for number in range(20):
            out = tmp_path / f"killed-{number}"
            moment = f"sync:{rng.integers(1, 120)}" if number % 2 else f"batch:{rng.integers(1, 210)}"
            assert runs.killed(out, moment), moment
            assert runs.whole(out) == clean, moment
