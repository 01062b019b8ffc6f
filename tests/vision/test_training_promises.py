"""Promises of training that are easily broken by two settings together: patience, averages, starting points, memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision.finetune import Phases
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import AverageSettings, FineTuneSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.starting import initial_model
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model, save_weights
from tests.vision.conftest import World

MODEL = ModelSettings(input=InputSettings(size=16))


def settings(**changes: Any) -> TrainSettings:
    return TrainSettings(**{"epochs": 6, "batch_size": 16, "lr": 0.003, "workers": 0, **changes})


def trained(world: World, folder: Path, model: ModelSettings = MODEL, **changes: Any):
    return train(world.manifest, world.task, world.root, model, settings(**changes), folder)


@pytest.fixture
def start(tmp_path: Path) -> str:
    torch.manual_seed(3)
    path = tmp_path / "start.safetensors"
    save_file(build_model(MODEL, 4).state_dict(), path)
    return str(path)


@pytest.mark.parametrize("patience", [1, 2])
def test_patience_waits_until_the_backbone_learns(
    world: Callable[..., World], tmp_path: Path, start: str, patience: int
) -> None:
    """A rate so small that no epoch is better: the training still goes on past its frozen phase."""
    frozen = FineTuneSettings(frozen_epochs=3)
    record = trained(world(40), tmp_path / "run", init=start, fine_tune=frozen, patience=patience, lr=1e-12, epochs=9)
    assert record.ended == "patience"
    assert len(record.epochs) == max(3, record.best_epoch) + patience
    assert record.best_frozen == (record.best_epoch <= 3)


def test_patience_waits_until_an_average_is_taken(world: Callable[..., World], tmp_path: Path) -> None:
    average = AverageSettings(method="swa", start=0.5)
    record = trained(world(40), tmp_path / "run", average=average, patience=1, lr=1e-12, epochs=8)
    assert len(record.epochs) >= 5
    assert record.best_averaged == (record.best_epoch > 4)


def test_no_average_is_taken_of_frozen_epochs(world: Callable[..., World], tmp_path: Path, start: str) -> None:
    """One epoch after the frozen ones: the average is that epoch's own weights, not mostly the untouched start."""
    given = {"init": start, "fine_tune": FineTuneSettings(frozen_epochs=4, backbone_lr=1), "schedule": "constant"}
    plain = trained(world(40), tmp_path / "plain", epochs=5, **given)
    mean = trained(world(40), tmp_path / "mean", epochs=5, average=AverageSettings(method="swa", start=0.2), **given)
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "mean")]
    if plain.best_epoch == mean.best_epoch == 5:
        assert torch.allclose(weights[0]["0.weight"], weights[1]["0.weight"])
    assert not any(record.best_averaged and record.best_epoch <= 4 for record in (plain, mean))


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_auxiliary_heads_of_another_size_are_made_anew(name: str, tmp_path: Path) -> None:
    from torchvision import models

    published = models.get_model(name, weights=None, num_classes=1000, init_weights=False, aux_logits=True)
    torch.save(published.state_dict(), tmp_path / "file.pth")
    model = initial_model(ModelSettings(architecture=name), TrainSettings(init=str(tmp_path / "file.pth")), 3)
    heads = [key for key, value in model.state_dict().items() if key.endswith("weight") and value.shape[0] == 3]
    assert len(heads) >= 2
    phases = Phases(model, 3, FineTuneSettings(frozen_epochs=2))
    phases.enter(1)
    learning = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert set(heads) <= learning
    assert len(learning) == 2 * len(heads)  # weights and biases of all heads, and nothing else


def test_densenets_published_names_are_read(tmp_path: Path) -> None:
    from torchvision import models

    plain = models.densenet121(weights=None).state_dict()
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): value for key, value in plain.items()}
    assert set(old) != set(plain)
    torch.save(old, tmp_path / "densenet.pth")
    model = initial_model(
        ModelSettings(architecture="densenet121"), TrainSettings(init=str(tmp_path / "densenet.pth")), 3
    )
    name = "features.denseblock1.denselayer1.conv1.weight"
    assert torch.equal(model.state_dict()[name], plain[name])


def test_a_network_that_reads_its_files_version_loads_its_own_weights(tmp_path: Path) -> None:
    from imgid_audit.vision.transforms import resolve_input

    given = ModelSettings(architecture="mnasnet0_5", input=InputSettings(size=32))
    model = build_model(given, 3)
    save_weights(model, tmp_path / "w.safetensors", ["a", "b", "c"], resolve_input(given.input, None, 32), "mnasnet0_5")
    loaded = load_model(given, tmp_path / "w.safetensors", 3)
    assert torch.equal(loaded.module.state_dict()["layers.0.weight"], model.state_dict()["layers.0.weight"])


def test_a_file_of_another_architecture_is_refused(tmp_path: Path, start: str) -> None:
    with pytest.raises(InputError, match="lacks"):
        initial_model(ModelSettings(architecture="resnet18"), TrainSettings(init=start), 3)


class Narrow(nn.Module):
    """Runs out of memory above 8 images: in training and in validation."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Linear(8, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if len(images) > 8:
            raise torch.OutOfMemoryError("CUDA out of memory (planted)")
        return self.head(self.norm(self.conv(images)).relu().mean((2, 3)))


@pytest.mark.parametrize("average", [None, AverageSettings(method="swa", start=0)])
def test_memory_that_runs_out_anywhere_is_made_do_with(
    world: Callable[..., World], tmp_path: Path, average: AverageSettings | None
) -> None:
    model = ModelSettings(architecture=f"{__name__}:Narrow", input=InputSettings(size=16))
    record = trained(world(80), tmp_path / "run", model, batch_size=32, average=average, epochs=3)
    assert len(record.epochs) == 3
    assert np.isfinite([epoch.val_loss for epoch in record.epochs]).all()


def test_a_plan_is_not_reused_for_other_groups_or_another_start(
    world: Callable[..., World], tmp_path: Path, start: str
) -> None:
    from dataclasses import replace

    images = world(60)
    device = images.manifest.attributes[0]
    other = replace(images.manifest, attributes=(replace(device, codes=device.codes[::-1].copy()),))
    given = settings(select="worst_group", groups=("device",), init=start, epochs=2)

    def fingerprint(manifest: Any) -> str:
        args = (manifest, images.task, images.root, MODEL, given, tmp_path / "run")
        return train(*args, plan="p").fingerprint

    first = fingerprint(images.manifest)
    assert fingerprint(images.manifest) == first
    assert fingerprint(other) != first
    torch.manual_seed(9)
    save_file(build_model(MODEL, 4).state_dict(), start)
    assert fingerprint(images.manifest) != first
