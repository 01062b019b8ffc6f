"""Small image tasks with a planted fit: stripes in noise, told apart by their direction.

An image of subject s has horizontal or vertical stripes of a contrast of its own under pixel noise. How faint
the stripes are, how many labels are wrong, how many images there are and how the network is trained
plant whether it memorises, learns, or does not even learn its training rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from imgid_audit.core.factor import Factor
from imgid_audit.core.fit import Curves, Fit
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.evaluation.generalisation import generalisation
from imgid_audit.vision.images import decode
from imgid_audit.vision.records import TrainingRecord
from imgid_audit.vision.settings import AugmentSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model

TASK = Task("binary", ("across", "down"), "down")
SIZE = 16
DEVICES = ("new", "old")


@dataclass(frozen=True)
class World:
    """What is planted.

    - `contrast`: of the stripes, in grey levels; the noise has a standard deviation of 40, of device ``old`` 60
    - `wrong`: share of subjects whose labels are wrong, on every split: accuracy cannot exceed 1 - `wrong`
    - `blank`: share of subjects whose images have no stripes at all: of them half are answered right, by guessing
    - `rows`: images of train and of val; `images`: of one subject
    - `centred`: all stripes have a crest in the middle, so that a network without convolutions can learn them, and
      an image that is turned over is another of its class
    - `settings`, `model`: how the network is trained
    """

    name: str
    contrast: float
    rows: tuple[int, int]
    settings: TrainSettings
    model: ModelSettings
    wrong: float = 0.0
    blank: float = 0.0
    images: int = 1
    centred: bool = False

    def changed(self, **settings: object) -> World:
        return replace(self, settings=self.settings.model_copy(update=settings))


def model(architecture: str, dropout: float = 0.0) -> ModelSettings:
    return ModelSettings(architecture=architecture, dropout=dropout, input=InputSettings(size=SIZE))


def settings(**changes: object) -> TrainSettings:
    given = {"epochs": 12, "batch_size": 32, "weight_decay": 0.0, "workers": 0, "device": "cpu"}
    return TrainSettings(**{**given, **changes})


class Brightness(nn.Sequential):
    """A network that is too small: it sees an image's mean colour alone, which tells nothing of stripes."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, num_classes))


class Dense(nn.Sequential):
    """A network without convolutions that remembers a few hundred images in a few epochs."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Flatten(), nn.Linear(3 * SIZE**2, 64), nn.ReLU(), nn.Linear(64, num_classes))


TURNS = AugmentSettings(hflip=0.5, vflip=0.5, crop=0.6)
MEMORISED = World(
    "resnet18, 200 images, faint stripes, no regularisation", 14, (200, 100), settings(epochs=12), model("resnet18")
)
LESS_FAINT = replace(MEMORISED, name="resnet18, 200 images, less faint stripes, no regularisation", contrast=24)
LEARNT = World(
    "smallcnn, 300 images, clear stripes", 60, (300, 200), settings(epochs=8, weight_decay=0.01), model("smallcnn")
)
HARD = World(
    "smallcnn, 600 images, 15 % of labels wrong, 100 val images of 20 subjects",
    60,
    (600, 100),
    settings(epochs=8, weight_decay=0.01, augment=TURNS),
    model("smallcnn"),
    wrong=0.15,
    images=5,
)
FAINTER = World(
    "smallcnn, 600 images, fainter stripes", 15, (600, 200), settings(epochs=8, augment=TURNS), model("smallcnn")
)
LARGE = World(
    "resnet18, 400 images, clear stripes, augmented",
    60,
    (400, 200),
    settings(epochs=8, weight_decay=0.01, augment=TURNS),
    model("resnet18"),
)
MEAN_COLOUR = "tests.validity.fit_worlds:Brightness"
DENSE = ModelSettings(
    architecture="tests.validity.fit_worlds:Dense",
    input=InputSettings(size=SIZE, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)),
)
NOISY = World(
    "dense, 150 images, 20 % of labels wrong", 20, (150, 400), settings(epochs=10), DENSE, wrong=0.2, centred=True
)
CLEAN = World("dense, 150 images, very faint stripes", 8, (150, 400), settings(epochs=10), DENSE, centred=True)
LEVERS = (
    ("weight decay 200 (AdamW)", NOISY, NOISY.changed(weight_decay=200.0)),
    ("dropout .95 before the last layer", NOISY, replace(NOISY, model=DENSE.model_copy(update={"dropout": 0.95}))),
    ("turning images over", CLEAN, CLEAN.changed(augment=AugmentSettings(hflip=0.5, vflip=0.5))),
)
"""What is varied: the same images and seeds, without and with what is to make the gap smaller."""
UNLEARNT = (
    replace(FAINTER.changed(epochs=1, augment=AugmentSettings()), name="smallcnn, fainter stripes, one epoch"),
    replace(LEARNT.changed(lr=1e-6), name="smallcnn, clear stripes, learning rate 1e-6"),
    replace(LEARNT, name="a network that sees the mean colour alone", model=model(MEAN_COLOUR)),
    replace(
        LEARNT.changed(augment=TURNS),
        name="smallcnn, 1,000 images, clear stripes on 35 % of them, none on the others",
        rows=(1000, 200),
        blank=0.65,
    ),
)
"""The last one learns a third of its rows and explains about as much of a guesser's loss: calm, and not enough."""


def manifest(world: World, seed: int, root: Path) -> Manifest:
    """Writes the images of a world below `root` and lists them; one seed, one set of bytes."""
    rng = np.random.default_rng([seed, 77])
    rows = sum(world.rows)
    subject = np.repeat(np.arange(-(-rows // world.images)), world.images)[:rows]
    split = np.repeat([0, 1], world.rows)  # whole subjects: images divide both numbers
    true = rng.integers(0, 2, subject[-1] + 1)
    wrong = rng.random(subject[-1] + 1) < world.wrong
    device = rng.integers(0, 2, subject[-1] + 1)
    blank = rng.random(subject[-1] + 1) < world.blank if world.blank else np.zeros(subject[-1] + 1, dtype=bool)
    root.mkdir(parents=True, exist_ok=True)
    names = [f"{i:05d}.png" for i in range(rows)]
    for name, owner in zip(names, subject, strict=True):
        shown = replace(world, contrast=0) if blank[owner] else world
        Image.fromarray(picture(shown, true[owner], device[owner], rng)).save(root / name, compress_level=1)
    return Manifest(
        ids=np.array(names, dtype=object),
        label=Factor("label", TASK.labels, (true ^ wrong)[subject].astype(np.int32)),
        split=Factor("split", SPLITS, np.array([SPLITS.index(("train", "val")[one]) for one in split], dtype=np.int32)),
        attributes=(Factor("device", DEVICES, device[subject].astype(np.int32)),),
        subject=Factor("subject", tuple(map(str, range(subject[-1] + 1))), subject.astype(np.int32)),
        images=np.array(names, dtype=object),
        status=np.full(rows, Status.PENDING, dtype=np.int8),
        reason=np.full(rows, "", dtype=object),
    )


def picture(world: World, down: int, device: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Stripes of a period of about 6 pixels, at a random phase unless `centred`, (SIZE, SIZE, 3)."""
    period, phase = (6.0, np.pi / 2) if world.centred else (rng.uniform(5, 7), rng.uniform(0, 2 * np.pi))
    wave = world.contrast * np.sin(2 * np.pi * (np.arange(SIZE) - (SIZE - 1) / 2) / period + phase)
    stripes = np.broadcast_to(wave if down else wave[:, None], (SIZE, SIZE))[..., None]
    pixels = 128 + stripes + rng.normal(0, (40, 60)[device], (SIZE, SIZE, 3))
    return np.clip(pixels, 0, 255).astype(np.uint8)


@dataclass(frozen=True)
class Trained:
    """A network of a world: its record, its fit, and what checks read besides."""

    record: TrainingRecord
    fit: Fit
    manifest: Manifest = field(repr=False)

    @property
    def gap(self) -> float:
        value = self.fit.gaps[0].value
        assert isinstance(value, float)
        return value


def trained(world: World, seed: int, folder: Path) -> Trained:
    """Trains the network of a world on images of `seed`, and compares train with val."""
    rows = manifest(world, seed, folder / "images")
    given = world.settings.model_copy(update={"seed": seed})
    record = train(rows, TASK, folder / "images", world.model, given, folder / "model")
    sides = [decisions(world, rows, record, folder, split) for split in ("train", "val")]
    gaps = generalisation(sides[0], sides[1], IntervalSpec())
    return Trained(record, Fit(curves(record), gaps), rows)


def decisions(world: World, rows: Manifest, record: TrainingRecord, folder: Path, split: str) -> Decisions:
    """What the kept weights say of a split's images as they are."""
    loaded = load_model(world.model, folder / "model" / record.weights, 2)
    index = rows.rows(split)
    assert rows.images is not None
    assert rows.subject is not None
    pixels = [loaded.transform.prepare(decode(folder / "images" / rows.images[row])) for row in index]
    module = loaded.module.eval()
    with torch.inference_mode():
        batches = torch.stack(pixels).split(100)
        predicted = torch.cat([module(loaded.transform.normalise(batch)).argmax(dim=1) for batch in batches])
    return Decisions(
        TASK,
        rows.label.codes[index],
        predicted.numpy().astype(np.int32),
        None,
        rows.subject.take(index) if world.images > 1 else None,
        tuple(factor.take(index) for factor in rows.attributes),
    )


def curves(record: TrainingRecord) -> Curves:
    """The parts of a record that checks read."""
    return Curves(
        train_loss=tuple(epoch.train_loss for epoch in record.epochs),
        val_loss=tuple(epoch.val_loss for epoch in record.epochs),
        lr=tuple(epoch.lr for epoch in record.epochs),
        best_epoch=record.best_epoch,
        criterion=record.criterion,
        ended=record.ended,
        slices=(),
    )
