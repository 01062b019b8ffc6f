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
SIDE = 32


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
        """Run to the end; the digest of what it left, and the seconds it worked after its imports."""
        process = self.start(out)
        begun = time.monotonic()
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        seconds = time.monotonic() - begun
        process.communicate(timeout=300)
        assert process.returncode == 0  # the way out counts too: an abort there would be the exit code
        return digest(out), seconds

    def killed(self, out: Path, after: float) -> bool:
        """SIGKILL `after` seconds from the end of its imports; whether it had work left."""
        process = self.start(out)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            process.kill()
        rest, _ = process.communicate()
        return "done" not in rest


def digest(folder: Path) -> str:
    """SHA-256 of every file's name and bytes."""
    found = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        found.update(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return found.hexdigest()


def test_two_kills_over_200_images(world: Callable, tmp_path: Path) -> None:
    """The second kill falls into the resumed run."""
    runs = Runs(world(200, size=SIDE).root, tmp_path, shard_rows=10)
    clean, seconds = runs.whole(tmp_path / "clean")
    out = tmp_path / "killed"
    assert runs.killed(out, 0.3 * seconds)
    runs.killed(out, 0.3 * seconds)
    assert runs.whole(out)[0] == clean


@pytest.mark.slow
def test_killed_again_and_again_it_still_gets_there(world: Callable, tmp_path: Path) -> None:
    """One folder, killed until it ends by itself."""
    runs = Runs(world(1000, size=SIDE).root, tmp_path, shard_rows=50)
    clean, seconds = runs.whole(tmp_path / "clean")
    out, attempts = tmp_path / "killed", 0
    while runs.killed(out, 0.4 * seconds):
        attempts += 1
        assert attempts < 50
    assert digest(out) == clean


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_twenty_kills_over_3000_images(world: Callable, tmp_path: Path) -> None:
    """Twenty runs, each killed at a random moment of its work and resumed."""
    runs = Runs(world(3000, size=SIDE).root, tmp_path, shard_rows=100)
    clean, seconds = runs.whole(tmp_path / "clean")
    fell = 0
    for number, part in enumerate(np.random.default_rng(1).uniform(0, 0.95, 20)):
        out = tmp_path / f"killed-{number}"
        fell += runs.killed(out, part * seconds)
        assert runs.whole(out)[0] == clean, f"kill {number} at {part:.0%} of the run"
    assert fell >= 15
