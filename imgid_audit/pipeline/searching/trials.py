"""Trials of a search: networks with settings that the study asks for, valued on val. Several processes may share."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.config import Config
from imgid_audit.core.errors import AuditError, InputError, StoppedError
from imgid_audit.core.fit import Search
from imgid_audit.core.values import Undefined
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.objective import Objective, ideal_decisions, objective_of
from imgid_audit.pipeline.studies.networks import forget, scored_decisions, trained
from imgid_audit.pipeline.training import Scores
from imgid_audit.vision.search import Space, open_study
from imgid_audit.vision.study_settings import SearchSettings

if TYPE_CHECKING:
    from imgid_audit.vision.records import EpochRecord
    from imgid_audit.vision.search import Study, Ticket

APART = 10_000
"""From the seed of trials to those of networks that are judged: each of those has fewer than 101 in a row."""

POLL = 1.0
"""Seconds between two looks at trials in other hands."""


class PrunedError(Exception):
    """A trial was stopped early: after as many epochs others were better."""


@dataclass(frozen=True, slots=True, eq=False)
class Searched:
    """What every trial of a search needs."""

    job: Job
    settings: SearchSettings
    space: Space
    objective: Objective

    @property
    def seed(self) -> int:
        """One that no network has that is judged, on test or in a study."""
        return self.job.config.train.seed + APART


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
    path, trials = job.folder.search / "study.db", of.space.distinct(of.settings.trials)
    higher = of.objective.higher
    with open_study(path, fingerprint, of.space, of.settings, higher=higher, stop=job.stop) as study:
        while True:
            ticket = study.ask(job.stop)
            if ticket is not None:
                _try(of, ticket)
            elif study.ended:
                return _concluded(of, study)
            elif job.stop():
                done = len(study.trials())
                raise StoppedError(f"search stopped after {done} of {trials} trials: the same command continues")
            else:
                time.sleep(POLL)  # trials are in other processes' hands


def _try(of: Searched, ticket: Ticket) -> None:
    """Train one network and tell the study what became of it."""
    from imgid_audit.vision.errors import DivergedError

    job = of.job
    job.progress.step(f"search, trial {ticket.number + 1} of {of.space.distinct(of.settings.trials)}")
    model, train = of.space.applied(ticket.parameters)
    train = train.model_copy(update={"seed": of.seed})
    watch = _Watched(of, ticket)
    try:
        network = trained(job, model, train, job.inputs.manifest, splits=("val",), watch=watch)
    except PrunedError:
        forget(job, model, train, job.inputs.manifest)
        ticket.prune(watch.epochs, ticket.reason)
    except DivergedError as error:
        ticket.fail(str(error), error.epochs)
    except (InputError, StoppedError) as error:
        if job.stop() or error is watch.untold or not _of_its_settings(ticket, error):
            ticket.release()
            raise
        ticket.fail(str(error), watch.epochs)
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


def _of_its_settings(ticket: Ticket, error: Exception) -> bool:
    """Whether a failure is the trial's own, and not one that passes or that every trial would have.

    Memory that runs out is of the batch and the network; input is refused for an architecture alone. The settings as
    given fail for reasons that the user must hear.
    """
    return ticket.number > 0 and (isinstance(error, StoppedError) or "architecture" in ticket.parameters)


def valued(of: Searched, scores: Scores) -> float | Undefined:
    """The objective on val of a network that gives these scores (n, classes)."""
    return of.objective.of(scored_decisions(of.job, scores, "val"))


class _Watched:
    """Tells the study the objective after every epoch; raises where the trial is not worth going on with.

    `untold` is why the study could not be told: that says nothing of the trial.
    """

    def __init__(self, of: Searched, ticket: Ticket) -> None:
        self.of, self.ticket, self.epochs = of, ticket, 0
        self.untold: AuditError | None = None

    def __call__(self, epoch: EpochRecord, rows: NDArray[np.intp], scores: Scores) -> None:
        self.epochs = epoch.epoch
        value = None
        if self.of.settings.pruner != "none":
            inputs = self.of.job.inputs
            seen = np.full((len(inputs.manifest), len(inputs.task.labels)), np.nan)
            seen[rows] = scores
            found = valued(self.of, seen)
            value = None if isinstance(found, Undefined) else found
        try:
            stopped = self.ticket.report(epoch.epoch, value)
        except AuditError as error:
            self.untold = error
            raise
        if stopped:
            raise PrunedError


def _concluded(of: Searched, study: Study) -> Search:
    trials = study.trials()
    complete = [trial for trial in trials if trial.state == "complete" and trial.value is not None]
    sign = 1 if of.objective.higher else -1
    best = max(complete, key=lambda trial: (sign * (trial.value or 0.0), -trial.number), default=None)
    importance, note = study.importance()
    left = of.objective.left_out(ideal_decisions(of.job.inputs.task, of.job.inputs.manifest, "val"))
    notes = [f"Left out of the objective on val: {name}: {why}." for name, why in left.items()]
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
        notes=(*([f"Which settings mattered is not told: {note}."] if note else []), *notes),
    )
