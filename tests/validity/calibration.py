"""How calibration errors and their intervals behave: bias, coverage and envelope, simulated.

`python -m tests.validity.calibration` prints the table. Scores are logistic normal. A score s with
logit l has the true frequency expit(slope * l + shift): (1, 0) is calibrated. Images of a subject share half
of the variance of their logits, and their outcomes have the intra-subject `correlation` at equal
scores (with probability sqrt(correlation) an image takes the subject's uniform number, else its own).
The truth is the error of the binned population. All draws are measured at once by the product's own
code, as the slices of one breakdown.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtri

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import Breakdown, Slice
from imgid_audit.core.task import Task
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.rows import BINS, Rows
from imgid_audit.metrics.sample import Sample

SPREAD = 1.5
TASK = Task("binary", ("no", "yes"), "yes")
METRICS_SHOWN = ("ece", "ece_debiased", "calibration_slope", "calibration_intercept")


@dataclass(frozen=True, slots=True)
class Cell:
    """One design: a population of scores and a sample of it."""

    slope: float
    shift: float
    subjects: int
    images: int
    correlation: float


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Over the draws: the true value, the estimates' mean, and the share of 95 % intervals that hold the truth."""

    truth: float
    mean: float
    coverage: float
    above: float
    """Share of intervals that lie wholly above the truth."""

    width: float
    defined: int


GRID = tuple(
    Cell(slope, shift, subjects, images, correlation)
    for slope, shift in ((1.0, 0.0), (0.5, 0.0), (1.0, 0.7))
    for subjects in (100, 400)
    for images, correlation in ((1, 0.0), (5, 0.0), (5, 0.3))
)


def truth(cell: Cell, metric: str) -> float:
    """The population's value, by quadrature over two million equally likely scores."""
    if metric == "calibration_slope":
        return cell.slope
    if metric == "calibration_intercept":
        return cell.shift
    logit = SPREAD * ndtri((np.arange(2_000_000) + 0.5) / 2_000_000)
    score = expit(logit)
    excess = score - expit(cell.slope * logit + cell.shift)
    bins = np.searchsorted(np.arange(1, BINS) / BINS, score, side="right")
    return float(np.abs(np.bincount(bins, excess)).sum() / len(score))


def sample_of(cell: Cell, draws: int, generator: np.random.Generator, level: str = "draw") -> Sample:
    """Independent samples of the cell, one a slice."""
    shape = (draws, cell.subjects, cell.images)
    shared = generator.normal(size=(*shape[:2], 1))
    part = np.sqrt(0.5) if cell.images > 1 else 0.0
    logit = SPREAD * (part * shared + np.sqrt(1 - part**2) * generator.normal(size=shape))
    takes_subjects = generator.random(shape) < np.sqrt(cell.correlation)
    uniform = np.where(takes_subjects, generator.random((*shape[:2], 1)), generator.random(shape))
    score = expit(logit).ravel()
    label = (uniform < expit(cell.slope * logit + cell.shift)).ravel().astype(np.int32)
    rows = draws * cell.subjects * cell.images
    owner = np.arange(rows, dtype=np.int32) // cell.images
    subject = Factor("subject", tuple(map(str, range(draws * cell.subjects))), owner) if cell.images > 1 else None
    codes = (owner // cell.subjects).astype(np.int32)
    slices = tuple(Slice((level,), (str(i),)) for i in range(draws))
    decisions = Decisions(TASK, label, label, np.column_stack([1 - score, score]), subject, ())
    return Sample(Rows(decisions), Breakdown(level, (level,), slices, codes), IntervalSpec(draws=0))


def behaviour(cell: Cell, metric: str, draws: int, seed: int = 0) -> Behaviour:
    """What the metric and its 95 % interval do over `draws` samples of the cell."""
    (measured,) = METRICS[metric].measure(sample_of(cell, draws, np.random.default_rng(seed)))
    target = truth(cell, metric)
    used = measured.defined
    low, high = (limit[used] for limit in measured.band.limits(0.95))
    return Behaviour(
        target,
        float(measured.value[used].mean()),
        float(((low <= target) & (target <= high)).mean()),
        float((low > target).mean()),
        float((high - low).mean()),
        int(used.sum()),
    )


def coverage(cell: Cell, draws: int, metric: str = "ece_debiased", seed: int = 0) -> float:
    """Share of 95 % intervals that hold the truth."""
    return behaviour(cell, metric, draws, seed).coverage


def table(draws: int, grid: tuple[Cell, ...] = GRID) -> str:
    """A Markdown table of every cell and metric, with the Monte-Carlo error of a coverage of 95 %."""
    lines = [
        f"{draws} draws a cell; the Monte-Carlo standard error of a coverage of 95 % is "
        f"{100 * np.sqrt(0.95 * 0.05 / draws):.1f} points.",
        "",
        "| slope | shift | subjects | images | correlation | metric | truth | mean | coverage % | above % | width |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell in grid:
        design = f"{cell.slope:g} | {cell.shift:g} | {cell.subjects} | {cell.images} | {cell.correlation:g}"
        for metric in METRICS_SHOWN:
            if metric not in METRICS:
                continue
            found = behaviour(cell, metric, draws)
            numbers = f"{found.truth:.3f} | {found.mean:.3f} | {100 * found.coverage:.1f} | {100 * found.above:.1f}"
            lines.append(f"| {design} | {metric} | {numbers} | {found.width:.3f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(int(sys.argv[1]) if len(sys.argv) > 1 else 1000))
