"""Errors are part of the interface: what is wrong, where, what was found, what to do.

Every error that a user can cause is an `AuditError`; its `exit_code` is the one that the command
line returns. Anything else that escapes is a defect of ours and exits 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input.

    `where` is as exact as it can be: ``audit.yaml:31 [policy > rules > 0 > metric]`` or
    ``metadata.csv row 7 [age]`` (rows count from 1 and do not count the header).
    """

    where: str
    message: str

    def __str__(self) -> str:
        return f"{self.where} {self.message}" if self.where else self.message


class AuditError(Exception):
    """Base of everything that is reported to the user as a message and not as a traceback."""

    exit_code = 4


class InputError(AuditError):
    """Bad usage, config or input; nothing was run. Carries every problem found, not the first."""

    exit_code = 2

    def __init__(self, problems: Problem | str | Iterable[Problem]) -> None:
        if isinstance(problems, str):
            problems = (Problem("", problems),)
        elif isinstance(problems, Problem):
            problems = (problems,)
        self.problems: tuple[Problem, ...] = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StoppedError(AuditError):
    """Stopped part-way, or too many images failed. What is finished is kept; the same command resumes."""

    exit_code = 3


def raise_all(problems: Iterable[Problem]) -> None:
    """Raise one `InputError` with all the problems, or do nothing when there are none."""
    found = tuple(problems)
    if found:
        raise InputError(found)
