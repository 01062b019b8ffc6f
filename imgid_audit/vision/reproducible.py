"""One seed for everything that draws numbers, and the caller's generators left as they were."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

import numpy as np
import torch

INIT, EPOCH, ORDER, RESAMPLE, AUGMENT, MIX = range(6)
"""What seeds of a training are derived for."""


def derive(seed: int, *path: int) -> int:
    """A seed of 63 bits for one purpose, independent of its neighbours."""
    return int(np.random.SeedSequence((seed, *path)).generate_state(1, np.uint64)[0] >> 1)


def seed_all(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators: networks and plugins draw from them."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


@contextlib.contextmanager
def reproducible(seed: int, device: torch.device) -> Iterator[None]:
    """Seeded, with deterministic kernels; generators and switches are restored at the end."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is not deterministic without it
    python, numpy_state = random.getstate(), np.random.get_state()
    switches = (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic)
    devices = [device.index or 0] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = False, True
        seed_all(seed)
        try:
            yield
        finally:
            torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic = switches
            random.setstate(python)
            np.random.set_state(numpy_state)


@contextlib.contextmanager
def threads(count: int | None) -> Iterator[None]:
    """Compute with `count` threads (None: as many as there are), then with as many as before."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
