"""The SQLite file of a study, written and read by Optuna: its own tools can look at it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.vision.search.claims import Claim, alone
from imgid_audit.vision.search.quiet import quiet
from imgid_audit.vision.search.records import Record, State
from imgid_audit.vision.search.sampling import distributions_of
from imgid_audit.vision.search.space import Space

if TYPE_CHECKING:
    from optuna.storages import BaseStorage
    from optuna.trial import FrozenTrial

PATIENCE = 60.0
"""Seconds that a write waits for another process's."""

LONGEST = 1000
"""Characters that are kept of a reason: Optuna's columns hold 2,000."""

START_OVER = "remove the file, and the search starts over"

STATES: dict[str, State] = {"RUNNING": "running", "COMPLETE": "complete", "PRUNED": "pruned", "FAIL": "failed"}


class Storage:
    """The trials of one study among those that a file keeps; studies of other fingerprints are left alone.

    Whatever changes trials, or asks who has them in hand, happens inside `alone`.
    """

    def __init__(
        self, path: Path, fingerprint: str, space: Space, *, higher: bool, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self.path, self.space = path, space
        self.name = hashlib.sha256(fingerprint.encode()).hexdigest()[:16]
        with self.guarded():
            self._made(higher, stop)

    def _made(self, higher: bool, stop: Callable[[], bool]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._claims.mkdir(exist_ok=True)
        with self.alone(stop) as entered, quiet():
            if not entered:
                raise StoppedError(f"{self.path}: stopped before the search was opened: the same command continues")
            _refuse_damaged(self.path)
            self._engine, self._storage = _opened(self.path)
            self._study = self._found(higher)
        self._distributions = distributions_of(self.space)

    @property
    def _claims(self) -> Path:
        return self.path.parent / "claims"

    def _found(self, higher: bool) -> int:
        from optuna.exceptions import DuplicatedStudyError
        from optuna.study import StudyDirection

        try:
            return self._storage.create_new_study(
                [StudyDirection.MAXIMIZE if higher else StudyDirection.MINIMIZE], self.name
            )
        except DuplicatedStudyError:
            return self._storage.get_study_id_from_name(self.name)

    def close(self) -> None:
        self._engine.dispose()

    def alone(self, stop: Callable[[], bool]) -> Any:
        """Context in which no other process asks; gives False where `stop` ended the waiting for it."""
        return alone(self._claims / "asking", stop)

    def claim(self, position: int) -> Claim:
        return Claim(self._claims / f"{self.name}-{position}")

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """What SQLite cannot do, as errors that say what to do."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except (SQLAlchemyError, StorageInternalError, sqlite3.Error) as error:
            raise self._problem(error) from error
        except OSError as error:
            message = f"cannot be written ({error.strerror}): name another run folder with --out"
            raise InputError(Problem(str(self.path), message)) from error

    def _problem(self, error: Exception) -> InputError | StoppedError:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, sqlite3.Error):
            cause = getattr(cause, "orig", None) or cause.__cause__
        told = str(cause or error).splitlines()[0]
        if any(word in told for word in ("readonly", "unable to open")):
            message = f"cannot be written ({told}): name another run folder with --out"
            return InputError(Problem(str(self.path), message))
        if any(word in told for word in ("malformed", "not a database", "no such", "no column")):
            return InputError(Problem(str(self.path), f"is damaged or no study ({told}): {START_OVER}"))
        return StoppedError(f"{self.path}: cannot be written ({told}); finished trials are kept: run the same again")

    def records(self, below: int) -> tuple[Record, ...]:
        """All trials at positions under `below`, by position."""
        with self.guarded(), quiet():
            every = self._storage.get_all_trials(self._study, deepcopy=False)
        records = [self._record(trial) for trial in every if trial.user_attrs.get("position", below) < below]
        return tuple(sorted(records, key=lambda record: record.position))

    def _record(self, trial: FrozenTrial) -> Record:
        position = trial.user_attrs["position"]
        parameters = self.space.given if position == 0 else {name: trial.params[name] for name in self.space.parameters}
        state, end = STATES[trial.state.name], trial.user_attrs.get("end", {})
        return Record(
            position=position,
            parameters=parameters,
            state=state,
            value=trial.value if state == "complete" else None,
            reported=dict(trial.intermediate_values),
            epochs=end.get("epochs", 0),
            reason=end.get("reason", ""),
            key=trial._trial_id,
        )

    def begin(self, position: int, parameters: Mapping[str, Any]) -> Record:
        """A new running trial, in one transaction.

        The settings as given may lie outside the space: those values are in the config, the others with the trial.
        """
        from optuna.trial import TrialState, create_trial

        inside = {name: value for name, value in parameters.items() if self.space.parameters[name].holds(value)}
        with self.guarded(), quiet():
            trial = create_trial(
                state=TrialState.RUNNING,
                params=inside,
                distributions={name: self._distributions[name] for name in inside},
                user_attrs={"position": position},
            )
            key = self._storage.create_new_trial(self._study, trial)
        return Record(position, dict(parameters), "running", None, {}, 0, "", key)

    def report(self, record: Record, epoch: int, value: float) -> None:
        with self.guarded(), quiet():
            self._storage.set_trial_intermediate_value(record.key, epoch, value)

    def end(self, record: Record, state: State, epochs: int, *, value: float | None = None, reason: str = "") -> None:
        """The state last: a trial that dies before it is still running, and is taken up again."""
        from optuna.trial import TrialState

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with self.guarded(), quiet():
            self._storage.set_trial_user_attr(record.key, "end", {"epochs": epochs, "reason": reason[:LONGEST]})
            values = None if value is None else [value]
            self._storage.set_trial_state_values(record.key, states[state], values)

    def sessions(self) -> dict[str, Sequence[float]]:
        """Start and latest sign of life of every process that worked on the study, in seconds of its clock."""
        with self.guarded(), quiet():
            attributes = self._storage.get_study_user_attrs(self._study)
        return {key: value for key, value in attributes.items() if key.startswith("session ")}

    def set_session(self, key: str, start: float, end: float) -> None:
        with self.guarded(), quiet():
            self._storage.set_study_user_attr(self._study, key, [start, end])


def identity(*parts: Any) -> str:
    """A text that changes whenever one of the parts, which JSON or `repr` can write, does."""
    return json.dumps(parts, default=repr, sort_keys=True)


def _refuse_damaged(path: Path) -> None:
    """sqlite3 finds broken pages only where it reads them, so every page is read once."""
    if not path.exists():
        return
    with closing(sqlite3.connect(path, timeout=PATIENCE)) as connection:
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise InputError(Problem(str(path), f"is damaged ({found.splitlines()[0]}): {START_OVER}"))


def _opened(path: Path) -> tuple[Any, BaseStorage]:
    """Optuna's storage, with a connection of its own for every transaction: none is left open to worker processes."""
    from optuna.storages import RDBStorage, get_storage
    from sqlalchemy.pool import NullPool

    def connect() -> sqlite3.Connection:  # and no URL, in which some characters of a path mean something
        return sqlite3.connect(path, timeout=PATIENCE, check_same_thread=False)

    try:
        storage = RDBStorage("sqlite://", engine_kwargs={"creator": connect, "poolclass": NullPool})
    except (RuntimeError, AssertionError) as error:  # a schema of another version, or none
        message = "was written by another version of Optuna: install that one, or"
        raise InputError(Problem(str(path), f"{message} {START_OVER}")) from error
    return storage.engine, get_storage(storage)
