"""What comparing mitigations costs, side by side: heads on embeddings, whole trainings, resampled pixels.

Heads are those of the laboratory's scope `head`, from images on disk on: embeddings are computed into
an empty folder, then five methods train a head each. One whole training is timed and taken five times.

    python benchmarks/bench_mitigations.py [--images 2000] [--epochs 10] [--repeats 3]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from record import record, verdict
from timing import best

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.task import Task
from imgid_audit.io.content import hash_images
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import HeadSettings, MethodSettings
from imgid_audit.vision.embed import Embedded, embed
from imgid_audit.vision.heads import train_head
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import InputSettings, ModelSettings, PredictSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.treatment import HeadTask, Part
from imgid_audit.vision.weights import LoadedModel

SIDE = 64
LABELS = tuple(str(digit) for digit in range(10))
METHODS = ("baseline", "oversample", "focal", "logit_adjustment", "group_dro")
MODEL = ModelSettings(architecture="resnet18", input=InputSettings(size=SIDE))
HEAD = HeadSettings()

PIXEL_ROWS, PIXEL_SHAPE = 20_000, (3, 64, 64)


def world(folder: Path, images: int) -> Manifest:
    """JPEG files of one side each; 7 of 10 rows train, the others are val; classes are long-tailed."""
    rng = np.random.default_rng(0)
    labels = rng.choice(len(LABELS), images, p=_long_tail(len(LABELS), 20)).astype(np.int32)
    names = np.array([f"{number:05d}.jpg" for number in range(images)], dtype=object)
    coarse = rng.integers(0, 255, (images, 8, 8, 3), dtype=np.uint8)
    for name, pixels in zip(names, coarse, strict=True):
        Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(folder / name, quality=90)
    split = np.where(np.arange(images) % 10 < 7, SPLITS.index("train"), SPLITS.index("val")).astype(np.int32)
    group = Factor("device", ("a", "b"), (rng.random(images) < 0.2).astype(np.int32))
    return Manifest(
        names, Factor("label", LABELS, labels), Factor("split", SPLITS, split), (group,), None, names,
        np.full(images, Status.PENDING, dtype=np.int8), np.full(images, "", dtype=object),
    )  # fmt: skip


def _long_tail(classes: int, ratio: float) -> NDArray[np.float64]:
    """Frequencies that fall by equal factors, the commonest `ratio` times the rarest."""
    shares = ratio ** -(np.arange(classes) / (classes - 1))
    return shares / shares.sum()


def treatments() -> list[tuple[str, Callable[[], object]]]:
    ask = Ask(LABELS, binary=False, scope="head")
    return [(name, lambda name=name: Remedy.of(MethodSettings(name=name), find).treatment(ask)) for name in METHODS]


def head_task(manifest: Manifest, embedded: Embedded) -> HeadTask:
    labels, groups = manifest.label.codes[embedded.rows], manifest.attributes[0].codes[embedded.rows]
    split = manifest.split.codes[embedded.rows]

    def part(name: str) -> Part:
        rows = split == SPLITS.index(name)
        return Part(embedded.values[rows], labels[rows], groups[rows])

    return HeadTask(part("train"), part("val"), part("adjust"), len(LABELS), 2)


def heads_against_trainings(images: int, epochs: int, repeats: int) -> list[list[str]]:
    """Five heads after one pass of embeddings, against five whole trainings."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "images").mkdir()
        manifest = world(folder / "images", images)
        torch.manual_seed(0)
        model = LoadedModel(build_model(MODEL, len(LABELS)).eval(), InputTransform(SIDE), None, "0" * 64)
        hashes, _ = hash_images(manifest, folder / "images")

        def one_pass() -> Embedded:
            shutil.rmtree(folder / "embeddings", ignore_errors=True)
            return embed(
                manifest, np.arange(images), folder / "images", model, PredictSettings(), folder / "embeddings",
                classes=len(LABELS), image_sha256=hashes,
            )  # fmt: skip

        one_pass()  # the first forward pass of a process is slower: it chooses kernels
        task = head_task(manifest, one_pass())
        built = treatments()
        for _, treatment in built:  # libraries are imported once, whatever is compared
            train_head(task, treatment(), HeadSettings(epochs=1), 0, select="worst_group")
        embedding, heads = [], []
        for _ in range(repeats):
            embedding.append(best(one_pass, 1))
            heads.append(best(lambda: _heads(task, built), 1))
        start = perf_counter()
        settings = TrainSettings(epochs=epochs, groups=("device",), select="worst_group")
        train(manifest, Task("multiclass", LABELS), folder / "images", MODEL, settings, folder / "model")
        whole = 5 * (perf_counter() - start)
    return rows_of_costs(min(embedding), min(heads), whole, images, epochs)


def _heads(task: HeadTask, built: list[tuple[str, Callable[[], object]]]) -> None:
    for _, treatment in built:
        train_head(task, treatment(), HEAD, 0, select="worst_group")  # type: ignore[arg-type]


def rows_of_costs(embedding: float, heads: float, whole: float, images: int, epochs: int) -> list[list[str]]:
    together = embedding + heads
    against, beside = whole / together, together / embedding
    what = f"{len(METHODS)} heads of {HEAD.epochs} epochs and the embeddings of {images:,} images"
    return [
        [
            f"{what}, against 5 whole trainings of {epochs} epochs", f"{together:.2f} s", f"{whole:.0f} s",
            f"{against:.0f}x", "at least 50x", verdict(against >= 50),
        ],
        [
            f"{what}, against the embeddings alone", f"{together:.2f} s", f"{embedding:.2f} s",
            f"{beside:.2f}x", "at most 1.3x", verdict(beside <= 1.3),
        ],
        [
            "one further head, against one further training", f"{heads / len(METHODS):.3f} s", f"{whole / 5:.0f} s",
            f"{whole / heads:.0f}x", "", "",
        ],
    ]  # fmt: skip


def indices_against_pixels(repeats: int) -> list[list[str]]:
    """Resampled indices against resampled pixel arrays, by imbalanced-learn both; what each then holds."""
    from imblearn.over_sampling import SMOTE, RandomOverSampler

    rng = np.random.default_rng(0)
    labels = (rng.random(PIXEL_ROWS) < 0.14).astype(np.int32)
    pixels = rng.integers(0, 256, (PIXEL_ROWS, int(np.prod(PIXEL_SHAPE))), dtype=np.uint8)
    ask = Ask(("no", "yes"), binary=True, scope="head")
    resample = Remedy.of(MethodSettings(name="oversample"), find).treatment(ask).rows
    assert resample is not None
    ours, rows = _timed(lambda: resample(labels, None, 0), repeats + 5)
    table = []
    for name, sampler in (("RandomOverSampler", RandomOverSampler), ("SMOTE", SMOTE)):
        seconds, found = _timed(lambda sampler=sampler: sampler(random_state=0).fit_resample(pixels, labels)[0], 2)
        faster, smaller = seconds / ours, found.nbytes / rows.nbytes
        table.append(
            [
                f"`oversample` of {PIXEL_ROWS:,} rows, against {name} on their pixels "
                f"({'x'.join(map(str, PIXEL_SHAPE))}, uint8)",
                f"{ours * 1000:.2f} ms, {rows.nbytes / 1e6:.2f} MB", f"{seconds:.2f} s, {found.nbytes / 1e6:.0f} MB",
                f"{faster:,.0f}x faster, {smaller:,.0f}x smaller", "at least 200x faster, 100x smaller",
                verdict(faster >= 200 and smaller >= 100),
            ]
        )  # fmt: skip
        pixel_seconds, pixel_bytes = seconds, found.nbytes
        del found
    points = Remedy.of(MethodSettings(name="smote"), find).treatment(ask).points
    assert points is not None
    part = Part(rng.normal(size=(PIXEL_ROWS, 512)).astype(np.float32), labels, None)
    seconds, made = _timed(lambda: points(part, 2, 0).embeddings, 1)
    table.append(
        [
            f"`smote` on embeddings (512 numbers) of {PIXEL_ROWS:,} rows, against SMOTE on their pixels",
            f"{seconds:.2f} s, {made.nbytes / 1e6:.0f} MB", f"{pixel_seconds:.2f} s, {pixel_bytes / 1e6:.0f} MB",
            f"{pixel_seconds / seconds:,.1f}x faster, {pixel_bytes / made.nbytes:,.1f}x smaller", "", "",
        ]
    )  # fmt: skip
    return table


def _timed(work: Callable[[], NDArray[np.generic]], repeats: int) -> tuple[float, NDArray[np.generic]]:
    """Seconds of the fastest of several runs, and what it made."""
    made: list[NDArray[np.generic]] = []

    def once() -> None:
        made[:] = [work()]

    return best(once, repeats), made[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    table = indices_against_pixels(given.repeats)
    table = heads_against_trainings(given.images, given.epochs, given.repeats) + table
    for cells in table:
        print("; ".join(cells))
    note = (
        f"resnet18 at {SIDE} px, torch {torch.__version__} on {torch.get_num_threads()} CPU threads (heads: 1), 7 of "
        f"10 images to train on, heads {', '.join(METHODS)}. Embeddings are computed from JPEG files into an empty "
        "folder. One whole training was timed and taken five times. MB are of what a training then holds: row "
        "numbers, pixels or embeddings."
    )
    columns = ("what", "ours", "against", "ratio", "goal", "met")
    record("benchmarks/bench_mitigations.py", "Comparing mitigations", columns, table, note)


if __name__ == "__main__":
    main()
