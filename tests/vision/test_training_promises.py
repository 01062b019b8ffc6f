"""Promises of training that are easily broken by two settings together: patience, averages, starting points, memory."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.vision.averaging import is_averaged, plain_epochs
from imgid_audit.vision.finetune import Phases, parameter_groups
from imgid_audit.vision.models import build_model, heads_of
from imgid_audit.vision.records import read_record
from imgid_audit.vision.settings import AverageSettings, FineTuneSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.slices import curves_of
from imgid_audit.vision.starting import initial_model
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model, save_weights
from tests.vision.conftest import World
from tests.vision.test_averaging import without_val

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
    assert read_record(tmp_path / "run") == record


@pytest.mark.parametrize(("frozen", "averaged"), [(True, None), (False, True), (True, False)])
def test_curves_tell_of_which_phase_the_kept_weights_are(
    world: Callable[..., World], tmp_path: Path, frozen: bool, averaged: bool | None
) -> None:
    record = replace(trained(world(40), tmp_path / "run", epochs=1), best_frozen=frozen, best_averaged=averaged)
    assert (curves_of(record).best_frozen, curves_of(record).best_averaged) == (frozen, averaged)


def test_no_average_is_taken_of_frozen_epochs(world: Callable[..., World], tmp_path: Path, start: str) -> None:
    """One epoch after the frozen ones: the average is that epoch's own weights, not mostly the untouched start."""
    given = {"init": start, "fine_tune": FineTuneSettings(frozen_epochs=4, backbone_lr=1), "schedule": "constant"}
    made = world(40)
    made.manifest = without_val(made.manifest)  # the last epoch is kept
    plain = trained(made, tmp_path / "plain", epochs=5, **given)
    mean = trained(made, tmp_path / "mean", epochs=5, average=AverageSettings(method="swa", start=0.2), **given)
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("plain", "mean")]
    assert torch.equal(weights[0]["0.weight"], weights[1]["0.weight"])
    assert not torch.equal(weights[0]["0.weight"], load_file(start)["0.weight"])
    assert (plain.best_averaged, mean.best_averaged, mean.best_frozen) == (None, True, False)


def test_where_all_epochs_are_frozen_an_average_is_of_the_last_layer() -> None:
    given = settings(fine_tune=FineTuneSettings(frozen_epochs=9), average=AverageSettings(method="swa", start=0.5))
    assert plain_epochs(given) == 3
    assert [is_averaged(given, epoch) for epoch in (3, 4)] == [False, True]


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


@pytest.mark.parametrize("name", ["deit_tiny_distilled_patch16_224", "levit_128s"])
def test_both_heads_of_a_distilled_network_are_made_anew_and_learn(name: str, tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model(name, num_classes=1000).state_dict(), tmp_path / "file.pth")
    given = ModelSettings(architecture=f"timm/{name}")
    model = initial_model(given, TrainSettings(init=str(tmp_path / "file.pth")), 3)
    assert len(heads_of(model, 3)) == 2
    Phases(model, 3, FineTuneSettings()).enter(1)
    learning = {key for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert {key.split(".")[0] for key in learning} == {"head", "head_dist"}
    groups = parameter_groups(model, 3, TrainSettings(fine_tune=FineTuneSettings()))
    assert {id(parameter) for parameter in groups[0]["params"]} == {
        id(parameter) for key, parameter in model.named_parameters() if key in learning
    }


@pytest.mark.parametrize(
    ("name", "classes", "head"),
    [
        ("resnet18", 64, "fc"),
        ("googlenet", 1024, "fc"),
        ("smallcnn", 64, "13"),
        ("timm/vit_tiny_patch16_224", 192, "head"),
    ],
)
def test_layers_as_wide_as_there_are_classes_are_no_heads(name: str, classes: int, head: str) -> None:
    if name.startswith("timm/"):
        pytest.importorskip("timm")
    auxiliary = ["aux1.fc2", "aux2.fc2"] if name == "googlenet" else []
    assert list(heads_of(build_model(ModelSettings(architecture=name), classes), classes)) == [head, *auxiliary]


def test_an_auxiliary_head_of_another_width_is_of_another_architecture(tmp_path: Path) -> None:
    state = dict(build_model(ModelSettings(architecture="googlenet"), 1000).state_dict())
    state["aux2.fc2.weight"] = torch.zeros(1000, 512)
    torch.save(state, tmp_path / "file.pth")
    with pytest.raises(InputError, match=r"layer aux2\.fc2\.weight: expected shape \(3, 1024\), found \(1000, 512\)\n"):
        initial_model(ModelSettings(architecture="googlenet"), TrainSettings(init=str(tmp_path / "file.pth")), 3)


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


def narrow_where(asked: Callable[[nn.Module], bool], most: int) -> type[nn.Module]:
    """A network that has memory for `most` images where `asked`, and says so after batch norm has counted them."""

    class Somewhere(nn.Sequential):
        def __init__(self, num_classes: int) -> None:
            norm = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))
            super().__init__(norm, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            made = super().forward(images)
            if len(images) > most and asked(self):
                raise torch.OutOfMemoryError("CUDA out of memory (planted)")
            return made

    return Somewhere


def counting(model: nn.Module) -> bool:
    """In the pass for an average's statistics: batch norm alone is in train mode."""
    return not model.training and model[0][1].training


def planted(monkeypatch: pytest.MonkeyPatch, network: type[nn.Module]) -> ModelSettings:
    from imgid_audit.vision import models

    monkeypatch.setattr(models, "_find", lambda _: network)
    return ModelSettings(architecture="any:thing", input=InputSettings(size=16))


def test_statistics_of_an_average_count_once_what_is_taken_again(
    world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty images in one batch, taken again as two of ten."""
    model = planted(monkeypatch, narrow_where(counting, 10))
    average = AverageSettings(method="swa", start=0)
    trained(world(40), tmp_path / "run", model, batch_size=32, average=average, epochs=1)
    assert int(load_file(tmp_path / "run" / "weights.safetensors")["0.1.num_batches_tracked"]) == 2


@pytest.mark.parametrize(
    ("asked", "accumulate", "told"),
    [
        (
            lambda model: not (model.training or counting(model)),
            "auto",
            "out of memory in validation with a single image",
        ),
        (counting, "auto", "out of memory with train.average: make train.batch_size, or"),
        (lambda model: model.training, 2, r"train.batch_size 16: make it, .* smaller, or train.accumulate larger"),
    ],
    ids=["validation", "average", "training in set parts"],
)
def test_it_is_told_what_memory_ran_out_for(
    world: Callable[..., World], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: Any, accumulate: Any, told: str
) -> None:
    model, average = planted(monkeypatch, narrow_where(asked, 0)), AverageSettings(method="swa", start=0)
    with pytest.raises(StoppedError, match=told):
        trained(world(40), tmp_path / "run", model, average=average, accumulate=accumulate)


@pytest.mark.parametrize(("norm", "images"), [(False, 3), (True, 2)])
def test_one_image_alone_is_learnt_from_where_no_batch_norm_forbids_it(
    world: Callable[..., World], tmp_path: Path, norm: bool, images: int
) -> None:
    """Four training images in batches of two, one of them damaged."""
    made = world(8)
    (made.root / made.manifest.images[0]).write_bytes(b"no image")
    name = "smallcnn" if norm else "tests.vision.train_driver:without_norm"
    model = ModelSettings(architecture=name, input=InputSettings(size=16))
    assert trained(made, tmp_path / "run", model, batch_size=2, epochs=1).images_seen == images


def test_a_plan_is_not_reused_for_other_groups_or_another_start(
    world: Callable[..., World], tmp_path: Path, start: str
) -> None:
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
