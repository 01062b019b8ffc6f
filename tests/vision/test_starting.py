"""Starting points: files in the format of published weights, and the publishers' own, without a network."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import FineTuneSettings, InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.starting import starting_model, transform_of
from imgid_audit.vision.train import train
from imgid_audit.vision.weights import load_model

RESNET = ModelSettings(architecture="resnet18")
SMALL = ModelSettings(architecture="resnet18", input=InputSettings(size=32))


def published(architecture: str, classes: int = 1000) -> dict[str, torch.Tensor]:
    """A state dict as torchvision publishes them: all names, a thousand classes."""
    torch.manual_seed(11)
    return build_model(ModelSettings(architecture=architecture), classes).state_dict()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "legacy"])
def test_a_file_in_the_official_format(world: Callable, tmp_path: Path, zipped: bool) -> None:
    state = published("resnet18")
    path = tmp_path / "resnet18-f37072fd.pth"
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    assert (path.read_bytes()[:2] == b"PK") == zipped
    settings = TrainSettings(init=str(path), seed=4, epochs=1, batch_size=16, fine_tune=FineTuneSettings())
    start = starting_model(RESNET, settings, 3).module.state_dict()
    for name, value in start.items():
        assert name.startswith("fc.") or torch.equal(value, state[name])
    assert start["fc.weight"].shape == (3, 512)
    other = starting_model(RESNET, settings.model_copy(update={"seed": 5}), 3).module.state_dict()
    assert not torch.equal(start["fc.weight"], other["fc.weight"])
    kept = starting_model(RESNET, settings, 1000).module.state_dict()
    assert torch.equal(kept["fc.weight"], state["fc.weight"])  # as many classes: nothing is drawn
    asked = transform_of(RESNET, settings)
    assert (asked.size, asked.resize, asked.mean) == (224, 256, (0.485, 0.456, 0.406))
    made = world(32)
    record = train(made.manifest, made.task, made.root, SMALL, settings, tmp_path / "m")
    found = load_model(SMALL, tmp_path / "m" / record.weights, 3)  # the first epoch learns the last layer alone
    assert torch.equal(found.module.state_dict()["layer4.1.conv2.weight"], state["layer4.1.conv2.weight"])
    assert found.transform.mean == asked.mean


@pytest.mark.parametrize("classes", [3, 1000])
def test_a_file_of_another_architecture_is_named(world: Callable, tmp_path: Path, classes: int) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(published("resnet34", classes), path)
    made, settings = world(16), TrainSettings(init=str(path), epochs=1)
    with pytest.raises(InputError) as caught:
        train(made.manifest, made.task, made.root, SMALL, settings, tmp_path / "m")
    text = str(caught.value)
    assert f"[train > init] {path}" in text
    assert "layers that the architecture lacks: layer1.2.conv1.weight" in text
    torch.save(published("vgg11", classes), path)
    with pytest.raises(InputError, match=r"lacks 10\d layers of the architecture: conv1.weight"):
        starting_model(SMALL, TrainSettings(init=str(path)), 3)


def test_torchvisions_own_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    state, asked = published("resnet18"), []

    def fetched(url: str, *_: Any, **options: Any) -> dict[str, torch.Tensor]:
        asked.append((url, options.get("check_hash")))
        return state

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fetched)
    settings = TrainSettings(init="DEFAULT")
    start = starting_model(RESNET, settings, 3)
    assert asked == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", True)]
    assert torch.equal(start.module.state_dict()["conv1.weight"], state["conv1.weight"])
    from torchvision.models import ResNet18_Weights

    theirs, image = ResNet18_Weights.DEFAULT.transforms(), torch.randint(0, 256, (3, 300, 400), dtype=torch.uint8)
    ours = start.transform.normalise(start.transform.prepare(image)[None])[0]
    torch.testing.assert_close(ours, theirs(image), atol=1.01 / 255 / 0.224, rtol=0)  # one level of 255
    assert starting_model(SMALL, settings, 3).transform.resize is None


@pytest.mark.parametrize(
    ("architecture", "error", "message"),
    [
        ("resnet18", OSError("no route to host"), r"torchvision's weights of 'resnet18' \(no route to host\)"),
        ("resnet18", RuntimeError("invalid hash value"), r"\(invalid hash value\): without a network, give a file"),
        ("smallcnn", None, "there are no DEFAULT weights of 'smallcnn': give a file, or null"),
        ("timm/test_resnet", OSError("offline\nlong"), r"timm's weights of 'timm/test_resnet' \(offline\): without"),
        ("timm/test_resnet", KeyError(), "timm's weights of 'timm/test_resnet'"),
        ("timm/test_vit4x", None, "timm has no model 'test_vit4x'"),
    ],
)
def test_weights_that_cannot_be_fetched(
    architecture: str, error: Exception | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fails)
    model = ModelSettings(architecture=architecture)
    if architecture.startswith("timm/") and error is not None:
        timm = pytest.importorskip("timm")
        create = timm.create_model
        monkeypatch.setattr(
            timm, "create_model", lambda *a, **given: fails() if given.get("pretrained") else create(*a, **given)
        )
    with pytest.raises(InputError, match=message):
        starting_model(model, TrainSettings(init="DEFAULT"), 3)


def test_timms_own_by_name(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timm = pytest.importorskip("timm")
    create, states = timm.create_model, []

    def published_by_timm(name: str, *, pretrained: bool = False, **given: Any) -> nn.Module:
        model = create(name, pretrained=False, **given)
        if pretrained:
            states.append(model.state_dict())
        return model

    monkeypatch.setattr(timm, "create_model", published_by_timm)
    model = ModelSettings(architecture="timm/test_resnet")
    settings = TrainSettings(init="DEFAULT", epochs=2, batch_size=16, fine_tune=FineTuneSettings())
    start = starting_model(model, settings, 3)
    assert states[0]["fc.weight"].shape[0] == 1000
    loaded = start.module.state_dict()
    assert all(torch.equal(loaded[name], states[0][name]) for name in loaded if not name.startswith("fc."))
    theirs = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg("test_resnet").to_dict())
    assert start.transform.size == theirs["input_size"][-1]
    assert start.transform.mean == theirs["mean"]
    assert start.transform.interpolation == theirs["interpolation"]
    made = world(32)
    small = ModelSettings(architecture="timm/test_resnet", input=InputSettings(size=32))
    record = train(made.manifest, made.task, made.root, small, settings, tmp_path / "m")
    assert len(record.epochs) == 2
    grey = ModelSettings(architecture="timm/test_resnet", input=InputSettings(channels=1))
    assert starting_model(grey, settings, 3).transform.channels == 1


def test_timms_weights_are_cropped_as_timm_crops_them() -> None:
    """Against timm's own transform of an image."""
    timm = pytest.importorskip("timm")
    from PIL import Image
    from torchvision.transforms.functional import pil_to_tensor

    name = "resnet18"
    ours = transform_of(ModelSettings(architecture=f"timm/{name}"), TrainSettings(init="DEFAULT"))
    config = timm.data.resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    theirs = timm.data.create_transform(**config, is_training=False)
    coarse = torch.randint(0, 256, (9, 12, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    image = Image.fromarray(coarse.numpy()).resize((400, 300), Image.Resampling.BICUBIC)
    found = ours.normalise(ours.prepare(pil_to_tensor(image))[None])[0]
    torch.testing.assert_close(found, theirs(image), atol=2.01 / 255 / 0.224, rtol=0)  # two levels of 255


def test_a_file_for_timm_is_fed_as_timms_weights(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    torch.save(timm.create_model("test_resnet", num_classes=7).state_dict(), tmp_path / "w.pth")
    model = ModelSettings(architecture="timm/test_resnet")
    settings = TrainSettings(init=str(tmp_path / "w.pth"))
    assert transform_of(model, settings) == transform_of(model, TrainSettings(init="DEFAULT"))
    assert transform_of(model, TrainSettings()).mean == (0.0, 0.0, 0.0)
