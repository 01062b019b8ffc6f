"""Without a GPU the GPU benchmark says so, ends well, and leaves BENCHMARKS.md as it is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def test_it_says_why_and_writes_nothing() -> None:
    page = PROJECT / "BENCHMARKS.md"
    before = page.read_bytes()
    command = [sys.executable, str(PROJECT / "benchmarks" / "gpu" / "bench_train_gpu.py")]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("skipped: ")
    assert "no CUDA device" in done.stdout
    assert page.read_bytes() == before
