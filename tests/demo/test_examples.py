"""The scripts of the examples, as far as they need no network."""

from __future__ import annotations

import csv
import importlib.util
from collections import Counter
from pathlib import Path
from types import ModuleType

import numpy as np

EXAMPLES = Path(__file__).parents[2] / "examples"


def script(path: str) -> ModuleType:
    """A script of the examples as a module."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, EXAMPLES / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_predictions_are_the_published_counts(tmp_path: Path) -> None:
    kept = EXAMPLES / "predictions_only" / "predictions.csv"
    script("predictions_only/build_table.py").write_table(tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_bytes() == kept.read_bytes()
    with kept.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    no, yes = "not_rearrested", "rearrested"
    assert Counter((row["race"], row["label"], row["predicted"]) for row in rows) == {
        ("African-American", no, no): 990,
        ("African-American", no, yes): 805,
        ("African-American", yes, no): 532,
        ("African-American", yes, yes): 1369,
        ("Caucasian", no, no): 1139,
        ("Caucasian", no, yes): 349,
        ("Caucasian", yes, no): 461,
        ("Caucasian", yes, yes): 505,
    }
    assert len({row["id"] for row in rows}) == 6150


def test_qmnist_takes_whole_writers_of_each_population(tmp_path: Path) -> None:
    build = script("qmnist_writers/build_manifest.py")
    rng = np.random.default_rng(0)
    writers = np.repeat(np.arange(40), rng.integers(5, 30, 40))
    targets = np.zeros((len(writers), 8), dtype=np.int64)
    targets[:, build.WRITER], targets[:, build.SERIES] = writers, np.where(writers < 15, 0, 4)
    targets[:, build.DIGIT] = rng.integers(0, 10, len(writers))
    taken = build.whole_writers(targets, 100, 0)
    assert taken.tolist() == sorted(set(taken.tolist())) == build.whole_writers(targets, 100, 0).tolist()
    assert taken.tolist() != build.whole_writers(targets, 100, 1).tolist()
    chosen = targets[taken]
    for series in (0, 4):
        assert 100 <= (chosen[:, build.SERIES] == series).sum() < 130, "until there are enough, by whole writers"
    of_chosen = np.isin(writers, chosen[:, build.WRITER])
    assert of_chosen.sum() == len(taken)
    images = rng.integers(0, 256, (len(targets), 28, 28)).astype(np.uint8)
    rows = build.write_images(tmp_path, "train", images, targets, taken[:3])
    assert all((tmp_path / row[0]).is_file() for row in rows)
    assert len(rows[0]) == len(build.COLUMNS)


def test_more_than_there_are_takes_all() -> None:
    build = script("qmnist_writers/build_manifest.py")
    targets = np.zeros((20, 8), dtype=np.int64)
    targets[10:, build.SERIES], targets[:, build.WRITER] = 4, np.arange(20) // 5
    assert build.whole_writers(targets, 1000, 0).tolist() == list(range(20))


def unbalanced(seed: int = 0) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """A table of 40 training writers of each population and 20 test writers, and what is made of it."""
    rng = np.random.default_rng(1)
    rows = []
    for number in range(100):
        split, series = ("train", number % 2 * 4) if number < 80 else ("test", number % 2 * 4)
        for image in range(int(rng.integers(80, 120))):
            cells = {"image": f"{number}-{image}.png", "label": str(rng.integers(10)), "writer_id": f"w{number}"}
            rows.append({**cells, "hsf_series": f"hsf_{series}", "split": split})
    return rows, script("qmnist_writers/build_unbalanced.py").planted(rows, 10, 20, seed)


def test_what_is_planted_is_planted_in_training_alone() -> None:
    rows, kept = unbalanced()
    assert [row for row in kept if row["split"] == "test"] == [row for row in rows if row["split"] == "test"]
    series = {name: Counter(row["hsf_series"] for row in kept if row["split"] == name) for name in ("train", "val")}
    assert 8 < series["train"]["hsf_0"] / series["train"]["hsf_4"] < 12.5
    assert 0.8 < series["val"]["hsf_0"] / series["val"]["hsf_4"] < 1.25
    digits = Counter(row["label"] for row in kept if row["split"] == "train" and row["hsf_series"] == "hsf_0")
    assert 15 < digits["0"] / digits["9"] < 27
    assert all(digits[str(d)] > digits[str(d + 1)] for d in range(9))


def test_no_writer_is_in_two_splits_and_those_set_aside_are_whole() -> None:
    rows, kept = unbalanced()
    splits: dict[str, set[str]] = {}
    for row in kept:
        splits.setdefault(row["writer_id"], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    before, after = (Counter(row["writer_id"] for row in table) for table in (rows, kept))
    for writer, (split,) in splits.items():
        if split != "train":
            assert after[writer] == before[writer]
    assert Counter(next(iter(found)) for found in splits.values())["adjust"] == 12


def test_the_planted_table_depends_on_its_seed_alone() -> None:
    assert unbalanced(3)[1] == unbalanced(3)[1]
    assert unbalanced(3)[1] != unbalanced(4)[1]


def test_the_comparison_of_the_example_validates() -> None:
    from imgid_audit.config import load_config

    config = load_config(EXAMPLES / "qmnist_writers" / "mitigations.yaml")
    assert config.mitigations is not None
    assert len(config.mitigations.methods) >= 8
    assert len(config.mitigations.seeds) == 5
    assert config.mitigations.primary.across == config.train.groups == ("hsf_series",)
