"""A prediction run that is killed at random moments and resumed ends with the bytes of an unbroken run."""

from __future__ import annotations

import hashlib
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
SIDE = 64


class Runs:
    """Starts the driver on one world and one model, whole or killed."""

    def __init__(self, images: Path, folder: Path, shard_rows: int) -> None:
        torch.manual_seed(0)
        self.images, self.folder, self.shard_rows = images, folder, shard_rows
        self.weights = folder / "weights.safetensors"
        model = build_model(ModelSettings(input=InputSettings(size=SIDE)), 3)
        save_weights(model, self.weights, ("a", "b", "c"), InputTransform(SIDE), "smallcnn")

    def start(self, out: Path) -> subprocess.Popen[str]:
        command = [sys.executable, str(DRIVER), *map(str, (self.images, self.weights, out, self.shard_rows))]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    def whole(self, out: Path) -> tuple[str, float]:
        """Run to the end; the digest of what it left and its seconds after imports."""
        process = self.start(out)
        begun = time.monotonic()
        process.communicate(timeout=300)
        assert process.returncode == 0
        return digest(out), time.monotonic() - begun

    def killed(self, out: Path, after: float) -> bool:
        """SIGKILL `after` seconds from the start; whether that came before the end."""
        process = self.start(out)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
        process.communicate()
        return process.returncode != 0


def digest(folder: Path) -> str:
    """SHA-256 of every file's name and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def survive(runs: Runs, folder: Path, kills: int, seed: int) -> int:
    """Kill and resume `kills` times; how many kills fell into the run. Every end is the clean run's."""
    clean, seconds = runs.whole(folder / "clean")
    moments = np.random.default_rng(seed).uniform(0, 0.95 * seconds, kills)
    fell = 0
    for number, moment in enumerate(moments):
        out = folder / f"killed-{number}"
        fell += runs.killed(out, float(moment))
        assert runs.whole(out)[0] == clean, f"kill {number} after {moment:.3f} s"
    return fell


def test_two_kills_over_200_images(world: Callable, tmp_path: Path) -> None:
    runs = Runs(world(200, size=SIDE).root, tmp_path, shard_rows=20)
    assert survive(runs, tmp_path, kills=2, seed=0) > 0


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(world: Callable, tmp_path: Path) -> None:
    """One folder, killed until it ends by itself."""
    runs = Runs(world(1000, size=SIDE).root, tmp_path, shard_rows=50)
    clean, seconds = runs.whole(tmp_path / "clean")
    out, attempts = tmp_path / "killed", 0
    while runs.killed(out, 0.3 * seconds):
        attempts += 1
        assert attempts < 50
    assert digest(out) == clean


@pytest.mark.slow
def test_twenty_kills_over_3000_images(world: Callable, tmp_path: Path) -> None:
    runs = Runs(world(3000, size=SIDE).root, tmp_path, shard_rows=100)
    assert survive(runs, tmp_path, kills=20, seed=1) >= 15
