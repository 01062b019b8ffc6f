"""One training in a process of its own: ``train_driver.py IMAGES OUT ROWS FAULT [key=json ...]``, also below torchrun.

FAULT makes something go wrong: ``none``; ``kill:N`` ends the process (by SIGKILL) after epoch N's checkpoint,
``step:N`` in its N-th step, ``before:N`` and ``after:N`` around the N-th time that a file or folder is synced;
``raise:N`` raises in the second process in its N-th step, ``memory:N`` says there that memory ran out, ``dies:N`` kills
it; ``stop:N`` asks the second process to stop there.
Of two processes, one that torchrun asks to end does not: it must end by itself, for torchrun waits 30 s and kills it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import torch
from torch import nn

from imgid_audit.core.errors import AuditError
from imgid_audit.vision import checkpoint
from imgid_audit.vision.distributed import current, joined
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from tests.vision.conftest import World

SIDE = 16


def without_norm(num_classes: int) -> nn.Module:
    """A network whose rows do not see one another."""
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, num_classes)
    )


def main() -> int:
    images, out, rows, fault = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    given = {key: json.loads(value) for key, _, value in (text.partition("=") for text in sys.argv[5:])}
    architecture = given.pop("architecture", "tests.vision.train_driver:without_norm")
    torch.set_num_threads(1)
    made = World(images, rows, write=False)
    model = ModelSettings(architecture=architecture, input=InputSettings(size=SIDE))
    settings = TrainSettings(**{"epochs": 3, "batch_size": 16, "lr": 0.01, "workers": 0, **given})
    with_fault(fault)
    if "RANK" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with joined(settings.device) as world:
            record = train(made.manifest, made.task, images, model, settings, out, stop=asked(fault))
            Path(f"{out}.{world.rank}.json").write_text(repr(record))
    except AuditError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return error.exit_code
    return 0


def with_fault(fault: str) -> None:
    kind, _, count = fault.partition(":")
    if kind == "kill":
        save = checkpoint.save

        def dying(folder: Path, name: str, history: object, parts: object) -> None:
            save(folder, name, history, parts)
            if len(history.epochs) == int(count):
                os.kill(os.getpid(), signal.SIGKILL)

        checkpoint.save = dying
    if kind in ("raise", "memory", "dies", "step"):
        step, steps = Loop._step, iter(range(1000))

        def failing(self: Loop, *args: object) -> float:
            if next(steps) == int(count):
                if kind == "step" or (kind == "dies" and current().rank == 1):
                    os.kill(os.getpid(), signal.SIGKILL)
                if current().rank == 1:
                    raise (MemoryError if kind == "memory" else ValueError)("planted in the second process")
            return step(self, *args)

        Loop._step = failing
    if kind in ("before", "after"):
        die_when_syncing(kind, int(count))


def die_when_syncing(when: str, count: int) -> None:
    """SIGKILL at the `count`-th sync (from 1); a file that is written takes two, before and after its renaming."""
    sync, syncs = os.fsync, itertools.count(1)

    def dying(handle: int) -> None:
        last = next(syncs) == count
        if last and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        sync(handle)
        if last:
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = dying


def asked(fault: str):
    kind, _, count = fault.partition(":")
    polls = iter(range(1000))
    return lambda: kind == "stop" and next(polls) >= int(count) and current().rank == 1


if __name__ == "__main__":
    sys.exit(main())
