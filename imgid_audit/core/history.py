"""Many audits in the order of their dates: what a history keeps of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from imgid_audit.core.result import Estimate, Verdict


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a history keeps of one audit; nothing in it names a subject.

    - `place`: its folder, relative to the one that was searched; `epoch`: the audit's date
    - `evaluated`: rows that the estimates speak of, None where their number is hidden; `totals`: the
      estimates over all of them
    - `rules`: what each verdict's rule asked, by the rule's id; `hashes`: sha256 of each input, by name
    - `suppressed`: numbers of small groups were hidden before they came here
    - `warns`: its policy lets inconclusive rules pass
    """

    place: str
    name: str
    epoch: datetime
    evaluated: int | None
    multiclass: bool
    totals: tuple[Estimate, ...]
    verdicts: tuple[Verdict, ...]
    rules: Mapping[str, Mapping[str, Any]]
    hashes: Mapping[str, str]
    suppressed: bool = False
    warns: bool = False


@dataclass(frozen=True, slots=True)
class Unread:
    """A folder that should hold an audit and does not hold one that can be read."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Project:
    """The audits of one name, by date, then by place."""

    name: str
    runs: tuple[RunRecord, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Everything that was found: projects by name, and what could not be read by place."""

    projects: tuple[Project, ...]
    unread: tuple[Unread, ...]


def changed(before: RunRecord, after: RunRecord) -> tuple[str, ...]:
    """Names of the inputs that differ between two audits, in alphabetical order.

    An input that only one of them has counts as changed. What is computed from the others (the
    kept cells) is left out.
    """
    names = (before.hashes.keys() | after.hashes.keys()) - {"cells"}
    return tuple(sorted(name for name in names if before.hashes.get(name) != after.hashes.get(name)))
