"""What searching by plan is worth: trials until a known surface's value is reached, by TPE, by GP and at random.

    python -m tests.validity.search [seeds]

prints one line a surface. A surface is the value (higher is better) that settings would have; none is a network. The
target is what random search has reached after half its trials, median over the seeds; every search starts from
the settings as given, which lie far from the best.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgid_audit.vision.search.importance import importance
from imgid_audit.vision.search.records import Record
from imgid_audit.vision.search.sampling import propose
from imgid_audit.vision.search.space import Space
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import SearchSettings

TRIALS = 40
FIRST = 100
"""Seeds from here on are told; those below chose the sampler's options."""

LR = {"low": 1e-5, "high": 1.0, "log": True}
DECAY = {"low": 1e-7, "high": 1e-1, "log": True}
DROPOUT = {"low": 0.0, "high": 0.8}
GIVEN = TrainSettings(lr=1e-5, weight_decay=1e-7)


@dataclass(frozen=True, slots=True)
class Surface:
    """A space and the value at each of its points."""

    name: str
    entries: Mapping[str, Any]
    value: Callable[[Mapping[str, Any]], float]

    @property
    def space(self) -> Space:
        return Space.of(SearchSettings(space=dict(self.entries)), ModelSettings(), GIVEN)


def _log(value: float) -> float:
    return math.log10(value)


def _bowl(p: Mapping[str, Any]) -> float:
    """Every setting by itself, the learning rate most."""
    off = {"adamw": 0.0, "adam": 0.1, "sgd": 0.4}[p["optimizer"]]
    rate = (_log(p["lr"]) + 2.5) ** 2
    return -rate - 0.3 * (_log(p["weight_decay"]) + 3) ** 2 - 2 * (p["dropout"] - 0.3) ** 2 - off


def _rates(p: Mapping[str, Any]) -> float:
    """Each optimizer has a learning rate of its own; decay and dropout stand in for each other."""
    best, top = {"adamw": (-3.0, 0.0), "adam": (-3.2, -0.1), "sgd": (-1.0, -0.05)}[p["optimizer"]]
    strength = (_log(p["weight_decay"]) + 7) / 6 + p["dropout"]
    return top - 0.5 * (_log(p["lr"]) - best) ** 2 - 2 * (strength - 0.9) ** 2


def _cliff(p: Mapping[str, Any]) -> float:
    """Accuracy as trainings have it: slow below, flat near the best, chance where the rate diverges."""
    limit = {"adamw": -2.0, "adam": -2.0, "sgd": -0.7}[p["optimizer"]]
    rate = _log(p["lr"])
    if rate > limit:
        return 0.1
    learnt = 1 / (1 + math.exp(-2.5 * (rate - limit + 2.2)))
    fit = 1 - 0.15 * (p["dropout"] - 0.25) ** 2 / 0.3 - 0.01 * (_log(p["weight_decay"]) + 3) ** 2
    return 0.1 + 0.88 * learnt * fit


def _ratio(p: Mapping[str, Any]) -> float:
    """Learning rate and batch size grow together: a narrow ridge."""
    ridge = _log(p["lr"]) - _log(p["batch_size"] / 64) + 3
    return -(ridge**2) - 0.2 * (_log(p["batch_size"]) - 1.8) ** 2 - (p["dropout"] - 0.2) ** 2


def _strengths(p: Mapping[str, Any]) -> float:
    """Seven settings, of which three matter much."""
    small = (p["augment.hflip"] - 0.5) ** 2 + (p["augment.colour"] - 0.4) ** 2 + (p["dropout"] - 0.2) ** 2
    large = (p["augment.rotation"] / 60 - 0.25) ** 2 + (p["augment.crop"] - 0.6) ** 2
    return -((_log(p["lr"]) + 3) ** 2) - 4 * large - 0.3 * small - 0.05 * (_log(p["weight_decay"]) + 3) ** 2


def _noisy(p: Mapping[str, Any]) -> float:
    """`_cliff` as measured on 500 val rows: the same settings give the same noise."""
    rng = np.random.default_rng(zlib.crc32(repr(sorted(p.items())).encode()))
    return float(rng.binomial(500, min(max(_cliff(p), 0), 1)) / 500)


FOUR = {"lr": LR, "weight_decay": DECAY, "dropout": DROPOUT, "optimizer": ["adamw", "adam", "sgd"]}
SURFACES = (
    Surface("bowl", FOUR, _bowl),
    Surface("rates", FOUR, _rates),
    Surface("cliff", FOUR, _cliff),
    Surface("noisy cliff", FOUR, _noisy),
    Surface("ratio", {"lr": LR, "batch_size": {"low": 8, "high": 512, "log": True}, "dropout": DROPOUT}, _ratio),
    Surface(
        "strengths",
        {
            "lr": LR,
            "weight_decay": DECAY,
            "dropout": DROPOUT,
            "augment.hflip": {"low": 0, "high": 1},
            "augment.rotation": {"low": 0, "high": 60},
            "augment.crop": {"low": 0.2, "high": 1},
            "augment.colour": {"low": 0, "high": 1},
        },
        _strengths,
    ),
)


def searched(surface: Surface, sampler: str, seed: int, trials: int = TRIALS) -> tuple[Record, ...]:
    """The trials of one search, none pruned."""
    space = surface.space
    records: tuple[Record, ...] = ()
    for position in range(trials):
        known = space.given if position == 0 else propose(space, sampler, seed, position, records, higher=True)
        records = (*records, Record(position, known, "complete", surface.value(known), {}, 10, "", position))
    return records


def best_so_far(records: tuple[Record, ...]) -> np.ndarray:
    """(trials,)"""
    return np.maximum.accumulate([record.value for record in records])


def needed(best: np.ndarray, target: float) -> float:
    """Trials until `target`; infinite where it is not reached."""
    reached = np.flatnonzero(best >= target)
    return float(reached[0] + 1) if reached.size else math.inf


def medians(surface: Surface, seeds: int, trials: int = TRIALS, samplers: tuple[str, ...] = ("random", "tpe", "gp")):
    """Median trials that each sampler needs to reach what random search has, by its median, after half of them."""
    best = {
        name: [best_so_far(searched(surface, name, seed, trials)) for seed in range(FIRST, FIRST + seeds)]
        for name in samplers
    }
    target = float(np.median([one[trials // 2 - 1] for one in best["random"]]))
    return {name: float(np.median([needed(one, target) for one in found])) for name, found in best.items()}


def ranked_first(surface: Surface, name: str, seeds: int, trials: int) -> float:
    """Share of random searches of so many trials in which `name` has the largest share of importance."""
    found = [importance(surface.space, searched(surface, "random", seed, trials), higher=True) for seed in range(seeds)]
    return float(np.mean([bool(shares) and shares[0][0] == name for shares, _ in found]))


def main(seeds: int = 20) -> None:
    """One line a surface."""
    for surface in SURFACES:
        told = ", ".join(f"{name} {count:g}" for name, count in medians(surface, seeds).items())
        print(f"{surface.name}: median trials to the same value over {seeds} seeds: {told}", flush=True)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
