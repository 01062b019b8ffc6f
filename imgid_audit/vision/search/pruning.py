"""Which trials are stopped early: functions of what trials have reported, whatever was killed in between.

They decide as Optuna's `MedianPruner` and `HyperbandPruner` do (tests hold them to it), which keep what they know in
the study itself, half-written where a process died.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from imgid_audit.vision.search.records import Record

STARTUP = 5
"""Median: trials that must be complete before any is stopped."""

WARMUP = 1 / 3
"""Median: share of the epochs, one at least, in which no trial is stopped yet: early values rank settings badly."""

ETA = 3
"""Hyperband: of the trials that reach a rung, the best 1 in ETA goes on, to a rung ETA times as far."""


def decides(pruner: str, position: int, epoch: int, epochs: int, seed: int) -> bool:
    """Whether the trial at `position` may be stopped after `epoch` at all, whatever others reported."""
    if pruner == "none" or epoch >= epochs:
        return False
    return epoch > warmup(epochs) if pruner == "median" else epoch in rungs(position, epochs, seed)


def warmup(epochs: int) -> int:
    """The last epoch after which the median stops nothing."""
    return max(1, round(WARMUP * epochs))


def reason_to_stop(
    pruner: str, own: Record, epoch: int, others: Sequence[Record], epochs: int, seed: int, *, higher: bool
) -> str:
    """Why the trial `own` should stop after `epoch` (from 1), of which it reported; '' where it should go on.

    Values of the objective stand in brackets, with all their digits: the report writes them in the objective's unit.

    `others` are the study's other trials; `epochs` a whole training; nothing is stopped in the last.
    """
    if epoch not in own.reported or not decides(pruner, own.position, epoch, epochs, seed):
        return ""
    if pruner == "median":
        return _median(own, epoch, others, higher=higher)
    return _hyperband(own, epoch, others, epochs, seed, higher=higher)


def _median(own: Record, epoch: int, others: Sequence[Record], *, higher: bool) -> str:
    """Best so far is worse than the median of complete trials after as many epochs (Golovin et al. 2017)."""
    complete = [record for record in others if record.state == "complete"]
    values = [record.reported[epoch] for record in complete if epoch in record.reported]
    if len(complete) < STARTUP or not values:
        return ""
    best = (max if higher else min)(value for at, value in own.reported.items() if at <= epoch)
    middle = float(np.median(values))
    worse = best < middle if higher else best > middle
    if not worse:
        return ""
    return (
        f"in the first {epoch} epochs its best value ({float(best)!r}) was worse than the median of {len(values)} "
        f"complete trials after as many ({middle!r})"
    )


def _hyperband(own: Record, epoch: int, others: Sequence[Record], epochs: int, seed: int, *, higher: bool) -> str:
    """Asynchronous successive halving (Li et al. 2020) in Hyperband's brackets (Li et al. 2018)."""
    bracket = bracket_of(own.position, epochs, seed)
    rivals = [
        record.reported[epoch]
        for record in others
        if bracket_of(record.position, epochs, seed) == bracket and epoch in record.reported
    ]
    value = own.reported[epoch]
    ranked = sorted([*rivals, value], reverse=higher)
    last = ranked[max(len(ranked) // ETA - 1, 0)]
    if value >= last if higher else value <= last:
        return ""
    when = "after 1 epoch" if epoch == 1 else f"after {epoch} epochs"
    return f"{when} its value ({float(value)!r}) was not in the best third of {len(ranked)} trials in its bracket"


def rungs(position: int, epochs: int, seed: int) -> tuple[int, ...]:
    """Epochs after which a trial is compared with those of its bracket."""
    first = bracket_of(position, epochs, seed)
    return tuple(ETA**power for power in range(first, len(brackets(epochs))))


def bracket_of(position: int, epochs: int, seed: int) -> int:
    """Which bracket a trial is in: the higher, the later it may first be stopped; more trials in the lower ones."""
    budgets = brackets(epochs)
    place = crc32(f"{seed}_{position}".encode()) % sum(budgets.values())
    for bracket, budget in budgets.items():
        place -= budget
        if place < 0:
            return bracket
    raise AssertionError("the budgets add up")


def brackets(epochs: int) -> Mapping[int, int]:
    """Share of the trials, as whole numbers, that each bracket has."""
    count = math.floor(math.log(epochs, ETA) + 1e-9) + 1
    return {bracket: math.ceil(count * ETA ** (count - 1 - bracket) / (count - bracket)) for bracket in range(count)}
