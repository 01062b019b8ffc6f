"""How rows, names and levels are named in messages: the first few, and how many more."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem

SHOWN = 5
"""How many rows a message lists before it says how many more there are."""


def rows_text(rows: NDArray[Any]) -> str:
    """``row 7`` or ``rows 3, 7, 9, 12, 15 and 117 more``, from a mask or from indices that start at 0."""
    indices = np.flatnonzero(rows) if rows.dtype == bool else rows
    shown = ", ".join(str(int(row) + 1) for row in indices[:SHOWN])
    more = f" and {len(indices) - SHOWN:,} more" if len(indices) > SHOWN else ""
    return f"row{'s' if len(indices) > 1 else ''} {shown}{more}"


def listed(texts: Iterable[str], shown: int = 20) -> str:
    """Texts in quotes, the first `shown` of them and how many more."""
    every = list(texts)
    more = f" and {len(every) - shown:,} more" if len(every) > shown else ""
    return ", ".join(repr(text) for text in every[:shown]) + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``did you mean 'sex'? `` or nothing."""
    near = get_close_matches(name, list(known), n=1)
    return f"did you mean {near[0]!r}? " if near else ""


def refuse_repeated_columns(source: str, names: Iterable[str]) -> None:
    """Raise `InputError` where two columns have the same name: neither could be asked for."""
    every = list(names)
    repeated = sorted({name for name in every if every.count(name) > 1})
    if repeated:
        raise InputError(Problem(source, f"has columns of the same name: {listed(repeated)}; rename all but one"))


@dataclass(frozen=True, slots=True)
class Remarks:
    """What reading found: problems that stop the audit, and notes that the report prints."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def problem(self, where: str, message: str) -> None:
        self.problems.append(Problem(where, message))

    def note(self, text: str) -> None:
        self.notes.append(text)
