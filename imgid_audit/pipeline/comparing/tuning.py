"""Which settings are tried for a method: the same number for each, drawn from what it declares."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.comparing.laboratory import Setting

LEARNING_RATES = (1.0, 0.3, 3.0)
WEIGHT_DECAYS = (1.0, 10.0, 100.0)
"""Factors of the given learning rate and weight decay that trials try; the first is as given."""

SEED = 20261123


def trials_of(remedy: Remedy, default: Setting, trials: int, scope: str) -> tuple[tuple[Remedy, Setting], ...]:
    """Up to `trials` different settings: as given first, then draws; fewer where there are no more.

    Learning rates and weight decays come in the same order for every method, so that no method is
    luckier in them than another; a method's own parameters are drawn beside them. In scope head a method that
    starts over is as it is whatever the head was trained with: its own parameters alone are tried.
    """
    grid = [
        Setting(_plain(default.lr * rate), _plain(default.weight_decay * decay))
        for rate, decay in itertools.product(LEARNING_RATES, WEIGHT_DECAYS)
    ]
    order = np.random.default_rng(SEED).permutation(len(grid) - 1) + 1
    settings = [grid[0], *(grid[i] for i in order)]
    if scope == "head" and remedy.starts_over:
        settings = settings[:1]
    rng = np.random.default_rng((SEED, zlib.crc32("+".join(remedy.methods).encode())))
    chosen: dict[str, tuple[Remedy, Setting]] = {}
    tries = 0
    while len(chosen) < trials and tries < 50 * trials:
        setting = settings[tries % len(settings)]
        values: Mapping[str, Any] = {name: _one(rng, among) for name, among in remedy.space.items()} if tries else {}
        tries += 1
        try:
            one = remedy.with_values(values) if values else remedy
        except InputError:  # values that a method's own parameters refuse together are no setting
            continue
        chosen.setdefault(repr((setting, sorted(one.parameters.items(), key=str))), (one, setting))
    return tuple(chosen.values())


def _plain(value: float) -> float:
    """Without the last digits that multiplying leaves: settings are read by people."""
    return float(f"{value:.6g}")


def _one(rng: np.random.Generator, among: tuple[Any, ...]) -> Any:
    return among[int(rng.integers(len(among)))]


def best(values: list[float | None]) -> int | None:
    """The place of the highest value, the first of equal ones; None where all are undefined."""
    known = [i for i, value in enumerate(values) if value is not None]
    return max(known, key=lambda i: (values[i], -i), default=None)
