"""Averages of weights: against the recursion and the mean in NumPy, and what is judged, kept and continued."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn
from torch.optim.swa_utils import update_bn

from imgid_audit.core.errors import StoppedError
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.vision.averaging import ema_decay, fresh_statistics, plain_epochs
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.images import decode
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.records import WEIGHTS, TrainingRecord
from imgid_audit.vision.reproducible import ORDER, derive
from imgid_audit.vision.settings import AugmentSettings, AverageSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import LinearHead, LossBatch, PlainLoss, Treatment
from imgid_audit.vision.weights import load_model

MODEL = ModelSettings(input=InputSettings(size=16))
EMA = {"method": "ema", "decay": 0.8}


def run(world: object, folder: Path, average: dict[str, Any] | None, **options: Any) -> TrainingRecord:
    calls = {name: options.pop(name) for name in ("treatment", "stop") if name in options}
    model = options.pop("model", MODEL)
    given = {"epochs": 3, "batch_size": 16, "lr": 0.01, "device": "cpu", **options}
    settings = TrainSettings(**given, average=None if average is None else AverageSettings(**average))
    return train(world.manifest, world.task, world.root, model, settings, folder, **calls)


def without_val(manifest: Manifest) -> Manifest:
    """Then the last epoch's weights are kept."""
    status = manifest.status.copy()
    status[manifest.rows("val")] = Status.EXCLUDED
    return dataclasses.replace(manifest, status=status)


def doubles(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.detach().double().numpy().copy() for name, value in model.state_dict().items()}


def close(found: Mapping[str, torch.Tensor], expected: Mapping[str, np.ndarray]) -> None:
    for name, value in expected.items():
        if "num_batches" not in name:
            np.testing.assert_allclose(found[name].double().numpy(), value, rtol=2e-5, atol=2e-6, err_msg=name)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, np.ndarray]]:
    """The trained network's weights and statistics after every step of the optimiser."""
    kept: list[dict[str, np.ndarray]] = []
    step = Loop._step

    def spy(self: Loop, batch: object, meters: object) -> float:
        loss = step(self, batch, meters)
        kept.append(doubles(self.model))
        return loss

    monkeypatch.setattr(Loop, "_step", spy)
    return kept


@pytest.mark.parametrize("decay", [0.5, 0.9999])
def test_ema_is_the_recursion(world: Callable, tmp_path: Path, every_step: list, decay: float) -> None:
    made = world(96)
    made.manifest = without_val(made.manifest)
    run(made, tmp_path / "m", {"decay": decay})
    assert len(every_step) == 9
    average = every_step[0]
    for averaged, now in enumerate(every_step[1:], start=1):
        keep = min(decay, (1 + averaged) / (10 + averaged))
        average = {name: keep * average[name] + (1 - keep) * now[name] for name in now}
    found = load_file(tmp_path / "m" / WEIGHTS)
    close(found, average)
    assert not np.allclose(found["13.weight"].numpy(), every_step[-1]["13.weight"], atol=1e-4)


def test_the_warm_up_ends_where_the_decay_is_reached() -> None:
    assert [ema_decay(0.999, count) for count in (1, 2, 8)] == [2 / 11, 3 / 12, 0.5]
    assert ema_decay(0.5, 9) == 0.5
    assert ema_decay(0.999, 10**6) == 0.999


def test_averaging_does_not_change_the_training(world: Callable, tmp_path: Path) -> None:
    plain = run(world(96), tmp_path / "plain", None, schedule="constant", model=ModelSettings(dropout=0.3))
    for number, average in enumerate((EMA, {"method": "swa", "start": 0.4})):
        record = run(world(96), tmp_path / str(number), average, schedule="constant", model=ModelSettings(dropout=0.3))
        for one, other in zip(plain.epochs, record.epochs, strict=True):
            assert (one.train_loss, one.train_accuracy, one.lr) == (other.train_loss, other.train_accuracy, other.lr)
        assert plain.epochs[-1].val_loss != record.epochs[-1].val_loss
        if number:  # the first epoch comes before the average
            assert plain.epochs[0] == record.epochs[0]


@pytest.mark.parametrize(
    ("start", "epochs", "plain"), [(0.75, 10, 7), (0.5, 4, 2), (0.0, 3, 0), (0.29, 100, 29), (0.999, 3, 2), (0.9, 1, 0)]
)
def test_where_swa_begins(start: float, epochs: int, plain: int) -> None:
    assert plain_epochs(TrainSettings(epochs=epochs, average=AverageSettings(method="swa", start=start))) == plain
    assert plain_epochs(TrainSettings(epochs=epochs, average=AverageSettings(start=start))) == epochs


def test_swa_is_the_mean_of_epochs_with_statistics_of_its_own(
    world: Callable, tmp_path: Path, every_step: list
) -> None:
    """The mean in NumPy; the statistics by torch's own `update_bn` over the last epoch's batches."""
    made = world(96)
    made.manifest = without_val(made.manifest)
    record = run(made, tmp_path / "m", {"method": "swa", "start": 0.5}, epochs=4)
    ends = every_step[2::3]
    assert len(ends) == 4
    mean = {name: (ends[2][name] + ends[3][name]) / 2 for name in ends[0]}
    found = load_file(tmp_path / "m" / WEIGHTS)
    close(found, {name: value for name, value in mean.items() if "running" not in name})
    model = load_model(MODEL, tmp_path / "m" / WEIGHTS, 3)
    rows = made.manifest.rows("train")
    order = np.random.default_rng(derive(0, ORDER, 4)).permutation(len(rows))
    images = [model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows[order]]
    batches = torch.stack(images).split(16)
    update_bn([model.transform.normalise(batch) for batch in batches], model.module)
    close(found, {name: value for name, value in doubles(model.module).items() if "running" in name})
    assert not np.allclose(found["1.running_mean"].numpy(), mean["1.running_mean"], rtol=1e-3)
    rates = [epoch.lr for epoch in record.epochs]
    assert rates[2] == rates[3] == pytest.approx(0.005)  # half of the cosine, held
    assert rates[0] > rates[1] > rates[2]


def test_swa_with_random_augmentation_repeats_itself(world: Callable, tmp_path: Path) -> None:
    made, digests = world(48), set()
    for number, augment in enumerate((AugmentSettings(crop=0.3), AugmentSettings(crop=0.3))):
        record = run(made, tmp_path / str(number), {"method": "swa", "start": 0.0}, augment=augment)
        digests.add(record.sha256)
    assert len(digests) == 1  # the same bytes, with random parts
    found = load_file(tmp_path / "0" / WEIGHTS)
    assert all(bool(torch.isfinite(value).all()) for value in found.values())


def test_statistics_are_left_alone_where_there_is_no_batch_norm() -> None:
    model = nn.Sequential(nn.Dropout(0.5), nn.Linear(2, 2)).train()
    with fresh_statistics(model) as needed:
        assert not needed
        assert not model[0].training
    normed = nn.Sequential(nn.BatchNorm1d(2, momentum=0.3), nn.Dropout(0.5))
    with fresh_statistics(normed) as needed:
        assert needed
        assert (normed[0].training, normed[1].training) == (True, False)
        normed(torch.tensor([[0.0, 2.0], [2.0, 4.0]]))
        normed(torch.tensor([[4.0, 4.0], [4.0, 4.0]]))
    assert normed[0].running_mean.tolist() == [2.5, 3.5]
    assert (normed[0].momentum, normed[0].training) == (0.3, False)


@pytest.mark.parametrize("average", [EMA, {"method": "swa", "start": 0.5}], ids=["ema", "swa"])
def test_what_is_kept_is_what_was_judged(world: Callable, tmp_path: Path, average: dict[str, Any]) -> None:
    made = world(160)
    record = run(made, tmp_path / "m", average, epochs=4, lr=0.003)
    best = record.epochs[record.best_epoch - 1]
    assert best.criterion == max(epoch.criterion for epoch in record.epochs)
    model = load_model(MODEL, tmp_path / "m" / record.weights, 3)
    rows = made.manifest.rows("val")
    images = [model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows]
    with torch.inference_mode():
        logits = model.module(model.transform.normalise(torch.stack(images)))
    label = torch.from_numpy(made.manifest.label.codes[rows].astype(np.int64))
    assert float((logits.argmax(dim=1) == label).float().mean()) == pytest.approx(best.val_accuracy)
    assert float(nn.functional.cross_entropy(logits, label)) == pytest.approx(best.val_loss, rel=1e-5)


class Flipped(PlainLoss):
    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")

    def finished(self, head: LinearHead) -> LinearHead:
        return LinearHead(-head.weight, -head.bias)


def test_a_loss_that_puts_another_last_layer_in_does_so_in_the_average(world: Callable, tmp_path: Path) -> None:
    made = world(96)
    made.manifest = without_val(made.manifest)
    run(made, tmp_path / "plain", EMA)
    run(made, tmp_path / "flipped", EMA, treatment=Treatment(loss=lambda _: Flipped()))
    one, two = load_file(tmp_path / "plain" / WEIGHTS), load_file(tmp_path / "flipped" / WEIGHTS)
    for name in one:
        assert torch.equal(one[name], -two[name] if name.startswith("13.") else two[name])


@pytest.mark.parametrize("after", [1, 5, 8, 11])  # of 3 batches an epoch
@pytest.mark.parametrize("average", [EMA, {"method": "swa", "start": 0.3}], ids=["ema", "swa"])
def test_interrupted_and_continued(world: Callable, tmp_path: Path, average: dict[str, Any], after: int) -> None:
    made = world(96)
    options = {"epochs": 4, "augment": AugmentSettings(hflip=0.5, crop=0.7), "model": ModelSettings(dropout=0.2)}
    whole = run(made, tmp_path / "whole", average, **options)
    polls = iter(range(1000))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "parts", average, stop=lambda: next(polls) >= after, **options)
    assert run(made, tmp_path / "parts", average, **options) == whole
    assert (tmp_path / "parts" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


@pytest.mark.parametrize("average", [EMA, {"method": "swa", "start": 0.0}], ids=["ema", "swa"])
def test_a_loss_that_is_no_number_keeps_the_last_good_average(
    world: Callable, tmp_path: Path, average: dict[str, Any]
) -> None:
    good = run(world(64), tmp_path / "good", average, epochs=1, schedule="constant")
    with pytest.raises(DivergedError, match="loss became nan in epoch 2, batch 1; the weights of epoch 1 are kept"):
        run(world(64), tmp_path / "m", average, schedule="constant", treatment=Treatment(loss=lambda _: Poisoned()))
    assert load_model(MODEL, tmp_path / "m" / WEIGHTS, 3).sha256 == good.sha256


class Poisoned(PlainLoss):
    """No number in the second epoch."""

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        losses = nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")
        return losses * (float("nan") if batch.epoch == 2 else 1.0)
