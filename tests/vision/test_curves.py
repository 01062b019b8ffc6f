"""Accuracy of every level after every epoch, and who watches a training."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from imgid_audit.core.errors import StoppedError
from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.vision.images import decode
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.meters import Meters
from imgid_audit.vision.records import EpochRecord, TrainingRecord, read_record
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.slices import Slices, curves_of
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import Mix, Treatment
from imgid_audit.vision.weights import load_model

MODEL = ModelSettings(input=InputSettings(size=16))


def run(world: object, folder: Path, **options: Any) -> TrainingRecord:
    calls = {name: options.pop(name) for name in ("treatment", "stop", "watch", "resample", "plan") if name in options}
    settings = TrainSettings(**{"epochs": 3, "batch_size": 16, "lr": 0.01, "device": "cpu", **options})
    return train(world.manifest, world.task, world.root, MODEL, settings, folder, **calls)


def with_site(manifest: Manifest) -> Manifest:
    """A second attribute, one of whose levels has no row outside of test."""
    codes = (np.arange(len(manifest)) // 4 % 2).astype(np.int32)
    codes[manifest.rows("test")[:3]] = 2
    return dataclasses.replace(
        manifest, attributes=(*manifest.attributes, Factor("site", ("north", "south", "west"), codes))
    )


def logits_on(made: object, folder: Path, record: TrainingRecord, rows: np.ndarray) -> np.ndarray:
    model = load_model(MODEL, folder / record.weights, 3)
    images = [model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows]
    with torch.inference_mode():
        return model.module(model.transform.normalise(torch.stack(images))).double().numpy()


def test_slices_of_val_are_those_of_the_kept_network(world: Callable, tmp_path: Path) -> None:
    made = world(160)
    made.manifest = with_site(made.manifest)
    record = run(made, tmp_path / "m")
    assert record.slices == (
        *(("device", "clean"), ("device", "noisy")),
        *(("site", "north"), ("site", "south"), ("site", "west")),
    )
    manifest, epoch = made.manifest, record.epochs[record.best_epoch - 1]
    rows = manifest.rows("val")
    right = logits_on(made, tmp_path / "m", record, rows).argmax(axis=1) == manifest.label.codes[rows]
    train_rows = manifest.rows("train")
    for place, (name, level) in enumerate(record.slices):
        factor = manifest.attribute(name)
        chosen = factor.texts()[rows] == level
        expected = right[chosen].mean() if chosen.any() else None
        assert epoch.val_slices[place] == (None if expected is None else pytest.approx(expected))
        assert record.slice_rows[place] == (int((factor.texts()[train_rows] == level).sum()), int(chosen.sum()))
    assert epoch.train_slices[4] is epoch.val_slices[4] is None
    for one in record.epochs:  # slices of one attribute make up the whole
        for accuracies, total, split in (
            (one.train_slices, one.train_accuracy, 0),
            (one.val_slices, one.val_accuracy, 1),
        ):
            counts = [rows[split] for rows in record.slice_rows[:2]]
            assert np.dot(accuracies[:2], counts) / sum(counts) == pytest.approx(total)
    assert read_record(tmp_path / "m") == record


def test_curves_are_the_records(world: Callable, tmp_path: Path) -> None:
    made = world(64)
    record = run(made, tmp_path / "m")
    curves = curves_of(record)
    assert curves.slices[0].slice == TOTAL
    assert [one.slice for one in curves.slices[1:]] == [
        Slice(("device",), ("clean",)),
        Slice(("device",), ("noisy",)),
    ]
    assert curves.slices[0].val == tuple(epoch.val_accuracy for epoch in record.epochs)
    assert curves.slices[2].train == tuple(epoch.train_slices[1] for epoch in record.epochs)
    assert (curves.slices[0].train_rows, curves.slices[0].val_rows) == (32, 16)
    assert sum(one.train_rows for one in curves.slices[1:]) == 32
    assert curves.train_loss == tuple(epoch.train_loss for epoch in record.epochs)
    assert (curves.best_epoch, curves.ended) == (record.best_epoch, "all epochs")
    old = dataclasses.replace(
        record,
        slices=(),
        slice_rows=(),
        epochs=tuple(dataclasses.replace(one, train_slices=(), val_slices=()) for one in record.epochs),
    )
    assert [one.slice for one in curves_of(old).slices] == [TOTAL]


def test_without_val_rows_or_attributes(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    status = made.manifest.status.copy()
    status[made.manifest.rows("val")] = Status.EXCLUDED
    made.manifest = dataclasses.replace(made.manifest, status=status)
    watched: list[tuple[EpochRecord, np.ndarray, np.ndarray]] = []
    record = run(made, tmp_path / "m", epochs=1, watch=lambda *told: watched.append(told))
    assert record.epochs[0].val_slices == (None, None)
    assert curves_of(record).slices[1].val == (None,)
    assert (watched[0][1].shape, watched[0][2].shape) == ((0,), (0, 3))
    made.manifest = dataclasses.replace(made.manifest, attributes=())
    bare = run(made, tmp_path / "n", epochs=1)
    assert bare.slices == bare.slice_rows == bare.epochs[0].train_slices == ()
    assert bare.sha256 == record.sha256


def test_what_is_drawn_twice_counts_twice_and_what_does_not_decode_never(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, tallies = world(64), []
    device = made.manifest.attribute("device").texts()
    rows = made.manifest.rows("train")
    noisy = np.flatnonzero(device[rows] == "noisy")
    (made.root / made.manifest.images[rows[noisy[0]]]).write_bytes(b"rubbish")
    train_epoch = Loop.train_epoch

    def spy(*told: object) -> Meters:
        meters = train_epoch(*told)
        tallies.append(meters.slices.counts.copy())
        return meters

    monkeypatch.setattr(Loop, "train_epoch", spy)
    record = run(made, tmp_path / "m", epochs=1, resample=lambda labels, groups, seed: np.r_[noisy, noisy])
    assert tallies[0][0].tolist() == [0, 2 * (len(noisy) - 1)]
    assert record.epochs[0].train_slices[0] is None
    assert record.slice_rows[1][0] == len(noisy)  # rows of the manifest


def test_a_mixed_image_counts_for_the_slices_of_its_larger_part(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, shares, update = world(96), set(), Meters.update

    def spy(self: Meters, predicted: object, label: torch.Tensor, *rest: object, **named: object) -> None:
        update(self, predicted, label, *rest, **named)
        if "rows" in named:
            assert np.array_equal(label.numpy(), made.manifest.label.codes[named["rows"]])
            shares.add(True)

    monkeypatch.setattr(Meters, "update", spy)
    for kind in ("mixup", "cutmix"):
        run(made, tmp_path / kind, treatment=Treatment(mix=Mix(kind, 1.0)))
    assert shares


def test_counting_against_loops(world: Callable) -> None:
    manifest = with_site(world(80).manifest)
    rng = np.random.default_rng(1)
    tally = Slices(manifest).tally()
    seen: list[tuple[int, bool]] = []
    for _ in range(3):
        rows, right = rng.integers(0, 80, 40), rng.random(40) < 0.6
        tally.update(rows, right)
        seen += list(zip(rows.tolist(), right.tolist(), strict=True))
    expected = []
    for factor in manifest.attributes:
        for level in factor.levels:
            of = [good for row, good in seen if factor.levels[factor.codes[row]] == level]
            expected.append(sum(of) / len(of) if of else None)
    assert tally.accuracy == tuple(expected)


def test_a_watch_is_told_the_networks_answers_on_val(world: Callable, tmp_path: Path) -> None:
    made, told = world(96), []
    missing = made.manifest.rows("val")[2]
    (made.root / made.manifest.images[missing]).unlink()
    record = run(made, tmp_path / "m", watch=lambda *epoch: told.append(epoch))
    assert tuple(epoch for epoch, *_ in told) == record.epochs
    rows, scores = told[record.best_epoch - 1][1:]
    assert scores.dtype == np.float64
    assert sorted(rows) == sorted(set(made.manifest.rows("val")) - {missing})
    label = made.manifest.label.codes
    expected = log_softmax(logits_on(made, tmp_path / "m", record, rows), axis=1)
    np.testing.assert_allclose(np.log(scores), expected, rtol=1e-4, atol=1e-5)
    for epoch, rows, scores in told:
        assert np.mean(scores.argmax(axis=1) == label[rows]) == pytest.approx(epoch.val_accuracy)
        assert -np.log(scores[np.arange(len(rows)), label[rows]]).mean() == pytest.approx(epoch.val_loss, rel=1e-5)
    assert run(made, tmp_path / "unwatched").sha256 == record.sha256


def test_a_watch_may_end_a_training_and_hears_of_new_epochs_alone(world: Callable, tmp_path: Path) -> None:
    class EnoughError(Exception):
        pass

    made, told = world(96), []

    def watch(epoch: EpochRecord, rows: np.ndarray, scores: np.ndarray) -> None:
        told.append(epoch.epoch)
        if epoch.epoch == 2:
            raise EnoughError

    with pytest.raises(EnoughError):
        run(made, tmp_path / "m", watch=watch)
    assert read_record(tmp_path / "m") is None
    polls = iter(range(1000))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "n", stop=lambda: next(polls) >= 4)  # in the second epoch of three batches
    told.clear()
    run(made, tmp_path / "n", watch=lambda epoch, rows, scores: told.append(epoch.epoch))
    assert told == [2, 3]
