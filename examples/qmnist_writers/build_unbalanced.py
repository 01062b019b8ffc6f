"""Plants a problem in the table of metadata.csv: few training images of one population, and few of some digits.

Only the table is written anew, images stay where they are. The test part is untouched; validation and adjusting
get whole writers of both populations with all their digits; what is left is for training, where hsf_4 has a tenth
of the writers' images that hsf_0 has, and digit 9 a twentieth of the images of digit 0. So it is known what is
missing, and judged on data where it is not.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MANY, FEW = "hsf_0", "hsf_4"
VAL_WRITERS, ADJUST_WRITERS = 10, 6
"""Writers of each population that select settings, and that are set aside for adjusting."""

Row = dict[str, str]


def main() -> None:
    """Parse the arguments, write the table, say what is in it."""
    here = Path(__file__).parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--metadata", type=Path, default=here / "metadata.csv", help="the table to begin with")
    parser.add_argument("--out", type=Path, default=here / "unbalanced.csv", help="the table to write")
    parser.add_argument(
        "--population-ratio", type=float, default=10, help=f"training images of {MANY} for one of {FEW}"
    )
    parser.add_argument("--digit-ratio", type=float, default=20, help="training images of digit 0 for one of digit 9")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of writers and images")
    arguments = parser.parse_args()
    with arguments.metadata.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    kept = planted(rows, arguments.population_ratio, arguments.digit_ratio, arguments.seed)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    with arguments.out.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, kept[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    for split in ("train", "val", "adjust", "test"):
        counts = {name: count(kept, split, name) for name in (MANY, FEW)}
        print(f"{split}: " + ", ".join(f"{name} {n:,} images" for name, n in counts.items()))
    print(f"listed in {arguments.out}")


def count(rows: list[Row], split: str, series: str) -> int:
    """Rows of a population in a split."""
    return sum(row["split"] == split and row["hsf_series"] == series for row in rows)


def planted(rows: list[Row], population_ratio: float, digit_ratio: float, seed: int) -> list[Row]:
    """The rows that are kept, in their order, each with its split."""
    rng = np.random.default_rng(seed)
    split = np.array([row["split"] for row in rows], dtype=object)
    series = np.array([row["hsf_series"] for row in rows])
    writers = np.array([row["writer_id"] for row in rows])
    trains = split == "train"
    split[trains] = ""
    wanted = np.inf
    for name in (MANY, FEW):
        rest = _set_aside(split, writers, trains & (series == name), rng)
        chosen = _until(writers, rest, wanted)
        split[chosen] = "train"
        wanted = len(chosen) / population_ratio
    digits = np.array([int(row["label"]) for row in rows])
    for name in (MANY, FEW):
        _thin(split, digits, (split == "train") & (series == name), digit_ratio, rng)
    return [{**row, "split": part} for row, part in zip(rows, split, strict=True) if part]


def _set_aside(
    split: NDArray[np.object_], writers: NDArray[np.str_], mask: NDArray[np.bool_], rng: np.random.Generator
) -> list[str]:
    """Give whole writers to val and adjust; the other writers, in random order."""
    order = rng.permutation(np.unique(writers[mask])).tolist()
    ends = VAL_WRITERS, VAL_WRITERS + ADJUST_WRITERS
    for part, names in (("val", order[: ends[0]]), ("adjust", order[ends[0] : ends[1]])):
        split[mask & np.isin(writers, names)] = part
    return order[ends[1] :]


def _until(writers: NDArray[np.str_], order: list[str], wanted: float) -> NDArray[np.intp]:
    """Rows of whole writers, in their order, until there are about `wanted` images; one writer at least."""
    sizes = np.array([np.count_nonzero(writers == name) for name in order])
    before = np.cumsum(sizes) - sizes / 2
    taken = max(1, int(np.searchsorted(before, wanted)))
    return np.flatnonzero(np.isin(writers, order[:taken]))


def _thin(
    split: NDArray[np.object_],
    digits: NDArray[np.int64],
    mask: NDArray[np.bool_],
    ratio: float,
    rng: np.random.Generator,
) -> None:
    """Leave ratio**(-d / 9) of the images of digit d, drawn at random, one at least."""
    for digit in range(10):
        rows = np.flatnonzero(mask & (digits == digit))
        kept = max(1, round(len(rows) * ratio ** (-digit / 9)))
        split[rng.permutation(rows)[kept:]] = ""


if __name__ == "__main__":
    main()
