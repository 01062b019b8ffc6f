"""Fetches QMNIST through torchvision and writes images/ and metadata.csv beside this file.

QMNIST tells of every MNIST digit who wrote it. The official test images are all taken; of the
training images whole writers are drawn until each population has about as many as asked for.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Columns of QMNIST's targets with compat=False (its README, "Using the QMNIST extended labels").
DIGIT, SERIES, WRITER = 0, 1, 2
POPULATIONS = {0: "nist_or_census_employee", 4: "high_school_student"}
COLUMNS = ("image", "label", "writer_id", "hsf_series", "split", "mnist_index", "derived_writer_population")


def main() -> None:
    """Parse the arguments, write the table, say where it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to")
    parser.add_argument(
        "--cache", type=Path, default=Path.home() / ".cache" / "qmnist", help="where downloads are kept"
    )
    parser.add_argument("--train-images", type=int, default=5000, help="training images of each population")
    parser.add_argument("--seed", type=int, default=0, help="of the draw of writers")
    arguments = parser.parse_args()
    rows = []
    for split, what in (("train", "train"), ("test", "test10k")):
        images, targets = fetch(arguments.cache, what)
        taken = np.arange(len(targets))
        if split == "train":
            taken = whole_writers(targets, arguments.train_images, arguments.seed)
        rows += write_images(arguments.out, split, images, targets, taken)
    path = arguments.out / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    print(f"{len(rows)} images, listed in {path}")


def fetch(cache: Path, what: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (n, 28, 28) and extended labels (n, 8) of a part of QMNIST, downloaded where they are not there yet."""
    from torchvision.datasets import QMNIST

    data: Any = QMNIST(str(cache), what=what, compat=False, download=True)
    return data.data.numpy(), data.targets.numpy().astype(np.int64)


def whole_writers(targets: NDArray[np.int64], images: int, seed: int) -> NDArray[np.intp]:
    """Rows of writers drawn at random, population by population, until each has `images` or more; sorted."""
    rng = np.random.default_rng(seed)
    taken = []
    for series in POPULATIONS:
        rows = np.flatnonzero(targets[:, SERIES] == series)
        writers, codes = np.unique(targets[rows, WRITER], return_inverse=True)
        order = rng.permutation(len(writers))
        counts = np.bincount(codes)[order]
        enough = int(np.searchsorted(np.cumsum(counts), images)) + 1
        taken.append(rows[np.isin(codes, order[:enough])])
    return np.sort(np.concatenate(taken))


def write_images(
    folder: Path, split: str, images: NDArray[np.uint8], targets: NDArray[np.int64], taken: NDArray[np.intp]
) -> list[list[str | int]]:
    """Write the taken images as PNG; their rows of the table."""
    from PIL import Image

    (folder / "images" / split).mkdir(parents=True, exist_ok=True)
    rows: list[list[str | int]] = []
    for index in taken:
        digit, series, writer = (int(targets[index, column]) for column in (DIGIT, SERIES, WRITER))
        name = f"images/{split}/{index:05d}.png"
        Image.fromarray(images[index]).save(folder / name)
        population = POPULATIONS.get(series, "")
        rows.append([name, digit, f"w{writer:04d}", f"hsf_{series}", split, int(index), population])
    return rows


if __name__ == "__main__":
    main()
