"""A network that cannot take its input is refused where it is built, and the look at it leaves nothing behind."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision import models, starting
from imgid_audit.vision.models import build_model, require_taken
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.starting import initial_model, starting_model
from imgid_audit.vision.train import train
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import load_model, save_weights

TINY = ModelSettings(architecture="squeezenet1_1", input=InputSettings(size=8))
FROM_INIT = r"\[train > init\] "


class Restless(nn.Module):
    """In eval mode too it draws from every generator and counts its calls."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(3 * 8 * 8, num_classes))
        self.head[1].eval()  # a part that is never to train
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("latest", torch.zeros(1))
        self.register_buffer("fixed", torch.arange(4).expand(3, 4))  # its rows share their memory

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        self.latest = self.calls + 1
        noise = torch.rand(1).item() + np.random.random() + random.random()
        return self.head(images) + noise


def state_of_everything(model: nn.Module) -> list[Any]:
    told = [value.clone().tolist() for value in model.state_dict().values()]
    modes = [module.training for module in model.modules()]
    return [told, modes, torch.get_rng_state().tolist(), np.random.get_state()[1].tolist(), random.getstate()]


def test_the_look_leaves_weights_buffers_modes_and_generators_as_they_were() -> None:
    model = Restless(3).train()
    model.head[1].eval()
    before = state_of_everything(model)
    require_taken(model, "mine:Restless", InputTransform(8), 3)
    assert state_of_everything(model) == before


def test_it_changes_no_byte_of_a_training(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, settings = world(32), TrainSettings(epochs=2, batch_size=8)
    model = ModelSettings(input=InputSettings(size=16), dropout=0.2)
    looked = train(made.manifest, made.task, made.root, model, settings, tmp_path / "looked")
    monkeypatch.setattr(starting, "require_taken", lambda *_: None)
    blind = train(made.manifest, made.task, made.root, model, settings, tmp_path / "blind")
    assert looked.sha256 == blind.sha256


def test_an_input_that_is_too_small_is_named_with_what_the_library_says(world: Callable, tmp_path: Path) -> None:
    said = r"\[model > input > size\] squeezenet1_1, fed images of 3 x 8 x 8 .* fails \(.*Output size is too small"
    made = world(16)
    for build in (initial_model, starting_model):
        with pytest.raises(InputError, match=said):
            build(TINY, TrainSettings(), 3)
    with pytest.raises(InputError, match=said):
        train(made.manifest, made.task, made.root, TINY, TrainSettings(epochs=1), tmp_path / "m")
    path = tmp_path / "given.safetensors"
    save_weights(build_model(TINY, 3), path, ("a", "b", "c"), InputTransform(64), "squeezenet1_1")
    with pytest.raises(InputError, match=said):
        load_model(TINY, path, 3)
    assert load_model(TINY.model_copy(update={"input": InputSettings(size=64)}), path, 3).transform.size == 64


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda x: x[:1, 0, 0, :3], r"shape \(1, 3\)"),
        (lambda x: x, r"shape \(2, 3, 8, 8\)"),
        (lambda _: [None], "None"),
    ],
)
def test_an_output_of_another_shape_is_named(output: Any, found: str) -> None:
    class Odd(nn.Module):
        def forward(self, images: torch.Tensor) -> Any:
            return output(images)

    with pytest.raises(InputError, match=rf"\[model > architecture\] mine:Odd.* gives {found}.*\(2, 3\), a row of log"):
        require_taken(Odd(), "mine:Odd", InputTransform(8), 3)


def test_a_network_that_takes_its_shape_from_the_first_batch_is_let_pass() -> None:
    lazy = nn.Sequential(nn.Flatten(), nn.LazyLinear(3))
    require_taken(lazy, "mine:lazy", InputTransform(8), 3)
    assert lazy[1].has_uninitialized_params()


def test_memory_that_runs_out_says_nothing_of_the_shape() -> None:
    class Large(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            raise MemoryError

    require_taken(Large(), "mine:Large", InputTransform(8), 3)


def test_a_file_of_other_channels_is_compared_before_the_settings_of_the_input(tmp_path: Path) -> None:
    grey = tmp_path / "grey.safetensors"
    model = models.SmallCNN(1, 3)
    save_weights(model, grey, ("a", "b", "c"), InputTransform(16, None, 1, (0.0,), (1.0,)), "smallcnn")
    normal = InputSettings(size=16, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    init = TrainSettings(init=str(grey))
    found = rf"{FROM_INIT}{grey} is of smallcnn with 1 channel, and the config asks for"
    with pytest.raises(InputError, match=rf"{found} smallcnn with 3 channels: .* model.input.channels: 1$"):
        starting_model(ModelSettings(input=normal), init, 3)
    with pytest.raises(InputError, match=rf"{found} resnet18 with 3 channels: .*, or another architecture$"):
        starting_model(ModelSettings(architecture="resnet18", input=normal), init, 3)
    asked = InputSettings(size=16, channels=1, mean=(0.5, 0.5, 0.5))
    with pytest.raises(InputError, match=r"\[model > input > mean\] needs 1 number, one a channel, got 3"):
        starting_model(ModelSettings(input=asked), init, 3)


def test_a_starting_point_that_is_text_says_what_it_was_named_for(tmp_path: Path) -> None:
    path = tmp_path / "text.pt"
    path.write_text("hello")
    with pytest.raises(InputError, match=rf"{FROM_INIT}{path} is neither safetensors nor"):
        starting_model(ModelSettings(), TrainSettings(init=str(path)), 3)
