"""Power, and whether `subjects_needed` is right.

`python -m tests.validity.power` prints the tables. Independent images throughout: one a subject.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.power import POWER, growth_needed, outcomes
from imgid_audit.stats.verdicts import Part, Requirement, judge

LEVEL, TOLERANCE = 0.95, 0.1
RATES = (0.8, 0.85, 0.9, 0.95)
BASE = 200.0


@dataclass(frozen=True, slots=True)
class Power:
    """How often the right answer is given: with one group `gap` below the others, or half of them."""

    groups: int
    subjects: int
    gap: float
    wanted: str
    lowest: float
    mean: float


def studies(truth: Sequence[float], sizes: Floats, asked: Requirement, draws: int, seed: int) -> tuple[float, float]:
    """Shares of simulated studies that pass and that fail."""
    x = np.random.default_rng(seed).binomial(sizes.astype(int), truth, size=(draws, len(truth))).astype(float)
    n = np.broadcast_to(sizes.astype(int).astype(float), x.shape)
    passes, fails = outcomes((Part(RateBand(x, n, n), np.ones(len(truth), bool)),), asked)
    return float((passes & ~fails).mean()), float(fails.mean())


def power(draws: int = 2000) -> list[Power]:
    """Half the tolerance must pass, twice the tolerance must fail."""
    found = []
    for groups, subjects, gap, wanted in (
        *((groups, 2000, TOLERANCE / 2, "pass") for groups in (2, 4)),
        (12, 5000, TOLERANCE / 2, "pass"),
        *((groups, 1000, 2 * TOLERANCE, "fail") for groups in (2, 4, 12)),
    ):
        shares = []
        for rate in RATES:
            for low in {1, groups // 2}:
                truth = [rate - gap] * low + [rate] * (groups - low)
                asked = Requirement("max_gap", TOLERANCE, LEVEL)
                answers = studies(truth, np.full(groups, float(subjects)), asked, draws, seed=5)
                shares.append(answers[wanted == "fail"])
        found.append(Power(groups, subjects, gap, wanted, min(shares), float(np.mean(shares))))
    return found


PLANS: tuple[tuple[str, float, tuple[float, ...]], ...] = (
    ("max_gap", 0.1, (0.9, 0.85)),
    ("max_gap", 0.1, (0.9, 0.75)),
    ("max_gap", 0.1, (0.95, 0.9, 0.93, 0.95)),
    ("max_gap", 0.1, (0.9, *[0.85] * 11)),
    ("max_gap", 0.1, (0.95, *[0.8] * 11)),
    ("min_ratio", 0.8, (0.5, 0.45)),
    ("min_ratio", 0.8, (0.5, 0.35, 0.45)),
    ("min_value", 0.8, (0.85, 0.9)),
    ("min_value", 0.9, (0.87, 0.95, 0.93)),
    ("max_value", 0.1, (0.05, 0.07)),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan from true rates: the size asked for, how often it settles, and the size that settles in 80 %."""

    kind: str
    truth: tuple[float, ...]
    towards: str
    size: float
    settles: float
    ratio: float


def plans(draws: int = 2000) -> list[Plan]:
    """`subjects_needed` from the true rates, against simulated studies of that size and around it."""
    found = []
    for kind, tolerance, truth in PLANS:
        asked = Requirement(kind, tolerance, LEVEL)  # type: ignore[arg-type]
        base = np.full(len(truth), BASE)
        band = RateBand(np.array(truth) * base, base, base)
        growth = growth_needed((Part(band, np.ones(len(truth), bool)),), asked, (np.array(truth),))
        if growth.factor is None:
            raise AssertionError(f"no size for {kind} {truth}")

        def settles(
            factor: float,
            growth=growth,
            base=base,
            truth=truth,
            asked=asked,
        ) -> float:
            sizes = np.round(base * growth.sizes(factor))
            return studies(truth, sizes, asked, draws, seed=6)[growth.towards == "fail"]

        factors = growth.factor * np.geomspace(0.4, 2.5, 41)
        enough = next((factor for factor in factors if settles(factor) >= POWER), np.inf)
        found.append(
            Plan(kind, truth, growth.towards, BASE * growth.factor, settles(growth.factor), enough / growth.factor)
        )
    return found


OBSERVED: tuple[tuple[tuple[float, ...], int], ...] = (
    ((0.9, 0.85), 400),
    ((0.9, 0.84), 400),
    ((0.9, 0.83), 1000),
    ((0.9, 0.76), 400),
    ((0.95, 0.82), 400),
    ((0.85, 0.79), 400),
    ((0.9, 0.85), 100),
    ((0.9, 0.85, 0.88, 0.9), 400),
    ((0.9, 0.85, 0.88, 0.9), 100),
    ((0.9, *[0.85] * 11), 400),
)


@dataclass(frozen=True, slots=True)
class Observed:
    """Sizes from observed rates of inconclusive studies: median over the truth, and how often the range holds it."""

    truth: tuple[float, ...]
    size: int
    open_studies: int
    median_ratio: float
    held: float


def observed(studies_wanted: int = 200) -> list[Observed]:
    """The whole study, until so many inconclusive ones are seen (at most ten times as many are drawn)."""
    found = []
    asked = Requirement("max_gap", TOLERANCE, LEVEL)
    for truth, size in OBSERVED:
        rng, n = np.random.default_rng(7), np.full(len(truth), float(size))
        used = np.ones(len(truth), bool)
        right = growth_needed((Part(RateBand(np.array(truth) * n, n, n), used),), asked, (np.array(truth),))
        if right.factor is None:
            raise AssertionError(f"no size for {truth}")
        factors, held = [], []
        for _ in range(10 * studies_wanted):
            part = Part(RateBand(rng.binomial(size, truth).astype(float), n, n), used)
            if judge((part,), asked).status != "inconclusive":
                continue
            growth = growth_needed((part,), asked)
            factors.append(np.inf if growth.factor is None else growth.factor)
            low, high = growth.low or np.inf, growth.high or np.inf
            held.append(growth.towards == right.towards and low <= 1.02 * right.factor and right.factor <= 1.02 * high)
            if len(factors) == studies_wanted:
                break
        found.append(
            Observed(truth, size, len(factors), float(np.median(factors)) / right.factor, float(np.mean(held)))
        )
    return found


def tables(draws: int = 2000, studies_wanted: int = 200) -> str:
    """Markdown: power, plans from true rates, plans from observed rates."""
    lines = [
        "| groups | subjects a group | true gap | right answer | lowest power | mean |",
        "| ---: | ---: | ---: | --- | ---: | ---: |",
        *(
            f"| {one.groups} | {one.subjects:,} | {one.gap:g} | {one.wanted} | {one.lowest:.1%} | {one.mean:.1%} |"
            for one in power(draws)
        ),
        "",
        "| rule | true rates | towards | subjects a group | studies of that size that settle | right size / that |",
        "| --- | --- | --- | ---: | ---: | ---: |",
        *(
            f"| `{one.kind}` | {rates_text(one.truth)} | {one.towards} | {one.size:,.0f} | {one.settles:.1%} | "
            f"{one.ratio:.2f} |"
            for one in plans(draws)
        ),
        "",
        "| true rates | subjects a group | open studies | median / right size | range holds the right size |",
        "| --- | ---: | ---: | ---: | ---: |",
        *(
            f"| {rates_text(one.truth)} | {one.size:,} | {one.open_studies} | {one.median_ratio:.2f} | {one.held:.0%} |"
            for one in observed(studies_wanted)
        ),
    ]
    return "\n".join(lines)


def rates_text(truth: tuple[float, ...]) -> str:
    """Equal rates at the end are counted."""
    last = [one for one in truth if one == truth[-1]]
    if len(last) > 3:
        return ", ".join(f"{one:g}" for one in truth[: -len(last)]) + f", {len(last)} x {truth[-1]:g}"
    return ", ".join(f"{one:g}" for one in truth)


if __name__ == "__main__":
    print(tables())
