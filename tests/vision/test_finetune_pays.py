"""A planted proof: what was learnt of some digits helps to learn others of few images, if it is fine-tuned with care.

A network learns the digits 0 to 4 of the embedded example's images. From there, and from scratch, five networks each
learn 5 to 9 of 200 images, with the same number of epochs; both ways choose their learning rate on val, with a seed
that is not judged. They are compared on test rows as the project compares methods, paired by seed and row.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits

from imgid_audit.comparison import ComparisonSpec, MethodRuns, compare_methods
from imgid_audit.core.comparison import MethodChange, Primary
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.demo import _photograph
from imgid_audit.vision.images import decode
from imgid_audit.vision.records import WEIGHTS
from imgid_audit.vision.settings import AugmentSettings, FineTuneSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model
from tests.vision.conftest import make_manifest

MODEL = ModelSettings(input=InputSettings(size=32, channels=1, mean=(0.5,), std=(0.5,)))
SEEDS = (0, 1, 2, 3, 4)
EPOCHS, TRAIN, VAL, TRIAL_SEED = 10, 200, 150, 100
RATES = (0.01, 0.03, 0.1)
AUGMENT = AugmentSettings(rotation=30, crop=0.6, hflip=0.5)
FINE_TUNE = FineTuneSettings(frozen_epochs=2, backbone_lr=0.3, layer_decay=0.8)


@dataclass(frozen=True)
class Digits:
    """Images of some digits on disk."""

    root: Path
    task: Task
    manifest: Manifest


def digits(root: Path, wanted: range, train_rows: int, val_rows: int, shots: int = 1) -> Digits:
    """The digits `wanted` in a random order: first those to learn from, then val, the rest test.

    Each digit is photographed `shots` times by the embedded example's noisy, tilted device.
    """
    data, rng = load_digits(), np.random.default_rng(7)
    rows = rng.permutation(np.flatnonzero(np.isin(data.target, wanted)))
    splits = ["train" if k < train_rows else "val" if k < train_rows + val_rows else "test" for k in range(len(rows))]
    names = [f"{row}-{shot}.png" for row in rows for shot in range(shots)]
    root.mkdir(parents=True)
    for name, row in zip(names, np.repeat(rows, shots), strict=True):
        Image.fromarray(_photograph(data.images[row], "handheld", rng)).save(root / name)
    labels = tuple(map(str, wanted))
    levels = [str(data.target[row]) for row in np.repeat(rows, shots)]
    manifest = make_manifest(names, levels, list(np.repeat(splits, shots)), labels)
    return Digits(root, Task("multiclass", labels), manifest)


class Way:
    """One way to train: from scratch, or from a file."""

    def __init__(self, data: Digits, folder: Path, init: Path | None) -> None:
        self.data, self.folder = data, folder
        self.given = {"init": None if init is None else str(init), "fine_tune": None if init is None else FINE_TUNE}
        tried = {rate: self.network(rate, TRIAL_SEED)[1] for rate in RATES}
        self.rate = max(tried, key=lambda rate: tried[rate])

    def network(self, rate: float, seed: int) -> tuple[Path, tuple[float, float]]:
        """Its file, and its accuracy and minus its loss on val."""
        folder = self.folder / f"{rate:g}-{seed}"
        data = self.data
        settings = TrainSettings(lr=rate, seed=seed, epochs=EPOCHS, batch_size=16, device="cpu", **self.given)
        record = train(data.manifest, data.task, data.root, MODEL, settings, folder)
        best = record.epochs[record.best_epoch - 1]
        return folder / WEIGHTS, (best.val_accuracy, -best.val_loss)

    def runs(self, name: str) -> MethodRuns:
        return MethodRuns(name, SEEDS, tuple(decided(self.data, self.network(self.rate, seed)[0]) for seed in SEEDS))


def decided(data: Digits, weights: Path) -> Decisions:
    """What a kept network says of the test rows."""
    model = load_model(MODEL, weights, len(data.task.labels))
    rows = data.manifest.rows("test")
    images = [model.transform.prepare(decode(data.root / data.manifest.images[row])) for row in rows]
    with torch.inference_mode():
        logits = model.module(model.transform.normalise(torch.stack(images))).double()
    predicted = logits.argmax(dim=1).numpy().astype(np.int32)
    return Decisions(data.task, data.manifest.label.codes[rows], predicted, logits.softmax(dim=1).numpy(), None, ())


def measured(folder: Path) -> tuple[MethodChange, Way, Way]:
    """The change of overall accuracy on test, from scratch to fine-tuned."""
    pretrained = digits(folder / "known", range(5), 700, 150, shots=2)
    start = train(
        pretrained.manifest,
        pretrained.task,
        pretrained.root,
        MODEL.model_copy(update={"dropout": 0.3}),
        TrainSettings(epochs=12, batch_size=32, lr=0.005, augment=AUGMENT, device="cpu"),
        folder / "start",
    )
    data = digits(folder / "new", range(5, 10), TRAIN, VAL)
    scratch = Way(data, folder / "scratch", None)
    tuned = Way(data, folder / "tuned", folder / "start" / start.weights)
    primary = Primary("accuracy", None, (), "overall", ())
    spec = ComparisonSpec(primary, ("accuracy",), IntervalSpec(), 10)
    compared = compare_methods(scratch.runs("from scratch"), [tuned.runs("fine-tuned")], spec)
    (change,) = (one for one in compared.changes if one.verdict is not None)
    return change, scratch, tuned


@pytest.mark.slow
def test_fine_tuning_beats_training_from_scratch_on_few_images(tmp_path: Path) -> None:
    change, scratch, tuned = measured(tmp_path)
    low, high = change.interval.low, change.interval.high
    print(f"\naccuracy {change.before:.4f} to {change.after:.4f}: {change.value:+.4f} [{low:+.4f}, {high:+.4f}]")
    print(f"learning rates chosen on val: {scratch.rate} and {tuned.rate}")
    assert change.verdict == "helps"
    assert low > 0
