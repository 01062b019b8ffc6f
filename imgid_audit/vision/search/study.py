"""A search that several processes share and that goes on after any of them was killed: ask for a trial, tell its end.

A trial is one position, from 0, with its parameters. A process that has one in hand holds its lock; a running trial
whose lock is free was left behind, and whoever asks next gets it again: same position, same parameters, what it
reported kept. So no finished trial is repeated and none is lost. A single process gets the same trials whether it
is killed or not: parameters and early stops are functions of the seed and of what trials before reported.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from imgid_audit.core.fit import SearchTrial
from imgid_audit.vision.search.claims import Claim
from imgid_audit.vision.search.importance import importance
from imgid_audit.vision.search.pruning import decides, reason_to_stop
from imgid_audit.vision.search.records import Record
from imgid_audit.vision.search.sampling import propose
from imgid_audit.vision.search.space import Space
from imgid_audit.vision.search.storage import Storage, identity
from imgid_audit.vision.study_settings import SearchSettings

ALL, TIME, EXHAUSTED = "all trials", "time", "grid exhausted"
"""Why a study ended; the last where a space has fewer combinations than trials were asked for."""

BEAT = 5.0
"""Seconds between two signs of life in the file."""


class Ticket:
    """One trial in the hands of this process. Exactly one of `complete`, `prune`, `fail` and `release` ends it."""

    def __init__(self, study: Study, record: Record, claim: Claim) -> None:
        self._study, self._record, self._claim = study, record, claim
        self.number = record.position
        self.parameters: dict[str, Any] = dict(record.parameters)
        self.reason = ""

    def report(self, epoch: int, value: float | None) -> bool:
        """Keep the objective after `epoch` (from 1), None where undefined or not asked; whether to stop, `reason` why.

        A sign of life too, of which the time that a search takes is made. Reporting an epoch again, as a training
        does that goes on from before it, changes nothing.
        """
        if value is None or not math.isfinite(value):
            self._study._beat()
            return False
        self._record = replace(self._record, reported={**self._record.reported, epoch: float(value)})
        self.reason = self._study._reported(self._record, epoch, float(value))
        return bool(self.reason)

    def complete(self, value: float | None, epochs: int) -> None:
        """The objective of the whole training; one that is no finite number is a failure."""
        if value is None or not math.isfinite(value):
            self.fail("the objective is undefined on val", epochs)
            return
        self._end("complete", epochs, value=float(value))

    def prune(self, epochs: int, reason: str = "") -> None:
        self._end("pruned", epochs, reason=reason or self.reason)

    def fail(self, reason: str, epochs: int = 0) -> None:
        self._end("failed", epochs, reason=reason)

    def release(self) -> None:
        """Given back unfinished: the next to ask gets it."""
        self._study._dropped(self._claim)

    def _end(self, state: Any, epochs: int, *, value: float | None = None, reason: str = "") -> None:
        self._study._ended(self._record, self._claim, state, epochs, value, reason)


class Study:
    """See `open_study`."""

    def __init__(
        self, storage: Storage, space: Space, settings: SearchSettings, clock: Callable[[], float], *, higher: bool
    ) -> None:
        self._storage, self._space, self._settings, self._higher = storage, space, settings, higher
        self._total = space.distinct(settings.trials)
        self._clock, self._start = clock, clock()
        self._session, self._beaten = f"session {os.getpid()} {self._start!r}", -math.inf
        self._claims: list[Claim] = []
        self._timed_out = False

    def ask(self, stop: Callable[[], bool] = lambda: False) -> Ticket | None:
        """A trial to train: one that was left behind, else a new one; None where no other may begin.

        That is so once all trials have begun, or the time is over (a trial left behind began before), or `stop`
        says so. It waits for no trial in other hands: ask again while `waiting`.
        """
        with self._storage.alone(stop) as entered:
            if not entered or stop():
                return None
            self._beat(always=True)
            records = self._records()
            for record in records:
                if record.state == "running" and (ticket := self._taken(record)) is not None:
                    return ticket
            position = len(records)
            self._timed_out = self._over()
            if position >= self._total or self._timed_out:
                return None
            claim = self._claimed(position)  # before the trial exists, so that nobody takes it for one left behind
            if claim is None:
                return None
            return Ticket(self, self._storage.begin(position, self._next(position, records)), claim)

    def _next(self, position: int, records: Sequence[Record]) -> Mapping[str, Any]:
        if position == 0:
            return self._space.given
        settings = self._settings
        return propose(self._space, settings.sampler, settings.seed, position, records, higher=self._higher)

    def _taken(self, record: Record) -> Ticket | None:
        claim = self._claimed(record.position)
        if claim is None:
            return None
        record = self._records()[record.position]  # as it is now: whoever held it may have ended it meanwhile
        if record.state != "running":
            self._dropped(claim)
            return None
        return Ticket(self, record, claim)

    def _claimed(self, position: int) -> Claim | None:
        """The lock of a trial, held; None where another process has it."""
        claim = self._storage.claim(position)
        self._claims.append(claim)  # first: whatever interrupts, `close` finds it
        if claim.take():
            return claim
        self._claims.remove(claim)
        return None

    def _records(self) -> tuple[Record, ...]:
        return self._storage.records(self._total)

    def _reported(self, own: Record, epoch: int, value: float) -> str:
        self._storage.report(own, epoch, value)
        self._beat()
        pruner, seed, epochs = self._settings.pruner, self._settings.seed, self._space.epochs
        if not decides(pruner, own.position, epoch, epochs, seed):
            return ""
        others = [record for record in self._records() if record.position != own.position]
        return reason_to_stop(pruner, own, epoch, others, epochs, seed, higher=self._higher)

    def _ended(self, record: Record, claim: Claim, state: Any, epochs: int, value: float | None, reason: str) -> None:
        self._storage.end(record, state, epochs, value=value, reason=reason)
        self._beat(always=True)
        self._dropped(claim)

    def _dropped(self, claim: Claim) -> None:
        if claim in self._claims:
            self._claims.remove(claim)
            claim.drop()

    def waiting(self) -> int:
        """How many trials have begun and are not in this process's hands: others have them, or left them behind."""
        mine = {claim.path for claim in self._claims}
        running = [self._storage.claim(record.position) for record in self._records() if record.state == "running"]
        return sum(claim.path not in mine for claim in running)

    def trials(self) -> tuple[SearchTrial, ...]:
        """Every trial that ended, by position."""
        return tuple(record.trial for record in self._records() if record.state != "running")

    @property
    def ended(self) -> str:
        """Why nothing is left to do: ``all trials``, ``time`` or ``grid exhausted``; '' while there is.

        That the time is over is found by `ask`, where no other process asks: none begins a trial after it.
        """
        records = self._records()
        if any(record.state == "running" for record in records):
            return ""
        if len(records) >= self._total:
            return ALL if self._total == self._settings.trials else EXHAUSTED
        return TIME if self._timed_out else ""

    @property
    def elapsed(self) -> float:
        """Seconds in which any process worked on the study, over all its sessions."""
        return _union({**self._storage.sessions(), self._session: (self._start, self._clock())}.values())

    def _over(self) -> bool:
        """Whether the time is over by what is in the file: then it is for every process that asks later."""
        minutes = self._settings.minutes
        return minutes is not None and _union(self._storage.sessions().values()) >= 60 * minutes

    def _beat(self, *, always: bool = False) -> None:
        now = self._clock()
        if always or now - self._beaten >= BEAT:
            self._storage.set_session(self._session, self._start, now)
            self._beaten = now

    def importance(self) -> tuple[tuple[tuple[str, float], ...], str]:
        """(parameter, share of the objective's variance), highest first, summing to 1, and ''; or () and why."""
        return importance(self._space, self._records(), higher=self._higher)

    def close(self) -> None:
        """Trials still in hand are given back."""
        for claim in tuple(self._claims):
            self._dropped(claim)
        self._beat(always=True)
        self._storage.close()


def _union(spans: Iterable[Sequence[float]]) -> float:
    """Seconds that lie in any of the spans (start, end)."""
    total, until = 0.0, -math.inf
    for start, end in sorted((start, end) for start, end in spans):
        total += max(end - max(start, until), 0.0)
        until = max(until, end)
    return total


def steady() -> Callable[[], float]:
    """Seconds since 1970, counted on evenly from now: a clock that is set meanwhile must not move the time's end."""
    offset = time.time() - time.monotonic()
    return lambda: offset + time.monotonic()


@contextmanager
def open_study(
    path: Path,
    fingerprint: str,
    space: Space,
    settings: SearchSettings,
    *,
    higher: bool,
    clock: Callable[[], float] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Study]:
    """The study in the SQLite file `path`, made where there is none; several processes may open it.

    - `fingerprint`: of all that a trial's value depends on besides its parameters (rows, images, settings, objective,
      versions); with another one, another space, sampler, seed or pruner it is another study in the same file
    - `higher`: whether higher objectives are better
    - `stop` ends the waiting for a process that opens it or asks
    - more `trials` than before, or more `minutes`, continue the same study; fewer trials look at the first of them

    Raises `InputError` for a file that is damaged, of another version or cannot be written; `StoppedError` by `stop`.
    """
    parts = (fingerprint, space.words, space.given, space.epochs, settings.sampler, settings.seed, settings.pruner)
    exact = {name: repr(parameter) for name, parameter in space.parameters.items()}
    storage = Storage(path, identity(*parts, exact, higher), space, higher=higher, stop=stop)
    study = Study(storage, space, settings, clock or steady(), higher=higher)
    try:
        yield study
    finally:
        study.close()
