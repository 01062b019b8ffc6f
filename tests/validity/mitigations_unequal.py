"""Comparisons of mitigations where groups tie in one method alone, or few large subjects carry a group, simulated.

Accuracies of groups are set for the baseline and for the methods. A row has a difficulty that all networks
share, one that the networks of a method share, and one of each network's own; a subject's rows have it in part
in common. A seed moves all groups of a network alike, so that the worst group has the accuracy that is set.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy import special

from imgid_audit.comparison import ComparisonSpec, MethodRuns, primary_changes
from imgid_audit.core.comparison import Primary, Quantity
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.stats.intervals import Floats

TASK = Task("binary", ("no", "yes"), "yes")
METHODS, SEEDS, LEVEL = 8, 5, 0.95


@dataclass(frozen=True)
class Design:
    """Groups' true accuracies before and after, their test images, and images of a subject in each.

    - `own`, `shared`: parts of a row's difficulty that are a network's, and a method's, own
    - `scatter`: of seeds, in probits; `alike`: correlation of a subject's images
    """

    name: str
    quantity: Quantity
    before: tuple[float, ...]
    after: tuple[float, ...]
    rows: tuple[int, ...]
    images: tuple[int, ...] | None = None
    own: float = 0.4
    shared: float = 0.4
    scatter: float = 0.02
    alike: float = 0.9

    @property
    def truth(self) -> float:
        """The true change."""
        share = np.array(self.rows) / sum(self.rows)
        before, after = np.array(self.before), np.array(self.after)
        if self.quantity == "overall":
            return float((after - before) @ share)
        of = np.min if self.quantity == "worst_group" else np.ptp
        return float(of(after) - of(before))

    @property
    def owners(self) -> np.ndarray | None:
        """Subject of each row."""
        if self.images is None:
            return None
        ends, found = 0, []
        for rows, images in zip(self.rows, self.images, strict=True):
            found.append(ends + np.arange(rows) // images)
            ends += -(-rows // images)
        return np.concatenate(found)

    @property
    def spec(self) -> ComparisonSpec:
        across = () if self.quantity == "overall" else ("group",)
        return ComparisonSpec(Primary("accuracy", None, across, self.quantity), (), IntervalSpec(LEVEL), 10)


def draw(design: Design, rng: np.random.Generator) -> tuple[MethodRuns, list[MethodRuns]]:
    """The baseline's networks, and those of eight methods that are all as `after` says."""
    group, owner = np.repeat(np.arange(len(design.rows)), design.rows), design.owners
    n = len(group)

    def difficulty(*shape: int) -> Floats:
        alone = rng.standard_normal((*shape, n))
        if owner is None:
            return alone
        common = rng.standard_normal((*shape, int(owner.max()) + 1))[..., owner]
        return np.asarray(np.sqrt(design.alike) * common + np.sqrt(1 - design.alike) * alone)

    of_method = np.sqrt(1 - design.shared**2) * difficulty() + design.shared * difficulty(METHODS + 1)
    own = rng.standard_normal((METHODS + 1, SEEDS, n))
    latent = np.sqrt(1 - design.own**2) * of_method[:, None] + design.own * own
    set_at = special.ndtri(np.array([design.before, *[design.after] * METHODS]))[:, None, group]
    moved = design.scatter * rng.standard_normal((METHODS + 1, SEEDS, 1))
    right = latent < set_at * np.sqrt(1 + design.scatter**2) + moved
    label = rng.integers(2, size=n).astype(np.int32)
    names = tuple(f"group {g}" for g in range(len(design.rows)))
    subject = None
    if owner is not None:
        subject = Factor("subject", tuple(map(str, range(int(owner.max()) + 1))), owner.astype(np.int32))
    first = Decisions(TASK, label, label, None, subject, (Factor("group", names, group.astype(np.int32)),))

    def runs(m: int) -> MethodRuns:
        said = tuple(replace(first, predicted=np.where(one, label, 1 - label).astype(np.int32)) for one in right[m])
        return MethodRuns(f"method {m}", tuple(range(SEEDS)), said)

    return runs(0), [runs(m) for m in range(1, METHODS + 1)]


@dataclass(frozen=True, slots=True)
class Judged:
    """Shares of comparisons.

    - `helps`, `harms`: said of the first method, adjusted for all; `any`: either, of any of the eight
    - `covered`: the first method's interval holds the truth; `plain`: the one around its change alone does
    """

    design: Design
    helps: float
    harms: float
    any: float
    covered: float
    plain: float


def judged(design: Design, comparisons: int, seed: int = 2) -> Judged:
    """What comparisons of one design say."""
    found = []
    for i in range(comparisons):
        baseline, methods = draw(design, np.random.default_rng([seed, i]))
        all_of = primary_changes(baseline, methods, design.spec)
        one, interval = all_of[0], all_of[0].interval
        assert interval is not None
        assert isinstance(one.value, float)
        half = min(one.value - interval.low, interval.high - one.value)
        verdicts = [each.verdict for each in all_of]
        found.append(
            (
                verdicts[0] == "helps",
                verdicts[0] == "harms",
                any(each != "no evidence" for each in verdicts),
                interval.low <= design.truth <= interval.high,
                abs(one.value - design.truth) <= half,
            )
        )
    helps, harms, any_of, covered, plain = (float(share) for share in np.mean(found, axis=0))
    return Judged(design, helps, harms, any_of, covered, plain)


BEFORE = {at: (at, *[0.95] * 9) for at in (0.75, 0.8)}
MIXED = (100, 1), (60, 1), (200, 1)
DESIGNS = (
    Design("10 of 200, tie after", "worst_group", BEFORE[0.8], (0.8,) * 10, (200,) * 10),
    Design("10 of 50, tie after", "worst_group", BEFORE[0.8], (0.8,) * 10, (50,) * 10),
    Design("10 of 50, tie before", "worst_group", (0.8,) * 10, BEFORE[0.8], (50,) * 10),
    Design("4 of 500, tie after", "worst_group", (0.8, 0.95, 0.95, 0.95), (0.8,) * 4, (500,) * 4),
    Design("4 of 500, nearly tie before, tie after", "worst_group", (0.8, 0.82, 0.84, 0.86), (0.8,) * 4, (500,) * 4),
    Design("20 of 30, tie after", "worst_group", (0.8, *[0.95] * 19), (0.8,) * 20, (30,) * 20),
    Design("4 of 500, tie after", "worst_group", (0.75, 0.95, 0.95, 0.95), (0.8,) * 4, (500,) * 4),
    Design("10 of 200, tie after", "worst_group", BEFORE[0.75], (0.82,) * 10, (200,) * 10),
    Design("10 of 100, tie after", "gap", BEFORE[0.75], (0.82,) * 10, (100,) * 10),
    Design("3 subjects of 100, 1,000 of 1", "gap", (0.7, 0.95), (0.7, 0.95), (300, 1000), MIXED[0], 0.2, 0.7, 0.0),
    Design("5 subjects of 60, 1,000 of 1", "gap", (0.7, 0.95), (0.7, 0.95), (300, 1000), MIXED[1], 0.2, 0.7, 0.0),
    Design("3 subjects of 200, 300 of 1", "overall", (0.8, 0.9), (0.8, 0.9), (600, 300), MIXED[2], 0.2, 0.7, 0.0),
    Design("10 subjects of 60, 300 of 1", "overall", (0.8, 0.9), (0.8, 0.9), (600, 300), MIXED[1], 0.2, 0.7, 0.0),
    Design("4 subjects of 100, 400 of 1", "worst_group", (0.8, 0.8), (0.8, 0.8), (400, 400), MIXED[0], 0.2, 0.7, 0.0),
)
QUANTITIES = {"overall": "all rows", "worst_group": "worst", "gap": "gap"}
UNEQUAL = """\
Groups that tie in one method alone, and groups that few large subjects carry: eight methods whose true change is
as said, 5 seeds, half as many comparisons a line. Groups have so many test images; those that do not tie have 75
or 80 % in one group and 95 % in the others. Of the first method: share that say `helps`, and `harms`, adjusted
for all eight; of any of the eight: either; whose 95 % interval holds the true change; and for how many the
interval around the plain change would, without the second estimate, whose groups are picked on other rows."""


def table(comparisons: int) -> Iterator[str]:
    """The lines of the table, one a design, and what stays: the highest share where nothing changes."""
    yield "| primary, groups | true change | helps | harms | any of eight | interval holds | without second picks |"
    yield "|---|---|---|---|---|---|---|"
    wrong: dict[str, float] = {}
    for design in DESIGNS:
        one = judged(design, comparisons)
        shares = (one.helps, one.harms, one.any, one.covered, one.plain)
        points = f"{100 * design.truth:+.0f} points" if abs(design.truth) > 1e-9 else "none"
        told = " | ".join(f"{100 * share:.1f} %" for share in shares)
        named = f"{QUANTITIES[design.quantity]}: {design.name}"
        if abs(design.truth) < 1e-9:
            wrong[named] = one.any
        yield f"| {named} | {points} | {told} |"
    above = [f"{share:.1%} ({name})".replace("%", " %") for name, share in wrong.items() if share > 0.07]
    yield f"\nWhat stays: something is said of methods that change nothing in {' and '.join(above)}." if above else ""


if __name__ == "__main__":
    for line in table(200):
        print(line, flush=True)
