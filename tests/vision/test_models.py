"""Networks by name: what is built, and what is said of names that are not known."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision.models import attach_dropout, build_model, head_of, logits_of, torchvision_names
from imgid_audit.vision.settings import InputSettings, ModelSettings


def built(architecture: str, classes: int = 5, **settings: object) -> nn.Module:
    return build_model(ModelSettings(architecture=architecture, **settings), classes)


@pytest.mark.parametrize("side", [8, 28, 33, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_smallcnn_takes_any_size(side: int, channels: int) -> None:
    model = built("smallcnn", input=InputSettings(channels=channels)).eval()
    assert model(torch.rand(2, channels, side, side)).shape == (2, 5)


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "mobilenet_v3_small", "shufflenet_v2_x0_5", "googlenet"])
def test_torchvision_by_name(name: str) -> None:
    model = built(name, 3)
    assert model.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 3)
    assert logits_of(model.train()(torch.rand(2, 3, 64, 64))).shape == (2, 3)


def test_names_listed_are_classifiers_alone() -> None:
    names = torchvision_names()
    assert {"resnet18", "vit_b_16", "convnext_tiny"} <= set(names)
    assert not any("rcnn" in name or "deeplab" in name for name in names)


@pytest.mark.parametrize(
    ("name", "near"), [("resnet81", "resnet18"), ("smalcnn", "smallcnn"), ("efficientnet", "efficientnet")]
)
def test_unknown_name_has_near_ones(name: str, near: str) -> None:
    with pytest.raises(InputError, match=rf"architecture\] '{name}' is not known: did you mean .*{near}"):
        built(name)


def test_detection_networks_are_not_classifiers() -> None:
    with pytest.raises(InputError, match="is not known"):
        built("fasterrcnn_resnet50_fpn")


def test_grey_input_of_a_colour_network_is_refused() -> None:
    with pytest.raises(InputError, match="takes 3 channels, got 1"):
        built("resnet18", input=InputSettings(channels=1))


@pytest.fixture
def factories(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    (tmp_path / "user_models.py").write_text(
        "from torch import nn\n"
        "def make(num_classes):\n    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))\n"
        "def broken(num_classes):\n    raise RuntimeError('no such backbone')\n"
        "def wrong(num_classes):\n    return 7\n"
        "constant = 3\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield types.ModuleType("unused")
    sys.modules.pop("user_models", None)


def test_factory(factories: types.ModuleType) -> None:
    assert built("user_models:make", 4)(torch.rand(2, 3, 8, 8)).shape == (2, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("user_models:mak", "has no callable 'mak'; near ones: make"),
        ("user_models:constant", "has no callable 'constant'"),
        ("user_models:broken", "num_classes=5 raised RuntimeError: no such backbone"),
        ("user_models:wrong", "returned int, not a torch.nn.Module"),
        ("no_such_module:make", "cannot import 'no_such_module'"),
        (":make", "cannot import ''"),
    ],
)
def test_factory_that_fails(factories: types.ModuleType, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        built(name)


def test_timm_without_timm_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"imgid-audit\[timm\]"):
        built("timm/resnet18")


@pytest.mark.parametrize("name", ["smallcnn", "resnet18", "squeezenet1_1"])
def test_dropout_acts_in_training_alone_and_keeps_names(name: str) -> None:
    plain, dropped = built(name), built(name, dropout=0.5)
    assert plain.state_dict().keys() == dropped.state_dict().keys()
    images = torch.rand(4, 3, 64, 64)
    dropped.eval()
    assert torch.equal(dropped(images), dropped(images))
    head = head_of(dropped, 5)[1]
    seen: list[torch.Tensor] = []
    head.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    dropped.train()(images)
    dropped.eval()(images)
    training, prediction = ((values == 0).float().mean() for values in seen)
    assert training > prediction + 0.2


def test_dropout_without_a_last_layer_says_so() -> None:
    with pytest.raises(InputError, match="no linear layer with 3 outputs"):
        attach_dropout(nn.Sequential(nn.Flatten()), 0.5, 3)
