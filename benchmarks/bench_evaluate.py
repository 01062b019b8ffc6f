"""How long an audit of one million prediction rows takes, against pandas merely reading the file.

Run from the project's root: ``python benchmarks/bench_evaluate.py [--rows 1000000]``. Prints the
best of several runs of each part, and their ratio. Nothing is resampled (``draws: 0``); every
metric has its closed-form or linearised interval.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from record import record, verdict
from timing import best

from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.evaluation import decide, evaluate
from imgid_audit.io.predictions import PredictionsRead, read_predictions
from imgid_audit.io.settings import AttributeSettings, DataSettings, PredictionsSettings
from imgid_audit.metrics import METRICS

LEVELS = {"sex": 3, "age": 4, "site": 6, "device": 8}
LIMIT = 10.0


FITTED = ("ece", "ece_debiased", "calibration_slope", "calibration_intercept")
"""Metrics that fit, or simulate, something on every slice: the second pair of rows leaves them out."""


def table(rows: int, seed: int = 0) -> pd.DataFrame:
    """A binary task: label, both scores, four attributes."""
    generator = np.random.default_rng(seed)
    score = generator.beta(1.2, 2.5, rows)
    frame = pd.DataFrame(
        {
            "label": np.where(generator.random(rows) < score, "positive", "negative"),
            "score:negative": 1 - score,
            "score:positive": score,
        }
    )
    for name, levels in LEVELS.items():
        names = np.array([f"{name}-{level}" for level in range(levels)])
        frame[name] = names[generator.integers(0, levels, rows)]
    return frame


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    data = DataSettings(attributes={name: AttributeSettings() for name in LEVELS})
    all_of_them = EvaluationSpec(METRICS.names, intervals=IntervalSpec(draws=0))
    fewer = EvaluationSpec(tuple(name for name in METRICS.names if name not in FITTED), intervals=IntervalSpec(draws=0))
    print(f"{options.rows:,} rows, {len(LEVELS)} attributes, {len(METRICS)} metrics, draws 0")
    frame = table(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        frame.to_csv(Path(folder) / "predictions.csv", index=False)
        frame.to_parquet(Path(folder) / "predictions.parquet")
        cells = [
            measure(name, Path(folder), by_pandas, data, spec, options.repeats)
            for spec in (all_of_them, fewer)
            for name, by_pandas in (("predictions.csv", pd.read_csv), ("predictions.parquet", pd.read_parquet))
        ]
    for row in cells[2:]:
        row[0] += ", without calibration"
    what = f"{options.rows:,} rows, {len(LEVELS)} attributes, {len(METRICS)} metrics, no draws"
    record(
        "benchmarks/bench_evaluate.py",
        "From a table to estimates",
        (what, "pandas reads it", "read", "decide", "evaluate", f"ratio (at most {LIMIT:g}x)", "met"),
        cells,
    )


def measure(
    name: str,
    folder: Path,
    by_pandas: Callable[[Path], pd.DataFrame],
    data: DataSettings,
    spec: EvaluationSpec,
    repeats: int,
) -> list[str]:
    """Print the seconds of each part, and their sum against pandas reading the same file; the table's row."""
    settings = PredictionsSettings(table=name)

    def read() -> PredictionsRead:
        return read_predictions(settings, data, folder, kind="binary", positive="positive")

    pandas_seconds = best(lambda: by_pandas(folder / name), repeats)
    read_seconds = best(read, repeats)
    found = read()
    decisions = decide(found.task, found.manifest, found.predictions)
    decide_seconds = best(lambda: decide(found.task, found.manifest, found.predictions), repeats)
    evaluate_seconds = best(lambda: evaluate(decisions, spec), repeats)
    ours = read_seconds + decide_seconds + evaluate_seconds
    print(
        f"{name:20s} pandas reads {pandas_seconds:.3f} s; read {read_seconds:.3f}, decide {decide_seconds:.3f}, ",
        end="",
    )
    ratio = ours / pandas_seconds
    print(f"evaluate {evaluate_seconds:.3f} s; ratio {ratio:.2f} (limit {LIMIT:g})")
    times = (pandas_seconds, read_seconds, decide_seconds, evaluate_seconds)
    return [name, *(f"{seconds:.3f} s" for seconds in times), f"{ratio:.1f}x", verdict(ratio <= LIMIT)]


if __name__ == "__main__":
    main()
