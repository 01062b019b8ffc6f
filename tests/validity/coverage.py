"""Coverage of nominal 95 % intervals: rates, and the differences of all pairs of groups at once.

`python -m tests.validity.coverage` prints the tables.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from imgid_audit.stats.gaps import all_pairs, among, pair_limits
from tests.validity.world import GROUP_GRID, RATE_GRID, Cell, observe, share

LEVEL = 0.95
GAPS = (0.0, 0.1)
"""All groups equal, and one group lower than the others by this much."""


@dataclass(frozen=True, slots=True)
class Covered:
    """Share of draws whose limits hold the truth, with its Monte-Carlo error; `gap` is the true one."""

    cell: Cell
    gap: float
    coverage: float
    error: float


def rates(cells: Iterable[Cell] = RATE_GRID, draws: int = 10_000) -> list[Covered]:
    """Intervals of one rate."""
    found = []
    for place, cell in enumerate(cells):
        band = observe(cell, [cell.rate], draws, np.random.default_rng([1, place]))
        low, high = band.limits(LEVEL)
        found.append(Covered(cell, 0.0, *share((low[:, 0] <= cell.rate) & (cell.rate <= high[:, 0]))))
    return found


def gaps(cells: Iterable[Cell] = GROUP_GRID, draws: int = 1000) -> list[Covered]:
    """Simultaneous limits of all pairwise differences: every one must hold its truth."""
    found = []
    for place, cell in enumerate(cells):
        for gap in GAPS:
            truth = np.full(cell.groups, cell.rate)
            truth[0] -= gap
            rng = np.random.default_rng([2, place])
            band = observe(cell, list(truth), fewer(cell, draws), rng)
            low, high = pair_limits(band, "difference", all_pairs(LEVEL, cell.groups))
            true = truth[:, None] - truth[None, :]
            pairs = among(np.ones(cell.groups, dtype=bool))
            holds = ((low <= true + 1e-12) & (true <= high + 1e-12))[:, pairs].all(axis=1)
            found.append(Covered(cell, gap, *share(holds)))
    return found


def fewer(cell: Cell, draws: int) -> int:
    """Draws of a cell: subjects that stand in several groups are drawn one by one, so fewer of the largest."""
    if cell.attribute == "of the subject" or cell.subjects < 1000:
        return draws
    return max(1, draws // 4)


def table(title: str, found: list[Covered]) -> str:
    """Markdown: the mean, and the worst cell of small and of large samples."""
    lines = [
        f"**{title}**: {len(found)} cells, mean coverage {np.mean([one.coverage for one in found]):.1%}.",
        "",
        "| subjects a group | cells | mean | worst | Monte-Carlo error | the worst cell |",
        "| ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for subjects in sorted({one.cell.subjects for one in found}):
        some = [one for one in found if one.cell.subjects == subjects]
        worst = min(some, key=lambda one: one.coverage)
        mean = np.mean([one.coverage for one in some])
        where = f"{worst.cell}" + (f", one group {worst.gap:g} lower" if worst.gap else "")
        lines.append(
            f"| {subjects:,} | {len(some)} | {mean:.1%} | {worst.coverage:.1%} | {worst.error:.1%} | {where} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print both tables; an argument is the number of draws of the second."""
    print(table("Intervals of a rate", rates()))
    print()
    print(table("Simultaneous intervals of all differences", gaps(draws=int((*sys.argv[1:], 1000)[0]))))


if __name__ == "__main__":
    main()
