"""Whether intervals of a paired change hold what they promise, and max_drop rules err as seldom, simulated.

`python -m tests.validity.paired` prints the tables. Flips: a subject has its own rate of being right
under the first model, and its own chances that a right row is lost and a wrong one gained, each
beta-distributed with the intra-subject `correlation`. Scores: the logit of a row is its class's, plus a
subject's own share and noise that both models see, plus noise of each model. All draws are measured at
once by the product's own code, a draw a slice.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy.special import expit

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.core.task import Task
from imgid_audit.evaluation.compared import compare
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.effective_n import segment_sum
from imgid_audit.stats.intervals import Floats, one_sided, quantile
from imgid_audit.stats.paired import FlipBand, flip_effect

TASK = Task("binary", ("no", "yes"), "yes")
SHOWN = ("precision", "f1", "balanced_accuracy", "auroc", "average_precision", "brier")


@dataclass(frozen=True, slots=True)
class FlipCell:
    """Rate of the first model, chances that a right row is lost and a wrong one gained, and the sample."""

    rate: float
    lost: float
    gained: float
    subjects: int
    images: int
    correlation: float

    @property
    def truth(self) -> float:
        return (1 - self.rate) * self.gained - self.rate * self.lost


CHANGES = ((0.9, 0.05, 0.2), (0.9, 0.02, 0.05), (0.8, 0.1, 0.4), (0.99, 0.01, 0.2), (0.95, 0.05, 0.0), (0.5, 0.1, 0.1))
FLIP_GRID = tuple(
    FlipCell(*change, subjects, images, correlation)
    for change, subjects, images, correlation in product(CHANGES, (10, 20, 50, 200, 1000), (1, 5, 20), (0.0, 0.2, 0.5))
    if images > 1 or correlation == 0.0
)


@dataclass(frozen=True, slots=True)
class Flipped:
    """Flips by subject, each (draws * subjects,), sorted by draw at `offsets`."""

    gained: Floats
    lost: Floats
    rows: Floats
    offsets: np.ndarray


def draw_flips(cell: FlipCell, draws: int, rng: np.random.Generator) -> Flipped:
    """Subjects' flips in so many draws of a design."""
    size = draws * cell.subjects

    def rates(mean: float) -> Floats:
        if cell.correlation == 0 or mean in (0.0, 1.0):
            return np.full(size, mean)
        strength = 1 / cell.correlation - 1
        return rng.beta(mean * strength, (1 - mean) * strength, size)

    right = rng.binomial(cell.images, rates(cell.rate))
    lost = rng.binomial(right, rates(cell.lost)).astype(float)
    gained = rng.binomial(cell.images - right, rates(cell.gained)).astype(float)
    return Flipped(gained, lost, np.full(size, float(cell.images)), np.arange(draws + 1) * cell.subjects)


def flip_band(drawn: Flipped, clustered: bool) -> FlipBand:
    """The band that the product makes of these flips."""
    gained, lost, rows = (segment_sum(part, drawn.offsets) for part in (drawn.gained, drawn.lost, drawn.rows))
    if not clustered:
        return FlipBand(gained, lost, rows, rows)
    effect, subjects = flip_effect(drawn.gained, drawn.lost, drawn.rows, drawn.offsets)
    return FlipBand(gained, lost, rows, rows / effect, subjects)


def linearised(drawn: Flipped, cell: FlipCell, level: float) -> tuple[Floats, Floats]:
    """Limits of the alternative: the mean change, its error by subject, and a t quantile."""
    change = ((drawn.gained - drawn.lost) / cell.images).reshape(-1, cell.subjects)
    half = quantile(level, cell.subjects - 1.0) * change.std(axis=1, ddof=1) / np.sqrt(cell.subjects)
    return change.mean(axis=1) - half, change.mean(axis=1) + half


def bootstrapped(drawn: Flipped, cell: FlipCell, level: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Limits of the other alternative: percentiles of 400 bootstrap replicates over subjects."""
    change = ((drawn.gained - drawn.lost) / cell.images).reshape(-1, cell.subjects)
    share = np.full(cell.subjects, 1 / cell.subjects)
    weights = rng.multinomial(cell.subjects, share, size=400) / cell.subjects
    low, high = np.quantile(change @ weights.T, [(1 - level) / 2, (1 + level) / 2], axis=1)
    return low, high


def covers(limits: tuple[Floats, Floats], truth: float) -> float:
    """Share of draws whose limits hold the truth, up to rounding."""
    return float(((limits[0] <= truth + 1e-9) & (limits[1] >= truth - 1e-9)).mean())


@dataclass(frozen=True, slots=True)
class FlipResult:
    """Coverage of three intervals at 95 %; error rates of a rule whose tolerance is exactly the true loss."""

    cell: FlipCell
    coverage: float
    linearised: float
    bootstrap: float
    wrong_pass: float
    wrong_fail: float
    zero_width: int


def study_flips(cells: tuple[FlipCell, ...], draws: int, seed: int = 0) -> Iterator[FlipResult]:
    """Coverage and error rates, cell by cell."""
    for place, cell in enumerate(cells):
        rng = np.random.default_rng([seed, place])
        drawn = draw_flips(cell, draws, rng)
        band = flip_band(drawn, cell.images > 1)
        limits, sided = band.limits(0.95), band.limits(one_sided(0.95))
        yield FlipResult(
            cell,
            covers(limits, cell.truth),
            covers(linearised(drawn, cell, 0.95), cell.truth),
            covers(bootstrapped(drawn, cell, 0.95, rng), cell.truth),
            # a drop of exactly the tolerance: `pass` where the bound of the loss is strictly inside, `fail` beyond
            float((sided[0] > cell.truth + 1e-9).mean()),
            float((limits[1] < cell.truth - 1e-9).mean()),
            int((limits[1] - limits[0] <= 0).sum()),
        )


@dataclass(frozen=True, slots=True)
class ScoreCell:
    """A sample of scored rows; `noise` is how far the two models differ."""

    subjects: int
    images: int
    correlation: float
    noise: float


SCORE_GRID = tuple(
    ScoreCell(*parts)
    for parts in product((50, 100, 200), (1, 5), (0.0, 0.5), (0.3, 1.0))
    if parts[1] > 1 or not parts[2]
)


def draw_scores(cell: ScoreCell, draws: int, rng: np.random.Generator) -> tuple[Decisions, Decisions, Factor]:
    """Both models' decisions on the rows of all draws, and the draw of each row. A tenth are lost by the second."""
    subjects, rows = draws * cell.subjects, draws * cell.subjects * cell.images
    owner = np.repeat(np.arange(subjects), cell.images)
    label = (rng.random(rows) < 0.4).astype(np.int32)
    own = rng.normal(size=subjects)[owner]
    seen = np.sqrt(cell.correlation) * own + np.sqrt(1 - cell.correlation) * rng.normal(size=rows)
    draw = Factor("draw", tuple(map(str, range(draws))), (owner // cell.subjects).astype(np.int32))
    subject = Factor("subject", tuple(map(str, range(subjects))), owner.astype(np.int32)) if cell.images > 1 else None

    def decisions(shift: float) -> Decisions:
        score = expit((2 * label - 1) * (1.0 - shift) + seen + cell.noise * rng.normal(size=rows))
        both = np.stack([1 - score, score], axis=1)
        return Decisions(TASK, label, (score >= 0.5).astype(np.int32), both, subject, (draw,))

    return decisions(0.0), decisions(0.15), draw


def study_scores(
    cells: tuple[ScoreCell, ...], draws: int, seed: int = 0
) -> Iterator[tuple[ScoreCell, str, float, float]]:
    """Cell, metric, coverage with the correlation, and coverage as if the samples were independent."""
    for place, cell in enumerate(cells):
        truth = _truth(cell)
        first, second, draw = draw_scores(cell, draws, np.random.default_rng([seed, place]))
        part = Breakdown("draw", ("draw",), tuple(Slice(("draw",), (level,)) for level in draw.levels), draw.codes)
        samples = [Sample(Rows(each), part, IntervalSpec(draws=0)) for each in (first, second)]
        for name in SHOWN:
            found = [next(iter(compare(METRICS[name], *samples, paired=paired))) for paired in (True, False)]
            yield cell, name, *(covers(_limits(one), truth[name]) for one in found)


def _limits(found: object) -> tuple[Floats, Floats]:
    low, high = found.band.limits(0.95)
    return low[found.defined], high[found.defined]


def _truth(cell: ScoreCell) -> dict[str, float]:
    """The true changes, from a sample of a million rows."""
    first, second, _ = draw_scores(ScoreCell(1_000_000, 1, 0.0, cell.noise), 1, np.random.default_rng(1))
    samples = [
        Sample(Rows(each), Breakdown("", (), (Slice(),), np.zeros(len(each), dtype=np.int32)), IntervalSpec(draws=0))
        for each in (first, second)
    ]
    return {
        name: float(np.subtract(*(METRICS[name].measure(sample)[0].value[0] for sample in reversed(samples))))
        for name in SHOWN
    }


def main(draws: int = 2000) -> None:
    """Print the tables."""
    found = list(study_flips(FLIP_GRID, draws))
    print(f"Change of a rate, paired: {len(FLIP_GRID)} designs x {draws} draws, 95 %\n")
    heads = (
        "paired score, worst",
        "mean",
        "linearised, worst",
        "bootstrap, worst",
        "wrong pass, worst",
        "wrong fail, worst",
    )
    print(f"| subjects | {' | '.join(heads)} |")
    print("|---|---|---|---|---|---|---|")
    for subjects in sorted({one.cell.subjects for one in found}):
        of = [one for one in found if one.cell.subjects == subjects]
        worst = [min(getattr(one, name) for one in of) for name in ("coverage", "linearised", "bootstrap")]
        mean = np.mean([one.coverage for one in of])
        wrong = [max(getattr(one, name) for one in of) for name in ("wrong_pass", "wrong_fail")]
        cells = (worst[0], mean, worst[1], worst[2], *wrong)
        print(f"| {subjects} | " + " | ".join(f"{100 * value:.1f} %" for value in cells) + " |")
    print(f"\nMean wrong pass {100 * np.mean([one.wrong_pass for one in found]):.1f} %, ", end="")
    print(f"wrong fail {100 * np.mean([one.wrong_fail for one in found]):.1f} %; ", end="")
    print(f"intervals of zero width: {sum(one.zero_width for one in found)}")
    scored = list(study_scores(SCORE_GRID, draws // 4))
    print(f"\nChange of other metrics, paired: {len(SCORE_GRID)} designs x {draws // 4} draws\n")
    print("| metric | worst | mean | as if not paired, mean |\n|---|---|---|---|")
    for name in SHOWN:
        of = [(paired, alone) for _, metric, paired, alone in scored if metric == name]
        paired, alone = (np.array(part) for part in zip(*of, strict=True))
        print(f"| {name} | {100 * paired.min():.1f} % | {100 * paired.mean():.1f} % | {100 * alone.mean():.1f} % |")


if __name__ == "__main__":
    main()
