"""A search of a known surface in a process of its own, which can die at a given moment."""

from __future__ import annotations

import argparse
import json
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from imgid_audit.vision.search import Space, Study, Ticket, open_study
from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import SearchSettings

EPOCHS = 9
SPACE = {
    "lr": {"low": 1e-4, "high": 1e-1, "log": True},
    "dropout": {"low": 0, "high": 0.8},
    "optimizer": ["adamw", "sgd"],
}
FINITE = {"lr": [1e-4, 1e-3, 1e-2], "dropout": {"low": 0, "high": 0.4, "step": 0.2}, "optimizer": ["adamw", "sgd"]}


def settings_of(sampler: str, pruner: str, trials: int, **more: Any) -> SearchSettings:
    space = FINITE if sampler == "grid" else SPACE
    given = {"sampler": sampler, "pruner": pruner, "trials": trials, "seed": 3, "space": space}
    return SearchSettings.model_validate({**given, **more})


def opened(path: Path, settings: SearchSettings, **more: Any) -> Any:
    space = Space.of(settings, ModelSettings(), TrainSettings(epochs=EPOCHS, lr=0.5))  # as given: outside the space
    return open_study(path, "rows and settings", space, settings, **{"higher": True, **more})


def objective(parameters: Mapping[str, Any], epoch: int = EPOCHS) -> float:
    """Best at 0.01, 0.2, sgd; a training nears its end value by halves. Learning rates above 0.06 fail."""
    off = (math.log10(parameters["lr"]) + 2) ** 2 + (parameters["dropout"] - 0.2) ** 2
    end = -off - 0.1 * (parameters["optimizer"] == "adamw")
    return end - 0.5**epoch


def trained(ticket: Ticket, die: str, log: Path | None = None, pause: float = 0.0) -> None:
    """What the pipeline does with a ticket; SIGKILL at the moment that `die` names."""

    def moment(name: str) -> None:
        if name == die:
            os.kill(os.getpid(), signal.SIGKILL)

    moment(f"asked {ticket.number}")
    for epoch in range(1, EPOCHS + 1):
        time.sleep(pause)
        stopped = ticket.report(epoch, objective(ticket.parameters, epoch))
        moment(f"reported {ticket.number} {epoch}")
        if stopped:
            ticket.prune(epoch)
            break
        if 0.06 < ticket.parameters["lr"] < 0.5 and epoch == 2:
            ticket.fail("the loss became infinite", epoch)
            break
    else:
        moment(f"trained {ticket.number}")
        ticket.complete(objective(ticket.parameters), EPOCHS)
    if log is not None:
        with log.open("a") as file:
            file.write(f"{ticket.number}\n")
    moment(f"told {ticket.number}")


def run(study: Study, die: str = "", log: Path | None = None, pause: float = 0.0) -> list[dict[str, Any]]:
    """Until no trial is left, in this process or another; the trials."""
    while True:
        ticket = study.ask()
        if ticket is not None:
            trained(ticket, die, log, pause)
        elif not study.waiting():
            return [asdict(trial) for trial in study.trials()]
        else:
            time.sleep(0.02)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("sampler")
    parser.add_argument("pruner")
    parser.add_argument("trials", type=int)
    parser.add_argument("--die", default="")
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--wait", action="store_true", help="say which trial came first, and go on when told to")
    given = parser.parse_args()
    with opened(given.folder / "study.db", settings_of(given.sampler, given.pruner, given.trials)) as study:
        if given.wait:
            first = study.ask()
            assert first is not None
            print(first.number, flush=True)
            sys.stdin.readline()
            trained(first, given.die, given.folder / "log", given.pause)
        json.dump(run(study, given.die, given.folder / "log", given.pause), sys.stdout)


if __name__ == "__main__":
    main()
