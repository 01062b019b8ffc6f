"""Trials of a search: networks with settings that the study asks for, valued on val. Several processes may share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.fit import Search
from imgid_audit.core.values import Undefined
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.objective import Objective, objective_of
from imgid_audit.pipeline.studies.networks import scored_decisions, trained
from imgid_audit.pipeline.training import Scores
from imgid_audit.vision.search import Space, open_study
from imgid_audit.vision.study_settings import SearchSettings

if TYPE_CHECKING:
    from imgid_audit.vision.records import EpochRecord
    from imgid_audit.vision.search import Study, Ticket
    from imgid_audit.vision.train import Watch

POLL = 1.0
"""Seconds between two looks at trials in other hands."""


class PrunedError(Exception):
    """A trial was stopped early: after as many epochs others were better."""

    def __init__(self, epoch: int) -> None:
        super().__init__(f"stopped after epoch {epoch}: worse than others were after as many")
        self.epoch = epoch


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What every trial of a search needs."""

    job: Job
    settings: SearchSettings
    space: Space
    objective: Objective

    @property
    def seed(self) -> int:
        """One that no network has that is judged on test."""
        return self.job.config.train.seed + self.settings.confirm


def searched(job: Job) -> Searched:
    """The search that the config asks for."""
    settings = job.config.train.search
    assert settings is not None
    return Searched(job, settings, space_of(job.config), objective_of(job.config, job.inputs.task))


def space_of(config: Config) -> Space:
    """What `train.search.space` names, around the settings as given."""
    settings, model = config.train.search, config.model
    assert settings is not None
    assert model is not None
    return Space.of(settings, model, config.train.alone())


def run_trials(of: Searched, fingerprint: str) -> Search:
    """Take trials until none is left, here or in other processes; the search without its confirmation.

    Raises `StoppedError` where the user asks to stop; the trial in hand is given back.
    """
    job = of.job
    path = job.folder.search / "study.db"
    with open_study(path, fingerprint, of.space, of.settings, higher=of.objective.higher) as study:
        while True:
            ticket = study.ask(job.stop)
            if ticket is not None:
                _try(of, ticket)
            elif not study.waiting():
                return _concluded(of, study)
            elif job.stop():
                raise StoppedError("search stopped while other processes finish its trials: the same command continues")
            else:
                time.sleep(POLL)


def _try(of: Searched, ticket: Ticket) -> None:
    """Train one network and tell the study what became of it."""
    from imgid_audit.vision.errors import DivergedError

    job = of.job
    job.progress.step(f"search, trial {ticket.number + 1} of {of.settings.trials}")
    model, train = of.space.applied(ticket.parameters)
    train = train.model_copy(update={"seed": of.seed})
    try:
        network = trained(job, model, train, job.inputs.manifest, splits=("val",), watch=_watch(of, ticket))
    except PrunedError as error:
        ticket.prune(error.epoch, str(error))
    except (DivergedError, InputError) as error:
        ticket.fail(str(error))
    except StoppedError as error:
        if job.stop():
            ticket.release()
            raise
        ticket.fail(str(error))
    except BaseException:
        ticket.release()
        raise
    else:
        epochs = len(network.record.epochs)
        value = valued(of, network.scores)
        if isinstance(value, Undefined):
            ticket.fail(f"{of.objective.words}: {value.reason}", epochs)
        else:
            ticket.complete(value, epochs)


def valued(of: Searched, scores: Scores) -> float | Undefined:
    """The objective on val of a network that gives these scores (n, classes)."""
    return of.objective.of(scored_decisions(of.job, scores, "val"))


def _watch(of: Searched, ticket: Ticket) -> Watch | None:
    """Tells the study the objective after every epoch; raises where the trial is not worth going on with."""
    if of.settings.pruner == "none":
        return None
    shape = len(of.job.inputs.manifest), len(of.job.inputs.task.labels)

    def watch(epoch: EpochRecord, rows: NDArray[np.intp], scores: Scores) -> None:
        seen = np.full(shape, np.nan)
        seen[rows] = scores
        value = valued(of, seen)
        if ticket.report(epoch.epoch, None if isinstance(value, Undefined) else value):
            raise PrunedError(epoch.epoch)

    return watch


def _concluded(of: Searched, study: Study) -> Search:
    trials = study.trials()
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = 1 if of.objective.higher else -1
    best = max(complete, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)
    importance, note = study.importance()
    return Search(
        sampler=of.settings.sampler,
        pruner=of.settings.pruner,
        objective=of.objective.spec.primary,
        better="higher" if of.objective.higher else "lower",
        criterion=of.objective.words,
        space=of.space.words,
        asked=of.settings.trials,
        trials=trials,
        chosen=None if best is None else best.number,
        ended=study.ended,
        minutes=of.settings.minutes,
        importance=importance,
        level=of.job.config.intervals.level,
        notes=(note,) if note else (),
    )
