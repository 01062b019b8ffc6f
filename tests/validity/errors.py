"""How often a rule is wrongly broken or wrongly met, with the truth exactly at the tolerance.

`python -m tests.validity.errors` prints the table. The arrangement of the groups is the least
favourable one in turn: one group at the tolerance (most chances to pass), or half of them, or all
of them (most chances to fail). Cells whose first estimate exceeds a mark of `AGAIN` are drawn anew, so
many times, and the last estimate alone counts, so that the worst of many cells is not the noisiest.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from imgid_audit.stats.power import outcomes
from imgid_audit.stats.verdicts import Part, Requirement
from tests.validity.coverage import fewer
from tests.validity.world import GROUP_GRID, Cell, observe

LEVEL = 0.95
AGAIN = ((0.055, 2000), (0.065, 10_000))
TOLERANCE = 0.1
RATIO = 0.8


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule at its limit: the requirement, and the true rates of the groups in each of its parts."""

    kind: str
    arrangement: str
    asked: Requirement
    truth: tuple[Sequence[float], ...]


@dataclass(frozen=True, slots=True)
class Errors:
    """Shares of draws."""

    cell: Cell
    setting: Setting
    wrong_fail: float
    wrong_pass: float
    draws: int


def settings(cell: Cell) -> Iterable[Setting]:
    """Every rule kind, in every arrangement that differs."""
    groups, rate = cell.groups, cell.rate
    for arrangement, low in {"one": 1, "half": groups // 2}.items():
        if arrangement == "half" and groups == 2:
            continue
        gap = [rate - TOLERANCE] * low + [rate] * (groups - low)
        asked = Requirement("max_gap", TOLERANCE, LEVEL)
        yield Setting("max_gap", arrangement, asked, (gap,))
        ratio = [RATIO * rate] * low + [rate] * (groups - low)
        yield Setting("min_ratio", arrangement, Requirement("min_ratio", RATIO, LEVEL), (ratio,))
        equal = [0.1] * groups
        odds = Requirement("max_gap", TOLERANCE, LEVEL, families=2)
        yield Setting("equalized_odds", arrangement, odds, (gap, equal))
        other = [0.1 + TOLERANCE] * low + [0.1] * (groups - low)
        mean = Requirement("max_gap", TOLERANCE, LEVEL, families=2, mean=True)
        yield Setting("equalized_odds_mean", arrangement, mean, (gap, other))
    better = [rate, *[(1 + rate) / 2] * (groups - 1)]
    for arrangement, truth in {"one": better, "all": [rate] * groups}.items():
        yield Setting("min_value", arrangement, Requirement("min_value", rate, LEVEL), (truth,))
        mirrored = [1 - one for one in truth]
        yield Setting("max_value", arrangement, Requirement("max_value", 1 - rate, LEVEL), (mirrored,))


def study(cell: Cell, setting: Setting, draws: int, seed: Sequence[int]) -> Errors:
    """Error rates of one setting."""
    rng = np.random.default_rng(list(seed))
    used = np.ones(cell.groups, dtype=bool)
    parts = tuple(Part(observe(cell, truth, draws, rng), used) for truth in setting.truth)
    passes, fails = outcomes(parts, setting.asked)
    return Errors(cell, setting, float(fails.mean()), float((passes & ~fails).mean()), draws)


def errors(cells: Iterable[Cell] = GROUP_GRID, draws: int = 300) -> list[Errors]:
    """The whole study, cell by cell."""
    found = []
    for place, cell in enumerate(cells):
        for number, setting in enumerate(settings(cell)):
            one = study(cell, setting, fewer(cell, draws), (3, place, number))
            for stage, (mark, count) in enumerate(AGAIN):
                if max(one.wrong_fail, one.wrong_pass) > mark:
                    one = study(cell, setting, count, (4 + stage, place, number))
            found.append(one)
    return found


def table(found: list[Errors]) -> str:
    """Markdown: the mean and the worst cell of each rule kind."""
    lines = [
        "| rule | wrongly broken: mean | worst | wrongly met: mean | worst | the worst cell |",
        "| --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for kind in dict.fromkeys(one.setting.kind for one in found):
        some = [one for one in found if one.setting.kind == kind]
        broken, met = (np.array([getattr(one, name) for one in some]) for name in ("wrong_fail", "wrong_pass"))
        worst = max(some, key=lambda one: max(one.wrong_fail, one.wrong_pass))
        lines.append(
            f"| `{kind}` | {broken.mean():.1%} | {broken.max():.1%} | {met.mean():.1%} | {met.max():.1%} | "
            f"{worst.cell}, {worst.setting.arrangement} at the tolerance ({worst.draws:,} draws) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the table; an argument is the number of draws of the first stage."""
    print(table(errors(draws=int((*sys.argv[1:], 300)[0]))))


if __name__ == "__main__":
    main()
