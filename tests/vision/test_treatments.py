"""What a mitigation changes of the training of a whole network."""

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

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.last_layer import as_head, linear_layer
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.records import WEIGHTS, WEIGHTS_AVERAGE, TrainingRecord, read_record
from imgid_audit.vision.settings import AugmentSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.starting import starting_model
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import LinearHead, LossBatch, Material, Mix, PlainLoss, Treatment
from imgid_audit.vision.weights import load_model

MODEL = ModelSettings(input=InputSettings(size=16), dropout=0.2)
HEAD = ("13.weight", "13.bias")


def run(world: object, folder: Path, treatment: Treatment | None = None, **options: Any) -> TrainingRecord:
    calls = {name: options.pop(name) for name in ("plan", "keep_average", "stop", "resample") if name in options}
    if treatment is not None:
        calls["treatment"] = treatment
    model = options.pop("model", MODEL)
    given = TrainSettings(**{"epochs": 3, "batch_size": 16, "lr": 0.01, "groups": ("device",), **options})
    return train(world.manifest, world.task, world.root, model, given, folder, **calls)


def weights(folder: Path, file: str = WEIGHTS) -> Mapping[str, torch.Tensor]:
    return load_file(folder / file)


class Plain(PlainLoss):
    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")


class Remembers(Plain):
    """Weighs groups by what it has seen of them: an interrupted training must not forget."""

    def __init__(self, groups: int) -> None:
        self.seen = torch.ones(groups)

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        self.seen += torch.bincount(batch.groups.cpu(), minlength=len(self.seen))
        return super().__call__(batch) / self.seen[batch.groups.cpu()].to(batch.logits.device)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.seen = state["seen"]


class Flipped(Plain):
    def finished(self, head: LinearHead) -> LinearHead:
        return LinearHead(-head.weight, -head.bias)


def test_the_plain_loss_as_a_treatment_changes_no_byte(world: Callable, tmp_path: Path) -> None:
    made = world(80)
    one = run(made, tmp_path / "a")
    two = run(made, tmp_path / "b", Treatment(loss=lambda _: Plain()))
    assert one == two
    assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_a_loss_is_told_what_enters_and_leaves_the_last_layer(world: Callable, tmp_path: Path) -> None:
    made, told, batches = world(80), [], []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            rest = batch.logits - batch.features @ batch.weight.t()
            assert torch.allclose(rest, rest[:1].expand_as(rest), atol=1e-5)  # the bias alone: dropout is behind
            assert batch.features.requires_grad
            assert batch.weight.requires_grad
            batches.append((batch.epoch, batch.epochs, len(batch.labels), batch.groups.numpy().copy()))
            assert (batch.features == 0).float().mean() > 0.1
            return super().__call__(batch)

    def make(material: Material) -> Reader:
        told.append(material)
        return Reader()

    run(made, tmp_path / "m", Treatment(loss=make))
    rows = made.manifest.rows("train")
    assert np.array_equal(told[0].labels, made.manifest.label.codes[rows])
    assert np.array_equal(told[0].groups, made.manifest.attribute("device").codes[rows])
    assert (told[0].classes, told[0].groups_count) == (3, 2)
    assert [epoch for epoch, *_ in batches] == sorted(epoch for epoch, *_ in batches)
    assert {(epoch, epochs) for epoch, epochs, *_ in batches} == {(1, 3), (2, 3), (3, 3)}
    assert sum(size for *_, size, _ in batches) == 3 * 40
    seen = np.bincount(np.concatenate([groups for *_, groups in batches]))
    assert np.array_equal(seen, 3 * told[0].group_counts)


@pytest.mark.parametrize("after", [1, 5, 8])
def test_interrupted_and_continued_with_memory_and_mixtures(world: Callable, tmp_path: Path, after: int) -> None:
    made = world(96)
    for kind in ("mixup", "cutmix"):
        treatment = Treatment(loss=lambda material: Remembers(material.groups_count), mix=Mix(kind, 0.5))
        options = {"treatment": treatment, "plan": kind, "keep_average": True, "select": "worst_class"}
        whole = run(made, tmp_path / f"whole-{kind}", **options)
        polls = iter(range(1000))
        with pytest.raises(StoppedError):
            run(made, tmp_path / kind, stop=lambda polls=polls: next(polls) >= after, **options)
        assert run(made, tmp_path / kind, **options) == whole
        names = sorted(path.name for path in (tmp_path / kind).iterdir())
        assert names == ["training.json", WEIGHTS, WEIGHTS_AVERAGE]
        for file in (WEIGHTS, WEIGHTS_AVERAGE):
            assert (tmp_path / kind / file).read_bytes() == (tmp_path / f"whole-{kind}" / file).read_bytes()
    forgetful = run(made, tmp_path / "other", treatment=Treatment(loss=lambda _: Plain(), mix=Mix("cutmix", 0.5)))
    assert forgetful.sha256 != whole.sha256


def test_the_finished_layer_is_judged_and_kept_and_training_goes_on_with_the_other(
    world: Callable, tmp_path: Path
) -> None:
    made = world(96)
    one = run(made, tmp_path / "plain")
    two = run(made, tmp_path / "flipped", Treatment(loss=lambda _: Flipped()))
    assert [epoch.train_loss for epoch in one.epochs] == [epoch.train_loss for epoch in two.epochs]
    assert two.epochs[-1].val_accuracy < 0.2 < 0.9 < one.epochs[-1].val_accuracy
    assert two.best_epoch == 1


def test_the_finished_layer_of_the_last_epoch_is_what_the_file_holds(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    status = made.manifest.status.copy()
    status[made.manifest.rows("val")] = 3
    made.manifest = dataclasses.replace(made.manifest, status=status)
    run(made, tmp_path / "plain")
    run(made, tmp_path / "flipped", Treatment(loss=lambda _: Flipped()))
    one, two = weights(tmp_path / "plain"), weights(tmp_path / "flipped")
    assert set(HEAD) <= set(one)
    assert all(torch.equal(one[name], -two[name] if name in HEAD else two[name]) for name in one)


class NoBias(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, num_classes, bias=False))


class Convolved(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.Conv2d(3, num_classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class Headless(nn.Sequential):
    def __init__(self, num_classes: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, num_classes + 1))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(images)[:, 1:]


def test_networks_without_a_linear_last_layer(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their losses are told no features; one that replaces the layer that predicts is refused."""
    from imgid_audit.vision import models

    found = []

    class Reader(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            found.append((batch.features, batch.weight))
            return super().__call__(batch)

    made = world(24)
    for number, factory in enumerate((Convolved, Headless, NoBias)):
        monkeypatch.setattr(models, "_find", lambda name, factory=factory: factory)
        model = ModelSettings(architecture="any:thing", input=InputSettings(size=16))
        run(made, tmp_path / str(number), Treatment(loss=lambda _: Reader()), model=model, epochs=1)
        assert all((one is None) == (factory is not NoBias) for pair in found for one in pair)
        with pytest.raises(InputError, match=r"\[model > architecture\] (the last layer of|no linear layer)"):
            run(made, tmp_path / "no", Treatment(loss=lambda _: Flipped()), model=model)
        found.clear()


def test_augmentation_replaces_the_settings_own(world: Callable, tmp_path: Path) -> None:
    made, crops, flips = world(48), AugmentSettings(crop=0.5), AugmentSettings(hflip=0.5, rotation=30)
    options = {"epochs": 2}
    given = run(made, tmp_path / "a", augment=flips, **options)
    treated = run(made, tmp_path / "b", Treatment(augment=flips, views=4), augment=crops, **options)
    assert given.sha256 == treated.sha256
    assert run(made, tmp_path / "c", Treatment(augment=crops), **options).sha256 != given.sha256
    none = run(made, tmp_path / "d", Treatment(augment=AugmentSettings()), augment=crops, **options)
    assert none.sha256 == run(made, tmp_path / "e", **options).sha256


def test_rows_of_the_treatment_replace_the_resampling(world: Callable, tmp_path: Path) -> None:
    made = world(48)

    def never(labels: np.ndarray, groups: np.ndarray | None, seed: int) -> np.ndarray:
        raise AssertionError

    half = Treatment(rows=lambda labels, groups, seed: np.flatnonzero(labels == 0))
    record = run(made, tmp_path / "m", half, resample=never, epochs=2)
    labels = made.manifest.label.codes[made.manifest.rows("train")]
    assert record.images_seen == 2 * int((labels == 0).sum())


@pytest.mark.parametrize("kind", ["mixup", "cutmix"])
def test_mixtures_change_the_training_and_it_still_learns(world: Callable, tmp_path: Path, kind: str) -> None:
    made = world(240)
    record = run(made, tmp_path / "m", Treatment(mix=Mix(kind, 0.4)), epochs=6)
    assert record.epochs[record.best_epoch - 1].val_accuracy > 0.9
    assert record.epochs[-1].train_loss > run(made, tmp_path / "p", epochs=6).epochs[-1].train_loss


def test_mixed_pixels_are_between_their_images(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    logits = Loop._logits

    def spy(self: Loop, pixels: torch.Tensor) -> torch.Tensor:
        if self.model.training:
            seen.append(pixels.clone())
        return logits(self, pixels)

    monkeypatch.setattr(Loop, "_logits", spy)
    made = world(32)
    for kind in ("mixup", "cutmix"):
        run(made, tmp_path / kind, Treatment(mix=Mix(kind, 1.0)), epochs=1)
    run(made, tmp_path / "plain", epochs=1)
    mixed, cut, plain = seen
    assert mixed.dtype == torch.float32
    low, high = torch.minimum(plain, plain.roll(1, 0)), torch.maximum(plain, plain.roll(1, 0))
    assert ((mixed >= low - 1e-3) & (mixed <= high + 1e-3)).all()
    assert cut.dtype == torch.uint8
    assert ((cut == plain) | (cut == plain.roll(1, 0))).all()
    assert not torch.equal(cut, plain)


def test_the_best_by_average_is_kept_besides(world: Callable, tmp_path: Path) -> None:
    made = world(160)
    options = {"epochs": 6, "optimizer": "sgd", "lr": 0.3, "schedule": "constant", "select": "worst_group"}
    record = run(made, tmp_path / "m", keep_average=True, **options)
    chosen = max(record.epochs, key=lambda epoch: (epoch.val_accuracy, -epoch.val_loss, -epoch.epoch))
    assert record.average_epoch == chosen.epoch
    assert record.average_weights == WEIGHTS_AVERAGE
    assert record.average_sha256 == load_model(MODEL, tmp_path / "m" / WEIGHTS_AVERAGE, 3).sha256
    assert read_record(tmp_path / "m") == record
    plain = run(made, tmp_path / "p", **options)
    assert plain.sha256 == record.sha256
    assert (plain.average_epoch, plain.average_weights, plain.average_sha256) == (0, "", "")
    assert not (tmp_path / "p" / WEIGHTS_AVERAGE).exists()
    short = {**options, "epochs": chosen.epoch}
    assert run(made, tmp_path / "s", select="average", **{k: v for k, v in short.items() if k != "select"}).sha256 == (
        record.average_sha256
    )


def test_a_finished_training_of_the_same_plan_is_not_repeated(
    world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, folder, epochs = world(48), tmp_path / "m", []
    train_epoch = Loop.train_epoch
    monkeypatch.setattr(Loop, "train_epoch", lambda *all_: epochs.append(1) or train_epoch(*all_))
    options = {"epochs": 2, "keep_average": True}
    first = run(made, folder, plan="one", **options)
    assert run(made, folder, plan="one", **options) == first
    assert len(epochs) == 2
    (folder / WEIGHTS_AVERAGE).write_bytes(b"rubbish")
    assert run(made, folder, plan="one", **options) == first
    assert len(epochs) == 4
    other = run(made, folder, plan="two", **options)
    assert (other.sha256, len(epochs)) == (first.sha256, 6)
    assert other.fingerprint != first.fingerprint
    assert run(made, folder, **options).fingerprint == ""
    run(made, folder, **options)
    assert len(epochs) == 10


def test_a_checkpoint_of_another_plan_is_not_continued(world: Callable, tmp_path: Path) -> None:
    made = world(64)
    polls = iter(range(100))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "m", Treatment(mix=Mix("mixup", 1.0)), plan="mixup", stop=lambda: next(polls) >= 5)
    assert run(made, tmp_path / "m", plan="plain").sha256 == run(made, tmp_path / "p", plan="plain").sha256


def test_what_acts_on_embeddings_is_refused(world: Callable, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="new points among embeddings exist in scope head alone"):
        run(world(24), tmp_path / "m", Treatment(points=lambda rows, classes, seed: rows))


def test_a_method_may_set_its_own_weight_decay(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    given = run(made, tmp_path / "a", weight_decay=0.5)
    assert run(made, tmp_path / "b", Treatment(weight_decay=0.5)).sha256 == given.sha256
    assert run(made, tmp_path / "c").sha256 != given.sha256


def test_a_loss_that_is_no_number_is_named(world: Callable, tmp_path: Path) -> None:
    class Poisoned(Plain):
        def __call__(self, batch: LossBatch) -> torch.Tensor:
            return super().__call__(batch) * (float("nan") if batch.epoch == 2 else 1.0)

    class PoisonedEnd(Plain):
        def finished(self, head: LinearHead) -> LinearHead:
            return LinearHead(head.weight * np.nan, head.bias)

    with pytest.raises(DivergedError, match="loss became nan in epoch 2, batch 1; the weights of epoch 1 are kept"):
        run(world(48), tmp_path / "m", Treatment(loss=lambda _: Poisoned()))
    with pytest.raises(DivergedError, match="weights became NaN or infinite in epoch 1; no epoch was completed"):
        run(world(48), tmp_path / "n", Treatment(loss=lambda _: PoisonedEnd()))


def test_the_starting_model_is_the_file_and_a_seeded_head(world: Callable, tmp_path: Path) -> None:
    made = world(48)
    run(made, tmp_path / "m", epochs=1)
    init = str(tmp_path / "m" / WEIGHTS)
    one, two, other = (starting_model(MODEL, TrainSettings(init=init, seed=seed), 4) for seed in (0, 0, 1))
    state = weights(tmp_path / "m")
    for name, value in one.module.state_dict().items():
        assert name in HEAD or torch.equal(value, state[name])
    assert one.sha256 == two.sha256 != other.sha256
    assert not one.module.training
    assert one.labels is None
    same = starting_model(MODEL, TrainSettings(init=init), 3)
    head = as_head(linear_layer(same.module, 3))
    assert np.array_equal(head.weight.astype(np.float32), state["13.weight"].numpy())
    with pytest.raises(InputError):
        starting_model(MODEL, TrainSettings(init=str(tmp_path / "none.safetensors")), 3)
