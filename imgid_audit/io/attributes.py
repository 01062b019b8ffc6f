"""Metadata attributes: text levels or numeric bins, with `(other)` and `(missing)` visible."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imgid_audit.core.factor import MISSING, OTHER, Codes, Counts, Factor, tally
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.settings import AttributeSettings
from imgid_audit.io.tables import Table


def read_attribute(table: Table, name: str, settings: AttributeSettings, remarks: Remarks) -> Factor:
    """The attribute as a factor with codes >= 0 on every row; its column has been checked to exist.

    Levels are those that some row has: bins in their order, or texts in sorted order, then `OTHER`
    (levels of fewer than `min_count` rows) and `MISSING` (empty cells). What is wrong is added to
    `remarks`, and the factor is then of no use.
    """
    column = settings.column or name
    if settings.bins is None:
        levels, codes = table.encode(column)
        _refuse_reserved(table, column, levels, codes, remarks)
        refuse_long(table, column, levels, codes, remarks)
        note_near_levels(f"attribute {name}", levels, remarks)
    else:
        levels, codes = _binned(table, column, settings.bins, remarks)
    factor = with_visible_levels(name, levels, codes, settings.min_count, table.count)
    if len(factor.levels) > MOST_LEVELS:
        message = f"has {len(factor.levels):,} levels, and an attribute may have {MOST_LEVELS:,}"
        remarks.problem(table.where(column), f"{message}: give it `bins` or `min_count`, or is it an identifier?")
    return factor


def with_visible_levels(
    name: str, levels: tuple[str, ...], codes: Codes, min_count: int | None, count: Counts | None = None
) -> Factor:
    """Gather levels rarer than `min_count` rows as `OTHER`, and codes of -1 as `MISSING`.

    The order of the other levels is kept; levels that no row has are left out. `count` (n,): rows
    that each entry stands for, None: 1.
    """
    held = tally(codes + 1, len(levels) + 1, count)
    missing, counts = held[0], held[1:]
    kept = np.flatnonzero(counts >= max(min_count or 1, 1))
    if not missing and len(kept) == len(levels):
        return Factor(name, levels, codes)
    recode = np.full(len(levels) + 1, len(kept), dtype=np.int32)
    recode[kept] = np.arange(len(kept), dtype=np.int32)
    names = [levels[index] for index in kept]
    if counts.sum() > counts[kept].sum():
        names.append(OTHER)
    if missing:
        recode[-1] = len(names)
        names.append(MISSING)
    return Factor(name, tuple(names), recode[codes])


def bin_texts(edges: tuple[float, ...]) -> tuple[str, ...]:
    """Interval notation: ``[0, 46)`` holds 0 and not 46; the last bin holds both its edges."""
    texts = [f"[{_plain(low)}, {_plain(high)})" for low, high in pairwise(edges)]
    return (*texts[:-1], f"{texts[-1][:-1]}]")


def bin_codes(values: NDArray[np.float64], edges: tuple[float, ...]) -> Codes:
    """Index of the left-closed bin of each value (n,), the last edge included; -1 outside or NaN."""
    codes = np.searchsorted(edges, values, side="right").astype(np.int32) - 1
    codes[values == edges[-1]] = len(edges) - 2
    codes[~((values >= edges[0]) & (values <= edges[-1]))] = -1
    return codes


MOST_LEVELS = 1000
"""Levels of an attribute: all pairs of them are compared, which ends in minutes and gigabytes for many more."""

LONGEST = 300
"""Characters of a label or level that a page can show; longer ones are free text, not categories."""


def refuse_long(table: Table, column: str, levels: tuple[str, ...], codes: Codes, remarks: Remarks) -> None:
    """Add a problem where texts are longer than `LONGEST`."""
    long = np.array([len(level) > LONGEST for level in (*levels, "")], dtype=bool)[codes]
    if long.any():
        remarks.problem(
            table.where(column, long),
            f"is longer than {LONGEST} characters: this column holds free text, no categories",
        )


def note_near_levels(what: str, levels: Iterable[str], remarks: Remarks, *, named: bool = True) -> None:
    """Note levels that differ only by case or by blanks: probably one level written in two ways.

    `named` False counts them without saying which: notes are published, and subjects' ids must not be.
    """
    every = list(levels)
    folded = pc.utf8_trim_whitespace(pc.utf8_lower(pa.array(every, pa.string()))).to_pylist()
    if len(set(folded)) == len(every):
        return
    groups: dict[str, list[str]] = {}
    for key, level in zip(folded, every, strict=True):
        groups.setdefault(key, []).append(level)
    near = [group for group in groups.values() if len(group) > 1]
    if not named:
        count = sum(map(len, near))
        remarks.note(f"{what}: {count} texts differ from another one only by case or blanks and are kept apart")
        return
    shown = "; ".join(listed(group) for group in near[:3])
    more = f"; and {len(near) - 3} more" if len(near) > 3 else ""
    remarks.note(f"{what}: these differ only by case or blanks and are kept apart: {shown}{more}")


def _binned(table: Table, column: str, edges: tuple[float, ...], remarks: Remarks) -> tuple[tuple[str, ...], Codes]:
    cells, index = table.distinct_numbers(column)
    unreadable = cells.unreadable | (np.isnan(cells.values) & ~cells.empty)
    if unreadable.any():
        rows = unreadable[index]
        texts = listed(dict.fromkeys(table.texts(column)[rows]), shown=3)
        message = f"is not a number: {texts}; bins need numbers, and an empty cell for what is not known"
        remarks.problem(table.where(column, rows), message)
    codes = bin_codes(cells.values, edges)
    outside = (codes < 0) & ~cells.empty & ~unreadable
    if outside.any():
        low, high = cells.values[outside].min(), cells.values[outside].max()
        found = _plain(low) if low == high else f"{_plain(low)} to {_plain(high)}"
        message = (
            f"lies outside the bins {_plain(edges[0])} to {_plain(edges[-1])}: {found}; widen them or empty the cell"
        )
        remarks.problem(table.where(column, outside[index]), message)
    return bin_texts(edges), codes[index]


def _refuse_reserved(table: Table, column: str, levels: tuple[str, ...], codes: Codes, remarks: Remarks) -> None:
    for reserved in (MISSING, OTHER):
        if reserved in levels:
            rows = codes == levels.index(reserved)
            message = f"says {reserved!r}, a name that the audit gives itself: empty the cell, or use another text"
            remarks.problem(table.where(column, rows), message)


def _plain(value: float) -> str:
    """A number as people write it: 46, 0.5, 1e+20."""
    number = float(value)
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else repr(number)
