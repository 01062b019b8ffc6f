"""Training: learns what is planted, repeats itself byte for byte, stops honestly."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.vision import checkpoint, loop
from imgid_audit.vision.criterion import criterion_of, group_codes
from imgid_audit.vision.loop import DivergedError, Loop
from imgid_audit.vision.meters import Meters
from imgid_audit.vision.records import read_record
from imgid_audit.vision.settings import AugmentSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model

MODEL = ModelSettings(input=InputSettings(size=16), dropout=0.1)
AUGMENT = AugmentSettings(hflip=0.5, rotation=10, crop=0.8, colour=0.2, randaugment=1)


def settings(**changes: object) -> TrainSettings:
    return TrainSettings(**{"epochs": 3, "batch_size": 16, "lr": 0.01, **changes})


def run(world: object, folder: Path, model: ModelSettings = MODEL, **options: object):
    calls = {name: options.pop(name) for name in ("resample", "progress", "stop") if name in options}
    given = settings(**options)
    return train(world.manifest, world.task, world.root, model, given, folder, **calls)


@pytest.mark.parametrize("optimizer", ["adamw", "adam", "sgd"])
def test_learns_what_is_planted(world: Callable, tmp_path: Path, optimizer: str) -> None:
    made = world(240)
    record = run(made, tmp_path / "model", optimizer=optimizer, select="worst_class")
    assert record.epochs[-1].val_accuracy > 0.95
    assert record.epochs[-1].train_loss < record.epochs[0].train_loss
    assert record.images_seen == 3 * 120
    assert record.sha256 == load_model(MODEL, tmp_path / "model" / record.weights, 3).sha256


def test_labels_without_signal_are_not_learnt(world: Callable, tmp_path: Path) -> None:
    """The same images with shuffled labels: validation stays near chance, so nothing leaks."""
    made = world(400)
    label = made.manifest.label
    shuffled = dataclasses.replace(label, codes=np.random.default_rng(0).permutation(label.codes))
    made.manifest = dataclasses.replace(made.manifest, label=shuffled)
    assert run(made, tmp_path / "model").epochs[-1].val_accuracy < 0.55


def test_same_seed_same_bytes_another_seed_others(world: Callable, tmp_path: Path) -> None:
    made = world(80)
    options = {"augment": AUGMENT, "epochs": 2}
    digests = [
        run(made, tmp_path / str(number), seed=seed, workers=workers, **options).sha256
        for number, (seed, workers) in enumerate([(0, 0), (0, 3), (1, 0)])
    ]
    assert digests[0] == digests[1] != digests[2]
    first, second = ((tmp_path / name / "weights.safetensors").read_bytes() for name in "01")
    assert first == second


def test_the_callers_generators_are_left_alone(world: Callable, tmp_path: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    run(world(24), tmp_path / "model", epochs=1)
    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize("after", [1, 5, 11])  # of 12 batches in 4 epochs
def test_interrupted_and_continued_ends_with_the_same_bytes(world: Callable, tmp_path: Path, after: int) -> None:
    made = world(96)
    options = {"augment": AUGMENT, "epochs": 4, "select": "worst_group", "groups": ("device",)}
    whole = run(made, tmp_path / "whole", **options)
    polls = iter(range(1000))
    with pytest.raises(StoppedError, match="training stopped in epoch"):
        run(made, tmp_path / "parts", stop=lambda: next(polls) >= after, **options)
    assert read_record(tmp_path / "parts") is None
    assert run(made, tmp_path / "parts", **options) == whole
    assert sorted(path.name for path in (tmp_path / "parts").iterdir()) == ["training.json", "weights.safetensors"]


def test_a_checkpoint_of_other_settings_or_damaged_is_not_continued(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    folder = tmp_path / "model"
    polls = iter(range(1000))
    with pytest.raises(StoppedError):
        run(made, folder, stop=lambda: next(polls) > 4)
    whole = run(made, tmp_path / "whole", lr=0.003)
    assert run(made, folder, lr=0.003) == whole
    (folder / checkpoint.FILE).write_bytes(b"rubbish")
    assert run(made, folder, lr=0.003) == whole


def test_record_on_disk_is_the_record(world: Callable, tmp_path: Path) -> None:
    record = run(world(48), tmp_path / "model", epochs=2)
    assert read_record(tmp_path / "model") == record
    assert json.loads((tmp_path / "model" / "training.json").read_text())["best_epoch"] == record.best_epoch


def test_best_epoch_is_the_one_kept(world: Callable, tmp_path: Path) -> None:
    """A learning rate that wrecks what was learnt: the file holds the best epoch's weights, not the last's."""
    made = world(160)
    record = run(made, tmp_path / "model", epochs=6, optimizer="sgd", lr=0.3, schedule="constant")
    best = record.epochs[record.best_epoch - 1]
    assert best.criterion == max(epoch.criterion for epoch in record.epochs)
    model = load_model(MODEL, tmp_path / "model" / record.weights, 3)
    rows = made.manifest.rows("val")
    from imgid_audit.vision.images import decode

    images = [model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows]
    with torch.inference_mode():
        predicted = model.module(model.transform.normalise(torch.stack(images))).argmax(dim=1).numpy()
    assert (predicted == made.manifest.label.codes[rows]).mean() == pytest.approx(best.val_accuracy, abs=1e-6)


def test_patience_stops_early(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Loop, "_step", lambda self, batch, meters: _count(batch, meters))  # nothing is learnt
    record = run(world(48), tmp_path / "model", epochs=9, patience=2)
    assert (record.ended, len(record.epochs), record.best_epoch) == ("patience", 3, 1)


def _count(batch: object, meters: Meters) -> float:
    zeros = torch.zeros(len(batch.rows), dtype=torch.int64)
    meters.update(zeros, zeros, loss=zeros.float() + 1)
    return 1.0


def test_divergence_is_named_and_the_last_good_checkpoint_kept(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder = world(64), tmp_path / "model"
    step, calls = Loop._step, iter(range(100))
    monkeypatch.setattr(
        Loop, "_step", lambda self, batch, meters: step(self, batch, meters) if next(calls) < 3 else float("nan")
    )
    with pytest.raises(
        DivergedError, match=r"loss became nan in epoch 2, batch 2; the weights of epoch 1 are kept"
    ) as e:
        run(made, folder)
    assert "train.lr smaller (it is 0.01)" in str(e.value)
    assert load_model(MODEL, folder / "weights.safetensors", 3).labels == made.task.labels
    assert read_record(folder) is None


def test_a_truly_diverging_training(world: Callable, tmp_path: Path) -> None:
    with pytest.raises(DivergedError, match="no epoch was completed"):
        run(world(64), tmp_path / "model", optimizer="sgd", lr=1e30, schedule="constant")
    assert not (tmp_path / "model" / "weights.safetensors").exists()


def test_a_validation_loss_that_is_no_number(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = Loop._logits
    monkeypatch.setattr(
        Loop, "_logits", lambda self, pixels: logits(self, pixels) * (1 if self.model.training else float("inf"))
    )
    with pytest.raises(DivergedError, match="validation loss became nan in epoch 1"):
        run(world(48), tmp_path / "model")


def test_images_that_do_not_decode_are_left_out_and_listed(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    train_row, val_row = made.manifest.rows("train")[3], made.manifest.rows("val")[1]
    (made.root / made.manifest.images[train_row]).write_bytes(b"rubbish")
    (made.root / made.manifest.images[val_row]).unlink()
    record = run(made, tmp_path / "model", epochs=2)
    assert record.undecodable == (
        (made.manifest.ids[train_row], "not an image of a known format"),
        (made.manifest.ids[val_row], "file not found"),
    )
    assert record.images_seen == 2 * 23
    for path in made.root.iterdir():
        path.write_bytes(b"")
    with pytest.raises(InputError, match="no training image could be used: empty file"):
        run(made, tmp_path / "none")


def test_without_val_the_last_epoch_is_kept_and_it_is_said(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    made.manifest = without(made.manifest, "val")
    record = run(made, tmp_path / "model")
    assert record.best_epoch == 3
    assert record.epochs[0].criterion is record.epochs[0].val_loss is None
    assert "no val rows, the last epoch is kept" in record.criterion
    with pytest.raises(InputError) as caught:
        run(made, tmp_path / "other", select="worst_class", patience=2)
    assert [str(problem) for problem in caught.value.problems] == [
        "[train] select: worst_class needs a val split, which has no rows: set data.split.val",
        "[train] patience needs a val split, which has no rows: set data.split.val",
    ]


def without(manifest: Manifest, split: str) -> Manifest:
    status = manifest.status.copy()
    status[manifest.rows(split)] = Status.EXCLUDED
    return dataclasses.replace(manifest, status=status)


def test_what_cannot_be_trained_is_told_at_once(world: Callable, tmp_path: Path) -> None:
    made = world(24)
    status = made.manifest.status.copy()
    status[made.manifest.label.codes == 1] = Status.EXCLUDED
    made.manifest = dataclasses.replace(made.manifest, status=status)
    with pytest.raises(InputError) as caught:
        run(made, tmp_path / "model", select="worst_group")
    text = str(caught.value)
    assert "[train > groups] select: worst_group needs the attributes" in text
    assert "class 'green' has no rows in the train split" in text
    with pytest.raises(InputError, match="'site' is not among attributes"):
        run(made, tmp_path / "model", groups=("site",))
    made.manifest = without(made.manifest, "train")
    with pytest.raises(InputError, match="the train split has no rows"):
        run(made, tmp_path / "model")


def test_worst_group_criterion_and_undefined_groups(world: Callable, tmp_path: Path) -> None:
    made = world(60)
    device = made.manifest.attribute("device")
    rows = made.manifest.rows("val")
    codes = device.codes.copy()
    codes[rows] = 0  # no validation row of "noisy"
    made.manifest = dataclasses.replace(made.manifest, attributes=(dataclasses.replace(device, codes=codes),))
    record = run(made, tmp_path / "model", epochs=1, select="worst_group", groups=("device",))
    assert record.undefined == ("device = noisy",)
    assert record.epochs[0].worst == "device = clean"
    assert record.epochs[0].criterion == pytest.approx(record.epochs[0].val_accuracy)


def test_criteria_against_counting() -> None:
    rng = np.random.default_rng(0)
    label, predicted, group = rng.integers(0, 3, 90), rng.integers(0, 3, 90), rng.integers(0, 2, 90)
    meters = Meters(3, 2)
    meters.update(*(torch.from_numpy(column) for column in (predicted, label, group)))
    right = label == predicted
    by_class = [right[label == c].mean() for c in range(3)]
    by_group = [right[group == g].mean() for g in range(2)]
    for select, expected, of in (
        ("average", right.mean(), ""),
        ("worst_class", min(by_class), "abc"[int(np.argmin(by_class))]),
        ("worst_group", min(by_group), "xy"[int(np.argmin(by_group))]),
    ):
        value, worst, undefined = criterion_of(settings(select=select, groups=("g",)), meters, "abc", "xy")
        assert (value, worst, undefined) == (pytest.approx(expected), of, ())


def test_groups_are_the_combinations_that_occur(world: Callable) -> None:
    made = world(40)
    codes, names = group_codes(made.manifest, ("device",))
    assert names == ("device = clean", "device = noisy")
    assert np.array_equal(codes, made.manifest.attribute("device").codes)
    assert group_codes(made.manifest, ()) is None


def test_resampling_decides_which_rows_are_seen(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    asked = []

    def resample(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
        asked.append((labels.copy(), None if groups is None else groups.copy(), seed))
        return np.flatnonzero(labels == 0).repeat(2)

    record = run(made, tmp_path / "model", epochs=2, resample=resample, groups=("device",))
    rows = made.manifest.rows("train")
    assert record.images_seen == 2 * 2 * int((made.manifest.label.codes[rows] == 0).sum())
    assert np.array_equal(asked[0][0], made.manifest.label.codes[rows])
    assert np.array_equal(asked[0][1], made.manifest.attribute("device").codes[rows])
    assert asked[0][2] != asked[1][2]


def test_init_from_a_file_with_other_classes(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    run(made, tmp_path / "first")
    start = str(tmp_path / "first" / "weights.safetensors")
    plain = ModelSettings()  # the input comes from the file
    record = train(made.manifest, made.task, made.root, plain, settings(epochs=1, init=start), tmp_path / "second")
    again = load_model(plain, tmp_path / "second" / record.weights, 3)
    assert again.transform.size == 16
    cold = run(made, tmp_path / "cold", epochs=1)
    assert record.epochs[0].train_loss < cold.epochs[0].train_loss


def test_out_of_memory_says_what_to_make_smaller(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Loop, batch: object, meters: Meters) -> float:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(Loop, "_step", full)
    with pytest.raises(StoppedError, match=r"out of memory with train\.batch_size 16"):
        run(world(24), tmp_path / "model")


def test_progress_tells_losses_and_criterion(world: Callable, tmp_path: Path) -> None:
    texts: list[tuple[int, int, str]] = []

    class Listener:
        def step(self, name: str) -> None:
            raise AssertionError("steps belong to the pipeline")

        def update(self, done: int, total: int, text: str = "") -> None:
            texts.append((done, total, text))

    run(world(48), tmp_path / "model", epochs=2, progress=Listener())
    done = [entry[0] for entry in texts]
    assert done == sorted(done)
    assert texts[-1][:2] == (48, 48)
    assert "epoch 2/2, loss " in texts[-1][2]
    assert ", val average " in texts[-1][2]


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
def test_schedule(world: Callable, tmp_path: Path, schedule: str) -> None:
    record = run(world(64), tmp_path / "model", epochs=3, schedule=schedule)
    rates = [epoch.lr for epoch in record.epochs]
    if schedule == "constant":
        assert rates == [0.01] * 3
    else:
        assert 0.01 > rates[0] > rates[1] > rates[2] > 0
        assert rates[-1] == pytest.approx(0.005 * (1 + np.cos(np.pi * 5 / 6)))  # the last of 6 steps


def test_a_last_batch_of_one_joins_the_one_before(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes = []
    step = loop.Loop._step

    def spy(self: Loop, batch: object, meters: Meters) -> float:
        sizes.append(len(batch.rows))
        return step(self, batch, meters)

    monkeypatch.setattr(Loop, "_step", spy)
    made = world(33)
    assert len(made.manifest.rows("train")) == 17
    run(made, tmp_path / "model", epochs=1)
    assert sizes == [17]
