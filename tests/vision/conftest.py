"""Small worlds of images on disk with their manifests."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.task import Task

torch.set_num_threads(1)  # tests share two cores; the counts of threads are not what they test


def make_manifest(
    names: Sequence[str],
    labels: Sequence[str],
    splits: Sequence[str],
    levels: tuple[str, ...],
    attributes: dict[str, Sequence[str]] | None = None,
) -> Manifest:
    n = len(names)
    return Manifest(
        ids=np.array(names, dtype=object),
        label=Factor("label", levels, np.array([levels.index(x) for x in labels], dtype=np.int32)),
        split=Factor("split", SPLITS, np.array([SPLITS.index(x) for x in splits], dtype=np.int32)),
        attributes=tuple(make_factor(name, values) for name, values in (attributes or {}).items()),
        subject=None,
        images=np.array(names, dtype=object),
        status=np.full(n, Status.PENDING, dtype=np.int8),
        reason=np.full(n, "", dtype=object),
    )


def make_factor(name: str, values: Sequence[str]) -> Factor:
    levels = tuple(sorted(set(values)))
    return Factor(name, levels, np.array([levels.index(value) for value in values], dtype=np.int32))


class World:
    """Three classes of 16x16 RGB images, told apart by which channel is bright; `n` of them."""

    task = Task("multiclass", ("blue", "green", "red"))

    def __init__(self, root: Path, n: int, seed: int = 0, size: int = 16, write: bool = True) -> None:
        self.root = root
        rng = np.random.default_rng(seed)
        labels = [self.task.labels[code] for code in rng.integers(0, 3, n)]
        splits = [("train", "train", "val", "test")[i % 4] for i in range(n)]
        devices = [("clean", "noisy")[i % 5 == 0] for i in range(n)]
        names = [f"{i:05d}.png" for i in range(n)]
        root.mkdir(parents=True, exist_ok=True)
        for name, label in zip(names, labels, strict=True):
            pixels = rng.integers(0, 120, (size, size, 3), dtype=np.uint8)
            pixels[:, :, ("red", "green", "blue").index(label)] += 100
            if write:  # else they are there already
                Image.fromarray(pixels).save(root / name, compress_level=1)
        self.manifest = make_manifest(names, labels, splits, self.task.labels, {"device": devices})


@pytest.fixture
def world(tmp_path: Path) -> Callable[..., World]:
    """Makes a `World` below the test's own folder."""
    return lambda n, **options: World(tmp_path / "images", n, **options)
