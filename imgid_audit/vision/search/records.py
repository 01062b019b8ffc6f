"""What a study has of a trial, as plain values: sampling and pruning are functions of these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from imgid_audit.core.fit import SearchTrial

State = Literal["running", "complete", "pruned", "failed"]


@dataclass(frozen=True, slots=True)
class Record:
    """A trial of a study.

    - `position`: from 0, the settings as given; no two trials have one
    - `value`: the objective where `state` is ``complete``
    - `reported`: the objective after epochs (from 1), without those in which it was undefined
    - `key`: of the trial in its storage
    """

    position: int
    parameters: Mapping[str, Any]
    state: State
    value: float | None
    reported: Mapping[int, float]
    epochs: int
    reason: str
    key: int

    @property
    def last(self) -> float | None:
        """The objective of the whole training, else as last reported."""
        if self.value is not None or not self.reported:
            return self.value
        return self.reported[max(self.reported)]

    @property
    def trial(self) -> SearchTrial:
        """As the report has it; only of a trial that ended."""
        if self.state == "running":
            raise ValueError(f"trial {self.position} has not ended")
        value = None if self.state == "failed" else self.last
        return SearchTrial(self.position, self.parameters, self.state, value, self.epochs, self.reason)
