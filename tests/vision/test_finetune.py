"""Fine-tuning: which parts learn, how fast, from when on, and that an interruption changes no byte."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.vision.errors import DivergedError
from imgid_audit.vision.finetune import blocks_of
from imgid_audit.vision.images import decode
from imgid_audit.vision.loop import Loop
from imgid_audit.vision.models import build_model, head_of
from imgid_audit.vision.records import WEIGHTS, TrainingRecord
from imgid_audit.vision.reproducible import ORDER, derive
from imgid_audit.vision.settings import AverageSettings, FineTuneSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.starting import starting_model
from imgid_audit.vision.train import train
from imgid_audit.vision.treatment import LinearHead, LossBatch, PlainLoss, Treatment
from imgid_audit.vision.weights import load_model

MODEL = ModelSettings(input=InputSettings(size=16))
HEAD = ("13.weight", "13.bias")
BLOCKS = (("0.", "1."), ("4.", "5."), ("8.", "9."))
"""Prefixes of smallcnn's parameters, block by block from below."""


@pytest.fixture
def start(tmp_path: Path) -> str:
    """A file of smallcnn's weights for four classes: another last layer than the world's three need."""
    torch.manual_seed(3)
    model = build_model(MODEL, 4)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):  # statistics that are not those of fresh layers
            part.running_mean.uniform_(-0.1, 0.1)
            part.running_var.uniform_(0.5, 1.5)
    save_file(model.state_dict(), tmp_path / "start.safetensors")
    return str(tmp_path / "start.safetensors")


def run(world: object, folder: Path, init: str, fine_tune: dict[str, Any] | None, **options: Any) -> TrainingRecord:
    calls = {name: options.pop(name) for name in ("treatment", "stop") if name in options}
    model = options.pop("model", MODEL)
    given = {"epochs": 3, "batch_size": 16, "lr": 0.01, "init": init, "device": "cpu", **options}
    chosen = None if fine_tune is None else FineTuneSettings(**fine_tune)
    settings = TrainSettings(**given, fine_tune=chosen)
    return train(world.manifest, world.task, world.root, model, settings, folder, **calls)


def weights(folder: Path) -> Mapping[str, torch.Tensor]:
    return load_file(folder / WEIGHTS)


def built(architecture: str, classes: int = 5) -> nn.Module:
    with torch.device("meta"):  # names and shapes alone
        return build_model(ModelSettings(architecture=architecture), classes)


@pytest.mark.parametrize(
    ("architecture", "count", "some"),
    [
        ("smallcnn", 3, {0: "0.weight", 1: "5.bias", 2: "8.weight"}),
        ("resnet18", 9, {0: "bn1.weight", 1: "layer1.0.conv1.weight", 3: "layer2.0.downsample.0.weight"}),
        (
            "densenet121",
            8,
            {0: "features.norm0.weight", 7: "features.norm5.bias", 2: "features.transition1.conv.weight"},
        ),
        (
            "efficientnet_b0",
            18,
            {0: "features.0.1.weight", 1: "features.1.0.block.0.0.weight", 17: "features.8.0.weight"},
        ),
        ("convnext_tiny", 22, {0: "features.0.1.weight", 21: "classifier.0.weight"}),
        ("vit_b_16", 13, {0: "class_token", 1: "encoder.layers.encoder_layer_0.ln_1.weight", 12: "encoder.ln.bias"}),
        ("timm/vit_tiny_patch16_224", 13, {0: "pos_embed", 12: "norm.weight", 5: "blocks.4.mlp.fc1.weight"}),
        ("timm/resnet18", 9, {0: "bn1.weight", 8: "layer4.1.bn2.bias"}),
        ("timm/convnext_atto", 5, {0: "stem.0.weight", 4: "head.norm.weight"}),
    ],
)
def test_blocks_are_those_of_the_architecture(architecture: str, count: int, some: dict[int, str]) -> None:
    if architecture.startswith("timm/"):
        pytest.importorskip("timm")
    model = built(architecture)
    blocks = blocks_of(model, 5)
    assert len(blocks) == count
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    for place, name in some.items():
        assert name in {names[id(parameter)] for parameter in blocks[place]}
    head = {id(parameter) for parameter in head_of(model, 5)[1].parameters()}
    found = [id(parameter) for block in blocks for parameter in block]
    assert len(found) == len(set(found))
    assert set(found) | head == set(names)
    assert not set(found) & head


def test_blocks_of_a_wrapper_are_those_of_its_backbone() -> None:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale = nn.Parameter(torch.ones(1))
            self.backbone = built("resnet18", 64)
            self.top = nn.Linear(64, 5)

    model = Wrapped()
    blocks = blocks_of(model, 5)
    assert len(blocks) == 10  # nine of the ResNet, and what was its last layer
    assert blocks[0][0] is model.scale
    tied = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 5))
    tied[1].weight = tied[0].weight
    assert [len(block) for block in blocks_of(tied, 5)] == [3]
    assert blocks_of(nn.Sequential(nn.Flatten(), nn.Linear(4, 5)), 5) == []


def test_only_the_last_layer_learns_while_the_rest_is_frozen(world: Callable, tmp_path: Path, start: str) -> None:
    given = load_file(start)
    run(world(64), tmp_path / "m", start, {"frozen_epochs": 3})
    found = weights(tmp_path / "m")
    assert all(torch.equal(found[name], given[name]) for name in found if name not in HEAD)  # statistics too
    fresh = starting_model(MODEL, TrainSettings(init=start), 3).module.state_dict()
    assert not any(torch.equal(found[name], fresh[name]) for name in HEAD)
    run(world(64), tmp_path / "later", start, {"frozen_epochs": 2})
    later = weights(tmp_path / "later")
    assert not any(torch.equal(later[name], given[name]) for name in later if name not in HEAD and "num" not in name)


def test_a_frozen_phase_is_a_linear_classifier_on_embeddings(world: Callable, tmp_path: Path, start: str) -> None:
    """The oracle: a bare loop over a linear layer, on what the network as it was makes of the images."""
    made, epochs = world(64), 2
    model = starting_model(MODEL, TrainSettings(init=start), 3)
    rows = made.manifest.rows("train")
    images = torch.stack([model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows])
    with torch.no_grad():
        embedded = nn.Sequential(*list(model.module)[:-1])(model.transform.normalise(images))
    label = torch.from_numpy(made.manifest.label.codes[rows].astype(np.int64))
    head = nn.Linear(128, 3)
    head.load_state_dict(model.module[-1].state_dict())
    optimizer = torch.optim.AdamW(head.parameters(), lr=0.01, weight_decay=1e-4)
    for epoch in range(1, epochs + 1):
        order = np.random.default_rng(derive(0, ORDER, epoch)).permutation(len(rows))
        for first in range(0, len(rows), 16):
            batch = torch.from_numpy(order[first : first + 16])
            optimizer.zero_grad()
            nn.functional.cross_entropy(head(embedded[batch]), label[batch]).backward()
            optimizer.step()
    found = _last_epoch(made, tmp_path / "n", start, epochs)
    torch.testing.assert_close(found[HEAD[0]], head.weight.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found[HEAD[1]], head.bias.detach(), rtol=1e-4, atol=1e-5)


def _last_epoch(made: object, folder: Path, init: str, epochs: int) -> Mapping[str, torch.Tensor]:
    """Weights after the last epoch: without val rows it is the one that is kept."""
    status = made.manifest.status.copy()
    status[made.manifest.rows("val")] = 3
    made.manifest = dataclasses.replace(made.manifest, status=status)
    run(made, folder, init, {"frozen_epochs": 9}, epochs=epochs, schedule="constant")
    return weights(folder)


def test_one_rate_for_all_layers_changes_no_byte(world: Callable, tmp_path: Path, start: str) -> None:
    alike = {"frozen_epochs": 0, "backbone_lr": 1.0, "layer_decay": 1.0}
    for optimizer in ("adamw", "sgd"):
        run(world(64), tmp_path / "a", start, alike, optimizer=optimizer)
        run(world(64), tmp_path / "b", start, None, optimizer=optimizer)
        assert (tmp_path / "a" / WEIGHTS).read_bytes() == (tmp_path / "b" / WEIGHTS).read_bytes()


def test_one_step_moves_each_block_by_its_share(world: Callable, tmp_path: Path, start: str) -> None:
    """A first SGD step is the learning rate times something that does not depend on it."""
    options = {"optimizer": "sgd", "epochs": 1, "batch_size": 512, "weight_decay": 0.0}
    before = starting_model(MODEL, TrainSettings(init=start), 3).module.state_dict()
    moved = []
    for number, rates in enumerate(({"backbone_lr": 1.0}, {"backbone_lr": 0.5, "layer_decay": 0.25})):
        run(world(64), tmp_path / str(number), start, {"frozen_epochs": 0, **rates}, **options)
        found = weights(tmp_path / str(number))
        moved.append({name: (found[name] - before[name]).double() for name in found if "running" not in name})
    for name in HEAD:
        assert torch.equal(moved[0][name], moved[1][name])
    for depth, prefixes in enumerate(reversed(BLOCKS)):
        names = [name for name in moved[0] if name.startswith(prefixes) and "num" not in name]
        assert names
        for name in names:
            share = 0.5 * 0.25**depth
            torch.testing.assert_close(moved[1][name], share * moved[0][name], rtol=2e-2, atol=3e-7)


def test_rates_and_gradients_in_each_phase(
    world: Callable, tmp_path: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, list[float], bool, set[bool], float]] = []
    step = Loop._step

    def spy(self: Loop, batch: object, meters: object) -> float:
        loss = step(self, batch, meters)
        learns = {one.grad is not None for part in list(self.model)[:-1] for one in part.parameters()}
        rates = [group["lr"] for group in self.optimizer.param_groups]
        seen.append((self.turn[0], rates, self.model[1].training, learns, self.model[-1].training))
        return loss

    monkeypatch.setattr(Loop, "_step", spy)
    record = run(
        world(64), tmp_path / "m", start, {"frozen_epochs": 2, "backbone_lr": 0.2, "layer_decay": 0.5}, epochs=5
    )
    assert len(seen) == 5 * 2
    for number, (epoch, rates, norms_learn, learns, head_learns) in enumerate(seen):
        done = (number + 0.0) / 2
        part = done / 2 if epoch <= 2 else (done - 2) / 3
        lr = 0.005 * (1 + np.cos(np.pi * part))
        assert rates == pytest.approx([lr, 0.2 * lr, 0.1 * lr, 0.05 * lr])  # the last layer, then from the top down
        assert head_learns
        assert (norms_learn, learns) == ((False, {False}) if epoch <= 2 else (True, {True}))
    assert [one.lr for one in record.epochs] == pytest.approx([rates[0] for _, rates, *_ in seen[1::2]])


class Flipped(PlainLoss):
    """Its own last layer predicts."""

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        return nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")

    def finished(self, head: LinearHead) -> LinearHead:
        return LinearHead(-head.weight, -head.bias)


@pytest.mark.parametrize("after", [1, 4, 5, 6, 10])  # of 3 batches an epoch, the first two epochs frozen
@pytest.mark.parametrize(
    "extra",
    [
        {},
        {"average": AverageSettings(decay=0.9), "treatment": Treatment(loss=lambda _: Flipped())},
        {"average": AverageSettings(method="swa", start=0.3), "optimizer": "sgd"},
    ],
    ids=["plain", "ema and another last layer", "swa"],
)
def test_interrupted_in_either_phase_and_continued(
    world: Callable, tmp_path: Path, start: str, after: int, extra: dict[str, Any]
) -> None:
    made, chosen = world(96), {"frozen_epochs": 2, "layer_decay": 0.5}
    options = {"epochs": 4, "model": ModelSettings(input=InputSettings(size=16), dropout=0.2), **extra}
    whole = run(made, tmp_path / "whole", start, chosen, **options)
    polls = iter(range(1000))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "parts", start, chosen, stop=lambda: next(polls) >= after, **options)
    assert run(made, tmp_path / "parts", start, chosen, **options) == whole
    assert (tmp_path / "parts" / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()


class Poisoned(PlainLoss):
    """No number in the second epoch."""

    def __call__(self, batch: LossBatch) -> torch.Tensor:
        losses = nn.functional.cross_entropy(batch.logits, batch.labels, reduction="none")
        return losses * (float("nan") if batch.epoch == 2 else 1.0)


@pytest.mark.parametrize("frozen", [1, 3])
def test_a_loss_that_is_no_number_in_either_phase(world: Callable, tmp_path: Path, start: str, frozen: int) -> None:
    chosen = {"frozen_epochs": frozen}
    good = run(world(64), tmp_path / "good", start, {"frozen_epochs": 1}, epochs=1, schedule="constant")
    poisoned = Treatment(loss=lambda _: Poisoned())
    with pytest.raises(DivergedError, match="loss became nan in epoch 2, batch 1; the weights of epoch 1 are kept"):
        run(world(64), tmp_path / "m", start, chosen, schedule="constant", treatment=poisoned)
    assert load_model(MODEL, tmp_path / "m" / WEIGHTS, 3).sha256 == good.sha256


def test_networks_without_a_last_layer_are_refused(
    world: Callable, tmp_path: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Headless(nn.Sequential):
        def __init__(self, num_classes: int) -> None:
            super().__init__(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, num_classes + 1))

    from imgid_audit.vision import models

    monkeypatch.setattr(models, "_find", lambda name: Headless)
    torch.save(Headless(3).state_dict(), tmp_path / "headless.pt")
    with pytest.raises(InputError, match=r"\[model > architecture\] no linear layer with 3 outputs"):
        run(world(24), tmp_path / "m", str(tmp_path / "headless.pt"), {}, model=ModelSettings(architecture="any:thing"))
