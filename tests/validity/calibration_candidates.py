"""Published ways to take the bias off a calibration error, side by side: why the cross-fitted one was chosen.

`python -m tests.validity.calibration_candidates` prints mean and root mean squared error of each against the
L1 error of the binned population, for rows that are independent. The L2 estimate aims at another number, the
root of the mean squared error of the bins, which is never smaller.

- Kumar, Liang & Ma (2019), NeurIPS: L1 less the bias that normal noise around the seen bins would have
- Broecker (2012) and Ferro & Fricker (2012): squared bins less their sampling variance; the root (L2)
- Roelofs et al. (2022), AISTATS: as many bins of equal mass as keep frequencies monotone (ECE sweep)
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from imgid_audit.metrics import METRICS
from imgid_audit.stats.calibration import folded_mean
from tests.validity.calibration import BINS, Cell, sample_of, truth

Floats = NDArray[np.float64]
CELLS = tuple(Cell(*shape, size, 1, 0.0) for shape in ((1.0, 0.0), (0.5, 0.0), (1.0, 0.7)) for size in (30, 100, 400))


def _bins(score: Floats, label: Floats) -> tuple[Floats, Floats, Floats]:
    """Rows, mean excess and frequency of each bin that has rows."""
    bins = np.minimum((score * BINS).astype(int), BINS - 1)
    count = np.bincount(bins, minlength=BINS)
    held = count > 0
    excess, hits = (np.bincount(bins, values, BINS)[held] / count[held] for values in (score - label, label))
    return count[held].astype(float), excess, hits


def kumar(score: Floats, label: Floats) -> float:
    count, excess, hits = _bins(score, label)
    spread = np.sqrt(hits * (1 - hits) / count)
    noisy = np.where(spread > 0, spread * folded_mean(np.abs(excess) / np.where(spread > 0, spread, 1)), np.abs(excess))
    return max(0.0, float((count * (2 * np.abs(excess) - noisy)).sum() / len(score)))


def squared(score: Floats, label: Floats) -> float:
    count, excess, hits = _bins(score, label)
    variance = np.where(count > 1, hits * (1 - hits) / np.maximum(count - 1, 1), excess**2)
    return float(np.sqrt(max(0.0, (count * (excess**2 - variance)).sum() / len(score))))


def sweep(score: Floats, label: Floats) -> float:
    order = np.argsort(score)
    ranked, outcome = score[order], label[order]
    found = float(abs((ranked - outcome).mean()))
    for bins in range(2, len(score) + 1):
        parts = np.array_split(np.arange(len(score)), bins)
        frequency = [outcome[part].mean() for part in parts]
        if np.any(np.diff(frequency) < 0):
            break
        found = float(sum(abs((ranked[part] - outcome[part]).sum()) for part in parts) / len(score))
    return found


CANDIDATES: dict[str, Callable[[Floats, Floats], float]] = {
    "Kumar 2019, L1": kumar,
    "Ferro & Fricker 2012, L2": squared,
    "Roelofs 2022, sweep": sweep,
}


def compare(cell: Cell, draws: int, seed: int = 0) -> dict[str, Floats]:
    """Each candidate's values over the draws."""
    sample = sample_of(cell, draws, np.random.default_rng(seed))
    score = sample.rows.confidence.reshape(draws, -1)
    label = sample.rows.outcome.astype(float).reshape(draws, -1)
    found = {name: METRICS[metric].measure(sample)[0].value for name, metric in (("plug-in", "ece"),)}
    for name, function in CANDIDATES.items():
        found[name] = np.array([function(s, y) for s, y in zip(score, label, strict=True)])
    return {**found, "cross-fitted": METRICS["ece_debiased"].measure(sample)[0].value}


def main(draws: int) -> None:
    names = ("plug-in", *CANDIDATES, "cross-fitted")
    print(f"{draws} draws a cell; mean (root mean squared error).\n")
    print(f"| slope | shift | rows | truth | {' | '.join(names)} |\n|{'---|' * (len(names) + 4)}")
    for cell in CELLS:
        target, found = truth(cell, "ece"), compare(cell, draws)
        shown = (f"{found[n].mean():.3f} ({np.sqrt(((found[n] - target) ** 2).mean()):.3f})" for n in names)
        print(f"| {cell.slope:g} | {cell.shift:g} | {cell.subjects} | {target:.3f} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 500)
