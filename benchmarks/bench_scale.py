"""What grows with the data: a long table of predictions, and a task of many classes.

Each measurement runs in a process of its own, so that its largest resident memory is its own. Data are
made in a temporary folder. The record is of 100 million rows:

    python benchmarks/bench_scale.py [--rows 10_000_000] [--repeats 3] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from record import record, verdict

LEVELS = {"sex": 3, "age": 5, "site": 16, "device": 10}
COLUMNS = ["label", "predicted", *LEVELS]
CHUNK = 1_000_000
CLASSES, GROUPS = 1000, 12
METRICS = ("accuracy", "balanced_accuracy", "recall", "precision", "f1")
LIMIT_TABLE, LIMIT_CLASSES = 400, 2048
"""MiB of memory."""


def write_table(path: Path, rows: int) -> None:
    """Labels, predictions and four attributes as texts: 2,400 cells."""
    generator = np.random.default_rng(0)
    names = {name: pa.array([f"{name}-{level}" for level in range(levels)]) for name, levels in LEVELS.items()}
    answers = pa.array(["negative", "positive"])
    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, rows, CHUNK):
            size = min(CHUNK, rows - start)
            label = (generator.random(size) < 0.3).astype(np.int8)
            called = np.where(generator.random(size) < 0.85, label, 1 - label).astype(np.int8)
            columns = [pa.DictionaryArray.from_arrays(codes, answers) for codes in (label, called)]
            columns += [
                pa.DictionaryArray.from_arrays(generator.integers(0, LEVELS[name], size, dtype=np.int8), texts)
                for name, texts in names.items()
            ]
            writer.write_table(pa.table([column.cast(pa.string()) for column in columns], schema=schema))


def decode(path: str) -> None:
    """Only decode the columns, as dictionary codes, in the batches that we read."""
    from imgid_audit.io.streaming import BATCH

    with pq.ParquetFile(path, read_dictionary=COLUMNS, pre_buffer=False, buffer_size=1 << 20) as file:
        for _ in file.iter_batches(batch_size=BATCH, columns=COLUMNS):
            pass


def reduce(path: str) -> None:
    """To distinct rows with counts."""
    from imgid_audit.io.streaming import count_rows

    found, _ = count_rows(Path(path), COLUMNS)
    assert int(found.count.sum()) == pq.read_metadata(path).num_rows


def audit(path: str) -> None:
    """The whole `imgid-audit run`: read, evaluate with every attribute, and write JSON."""
    from imgid_audit import pipeline
    from imgid_audit.config import load_config

    folder = Path(path).parent
    config = {
        "name": "long table",
        "task": {"type": "binary", "positive": "positive"},
        "predictions": {"table": path, "stream": True},
        "data": {"attributes": {name: {} for name in LEVELS}, "intersections": [["sex", "age"]]},
        "metrics": ["accuracy", "recall", "precision", "f1"],
        "policy": {"rules": [{"metric": "recall", "across": "sex", "max_gap": 0.05}]},
        "report": {"formats": ["json"]},
    }
    with tempfile.TemporaryDirectory(dir=folder) as out:
        pipeline.run(load_config(config), out=Path(out) / "run")


def classes(asked: str) -> None:
    """Evaluate a task of 1,000 classes over 12 groups; `asked`: rows, subjects, 1 for scores."""
    from imgid_audit.core.factor import Factor
    from imgid_audit.core.policy import EvaluationSpec
    from imgid_audit.core.predictions import Decisions
    from imgid_audit.core.task import Task
    from imgid_audit.evaluation import evaluate

    rows, subjects, scored = (int(part) for part in asked.split(","))
    generator = np.random.default_rng(0)
    label = generator.integers(0, CLASSES, rows).astype(np.int32)
    called = np.where(generator.random(rows) < 0.8, label, generator.integers(0, CLASSES, rows)).astype(np.int32)
    scores = None
    if scored:
        scores = np.full((rows, CLASSES), 0.2 / (CLASSES - 1))
        scores[np.arange(rows), called] = 0.8
    group = Factor("group", tuple(f"g{i}" for i in range(GROUPS)), generator.integers(0, GROUPS, rows).astype(np.int32))
    owner = None
    if subjects:
        names = tuple(f"s{i}" for i in range(subjects))
        owner = Factor("subject", names, generator.integers(0, subjects, rows).astype(np.int32))
    task = Task("multiclass", tuple(f"c{i:04d}" for i in range(CLASSES)), None)
    evaluate(Decisions(task, label, called, scores, owner, (group,)).distinct(), EvaluationSpec(METRICS))


WORK: dict[str, Callable[[str], None]] = {"decode": decode, "reduce": reduce, "audit": audit, "classes": classes}


def measured(work: str, argument: str, repeats: int = 1, small: str | None = None) -> tuple[float, float]:
    """Best seconds and largest MiB of several processes; `small` is worked on before the clock starts."""
    runs = []
    for _ in range(repeats):
        command = [sys.executable, __file__, "--work", work, "--argument", argument]
        command += ["--warm", small] if small else []
        found = subprocess.run(command, check=True, capture_output=True, text=True)
        runs.append(json.loads(found.stdout.splitlines()[-1]))
    return min(run["seconds"] for run in runs), max(run["mebibytes"] for run in runs)


def work(name: str, argument: str, warm: str | None) -> None:
    """Do one piece of work in this process, and print what it took."""
    if warm:
        WORK[name](warm)  # imports, and the first use of each library, are not what is measured
    start = perf_counter()
    WORK[name](argument)
    seconds = perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "mebibytes": peak}))


def table_rows(path: str, small: str, rows: int, repeats: int) -> list[list[str]]:
    """Interleaved, so that a busy moment hits both alike."""
    pairs = [(measured("decode", path, small=small), measured("reduce", path, small=small)) for _ in range(repeats)]
    decoding, reducing = (min(pair[i][0] for pair in pairs) for i in range(2))
    memory = max(pair[1][1] for pair in pairs)
    seconds, peak = measured("audit", path)
    million, ratio = f"{rows / 1e6:g}M rows", reducing / decoding
    return [
        [f"{million}: only decode the columns", f"{decoding:.2f} s", f"{max(p[0][1] for p in pairs):.0f} MiB", "", ""],
        [
            f"{million}: reduce them to 2,400 cells by label and prediction", f"{reducing:.2f} s", f"{memory:.0f} MiB",
            f"{ratio:.2f}x decoding (at most 1.5x), under {LIMIT_TABLE} MiB",
            verdict(ratio <= 1.5 and memory < LIMIT_TABLE),
        ],
        [f"{million}: the whole `imgid-audit run`", f"{seconds:.1f} s", f"{peak:.0f} MiB", "", ""],
    ]  # fmt: skip


def class_rows() -> list[list[str]]:
    cases = {
        "1M rows, independent": "1000000,0,0",
        "1M rows of 20,000 subjects": "1000000,20000,0",
        "100,000 rows of 20,000 subjects, scores (763 MiB of them)": "100000,20000,1",
    }
    found = []
    for what, argument in cases.items():
        seconds, peak = measured("classes", argument)
        found.append(
            [
                f"{CLASSES:,} classes, {GROUPS} groups, {what}", f"{seconds:.1f} s", f"{peak:.0f} MiB",
                f"under {LIMIT_CLASSES} MiB", verdict(peak < LIMIT_CLASSES),
            ]
        )  # fmt: skip
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--keep", type=Path, help="folder for the table, which is used again where it is there")
    for hidden in ("--work", "--argument", "--warm"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        work(options.work, options.argument, options.warm)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        table, small = folder / f"rows-{options.rows}.parquet", folder / "small.parquet"
        for path, rows in ((table, options.rows), (small, 100_000)):
            if not path.exists():
                write_table(path, rows)
        cells = [*table_rows(str(table), str(small), options.rows, options.repeats), *class_rows()]
    for row in cells:
        print("; ".join(part for part in row if part))
    note = f"Classes: {', '.join(METRICS)}. Memory is the largest resident size of the process, Python included."
    # a run of another size has a section of its own, so that `make bench` leaves the record standing
    usual = options.rows == parser.get_default("rows")
    script = "benchmarks/bench_scale.py" + ("" if usual else f" --rows {options.rows}")
    title = "Scale" if usual else f"Scale, {options.rows / 1e6:g} million rows"
    record(script, title, ("what", "time", "memory", "goal", "met"), cells, note)


if __name__ == "__main__":
    main()
