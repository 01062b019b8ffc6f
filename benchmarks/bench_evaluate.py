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
from time import perf_counter

import numpy as np
import pandas as pd

from imgid_audit.core.policy import EvaluationSpec, IntervalSpec
from imgid_audit.evaluation import decide, evaluate
from imgid_audit.io.predictions import PredictionsRead, read_predictions
from imgid_audit.io.settings import AttributeSettings, DataSettings, PredictionsSettings
from imgid_audit.metrics import METRICS

LEVELS = {"sex": 3, "age": 4, "site": 6, "device": 8}
LIMIT = 10.0


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


def best(work: Callable[[], object], repeats: int) -> float:
    """Seconds of the fastest of several runs."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    data = DataSettings(attributes={name: AttributeSettings() for name in LEVELS})
    spec = EvaluationSpec(METRICS.names, intervals=IntervalSpec(draws=0))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "predictions.parquet"
        table(options.rows).to_parquet(path)
        settings = PredictionsSettings(table=path.name)

        def read() -> PredictionsRead:
            return read_predictions(settings, data, Path(folder), kind="binary", positive="positive")

        pandas_seconds = best(lambda: pd.read_parquet(path), options.repeats)
        read_seconds = best(read, options.repeats)
        found = read()
        decisions = decide(found.task, found.manifest, found.predictions)
        decide_seconds = best(lambda: decide(found.task, found.manifest, found.predictions), options.repeats)
        evaluate_seconds = best(lambda: evaluate(decisions, spec), options.repeats)
    ours = read_seconds + decide_seconds + evaluate_seconds
    print(f"{options.rows:,} rows, {len(LEVELS)} attributes, {len(METRICS)} metrics, draws 0")
    print(f"pandas.read_parquet  {pandas_seconds:7.3f} s")
    print(f"read_predictions     {read_seconds:7.3f} s")
    print(f"decide               {decide_seconds:7.3f} s")
    print(f"evaluate             {evaluate_seconds:7.3f} s")
    print(f"ratio                {ours / pandas_seconds:7.2f}   (limit {LIMIT:g})")


if __name__ == "__main__":
    main()
