"""Resampling and AUROC intervals, side by side with the loops that people write.

Bootstrap replicates here are weights on cells: the loops draw rows. Loops are timed on fewer draws
and scaled to as many as ours, which favours neither: a draw costs the same as the next.

    python benchmarks/bench_resampling.py [--repeats 3]
"""

from __future__ import annotations

import argparse
import warnings
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from record import record, verdict
from scipy import sparse
from timing import best

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.metrics.ranking import AUROC
from imgid_audit.metrics.rows import Rows
from imgid_audit.metrics.sample import Addends, Sample

DRAWS = 2000
GROUPS = 24
TASK = Task("binary", ("no", "yes"), "yes")
Floats = NDArray[np.float64]


def decisions(rows: int, subjects: int = 0, *, scores: bool = False, groups: int = GROUPS) -> Decisions:
    """Labels, predictions and a group for each row; subjects have rows in several groups."""
    generator = np.random.default_rng(0)
    label = (generator.random(rows) < 0.3).astype(np.int32)
    score = 1 / (1 + np.exp(-(1.5 * label - 1 + generator.normal(0, 1, rows))))
    group = Factor("group", tuple(f"g{i}" for i in range(groups)), generator.integers(0, groups, rows, dtype=np.int32))
    names = tuple(f"s{i}" for i in range(subjects))
    owner = Factor("subject", names, generator.integers(0, subjects, rows, dtype=np.int32)) if subjects else None
    both = np.stack([1 - score, score], axis=1) if scores else None
    return Decisions(TASK, label, (score >= 0.5).astype(np.int32), both, owner, (group,))


def four_metrics(cells: Floats) -> Floats:
    """Accuracy, recall, specificity and precision (draws, 4) of cells (draws, 4)."""
    tp, fp, fn, tn = (cells[:, i] for i in (TP, FP, FN, TN))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.stack([(tp + tn) / (tp + fp + fn + tn), tp / (tp + fn), tn / (tn + fp), tp / (tp + fp)], axis=1)


# the cell of each profile: label * 2 + prediction
OUTCOMES = sparse.csr_array(np.eye(4)[[TN, FP, FN, TP]])


def ours(data: Decisions, names: tuple[str, ...]) -> Floats:
    """Replicates (slices, draws, 4), from the rows on."""
    sample = Sample(Rows(data), breakdown(data, names), IntervalSpec(draws=DRAWS))
    return sample.resample("rates", sample.rows.profile, (Addends(OUTCOMES),), four_metrics)


def on_rows(data: Decisions, rows: NDArray[np.intp], groups: int) -> Floats:
    """The four metrics (groups, 4) of drawn rows."""
    profile = data.label[rows] * 2 + data.predicted[rows]
    keys = (data.attributes[0].codes[rows] if groups > 1 else 0) * 4 + profile
    counts = np.bincount(keys, minlength=groups * 4).reshape(groups, 4)
    return four_metrics(counts[:, [3, 1, 2, 0]].astype(np.float64))


def row_loop(data: Decisions, draws: int) -> None:
    generator = np.random.default_rng(0)
    for _ in range(draws):
        on_rows(data, generator.integers(0, len(data), len(data)), GROUPS)


def rows_of_subjects(data: Decisions) -> list[NDArray[np.intp]]:
    assert data.subject is not None
    order = np.argsort(data.subject.codes, kind="stable")
    edges = np.searchsorted(data.subject.codes[order], np.arange(len(data.subject.levels) + 1))
    return [order[start:stop] for start, stop in pairwise(edges)]


def subject_loop(data: Decisions, rows_of: list[NDArray[np.intp]], draws: int) -> None:
    """Concatenates the rows of the drawn subjects."""
    generator = np.random.default_rng(0)
    for _ in range(draws):
        drawn = generator.integers(0, len(rows_of), len(rows_of))
        on_rows(data, np.concatenate([rows_of[i] for i in drawn]), 1)


def scikit_loop(data: Decisions, draws: int) -> Floats:
    """Percentile limits of AUROC over resampled rows."""
    from sklearn.metrics import roc_auc_score

    assert data.scores is not None
    generator = np.random.default_rng(0)
    score, found = data.scores[:, 1], np.empty(draws)
    for i in range(draws):
        rows = generator.integers(0, len(data), len(data))
        found[i] = roc_auc_score(data.label[rows], score[rows])
    return np.quantile(found, [0.025, 0.975])


def delong(data: Decisions) -> Floats:
    sample = Sample(Rows(data), breakdown(data, ()), IntervalSpec(draws=0))
    (measured,) = AUROC.measure(sample)
    low, high = measured.band.limits(0.95)
    return np.array([low[0], high[0]])


def row(what: str, fast: float, slow: float, goal: float) -> list[str]:
    ratio = slow / fast
    return [what, f"{fast:.4f} s", f"{slow:.2f} s", f"{ratio:,.0f}x", f"at least {goal:g}x", verdict(ratio >= goal)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=3)
    repeats = parser.parse_args().repeats
    warnings.filterwarnings("ignore")
    some = 20
    rows = decisions(100_000)
    table = [
        row(
            f"4 metrics, {GROUPS} groups, {DRAWS:,} draws, 100,000 independent rows, against a NumPy loop over rows",
            best(lambda: ours(rows, ("group",)), repeats),
            best(lambda: row_loop(rows, some), repeats) * DRAWS / some,
            100,
        )
    ]
    owned = decisions(100_000, subjects=20_000)
    rows_of = rows_of_subjects(owned)
    table.append(
        row(
            f"the same of 20,000 subjects, one group, {DRAWS:,} draws, against a loop that concatenates their rows",
            best(lambda: ours(owned, ()), repeats),
            best(lambda: subject_loop(owned, rows_of, some), repeats) * DRAWS / some,
            50,
        )
    )
    table.append(resampling_alone(repeats))
    table += auroc_rows(repeats)
    for cells in table:
        print("; ".join(cells))
    note = f"Loops were timed on {some} draws (AUROC: all) and scaled. Ours includes reducing the rows to cells."
    record(
        "benchmarks/bench_resampling.py", "Resampling",
        ("what", "ours", "against", "ratio", "goal", "met"), table, note,
    )  # fmt: skip


def resampling_alone(repeats: int) -> list[str]:
    """Draws at 10,000 and at 1,000,000 rows, once these are cells."""
    seconds = []
    for rows in (10_000, 1_000_000):
        data = decisions(rows).distinct()
        seconds.append(best(lambda data=data: ours(data, ("group",)), repeats + 2))  # type: ignore[misc]
    ratio = seconds[1] / seconds[0]
    return [
        "1,000,000 independent rows against 10,000, once they are cells",
        f"{seconds[1]:.4f} s", f"{seconds[0]:.4f} s", f"{ratio:.2f}x", "at most 1.5x", verdict(ratio <= 1.5),
    ]  # fmt: skip


def auroc_rows(repeats: int) -> list[list[str]]:
    """DeLong's interval against scikit-learn's AUROC of 2,000 resampled tables, and how far its ends are apart."""
    data = decisions(20_000, scores=True)
    fast = best(lambda: delong(data), repeats + 5)
    start = perf_counter()
    limits = scikit_loop(data, DRAWS)
    slow = perf_counter() - start
    closed = delong(data)
    apart = float(np.abs(closed - limits).max() / (limits[1] - limits[0]))
    return [
        row(f"AUROC of 20,000 rows with its interval, against {DRAWS:,} scikit-learn draws", fast, slow, 500),
        [
            "its ends, against those of the loop", " to ".join(f"{end:.5f}" for end in closed),
            " to ".join(f"{end:.5f}" for end in limits), f"{100 * apart:.1f} % of the width", "at most 5 %",
            verdict(apart <= 0.05),
        ],
    ]  # fmt: skip


if __name__ == "__main__":
    main()
