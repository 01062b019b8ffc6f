"""The methods' losses in the training of whole networks: they learn, continue where they were, and leave a layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from imgid_audit.core.errors import StoppedError
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Ask
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train

COSTS = {a: {b: 1.0 for b in ("blue", "green", "red") if b != a} for a in ("blue", "green", "red")}
METHODS = ("class_weights", "cost_matrix", "focal", "balanced_softmax", "logit_adjustment", "ldam_drw", "group_dro")


def run(world: object, folder: Path, name: str, epochs: int = 3, **calls: object):
    method = MITIGATIONS[name]
    treatment = method.build(method.Params(), Ask(world.task.labels, False, "full", COSTS))
    settings = TrainSettings(epochs=epochs, batch_size=16, lr=0.01, groups=("device",))
    model = ModelSettings(input=InputSettings(size=16))
    return train(
        world.manifest, world.task, world.root, model, settings, folder, treatment=treatment, plan=name, **calls
    )


@pytest.mark.parametrize("name", METHODS)
def test_every_loss_learns_what_is_planted(world: Callable, tmp_path: Path, name: str) -> None:
    record = run(world(240), tmp_path / "model", name)
    assert record.epochs[-1].val_accuracy > 0.9


@pytest.mark.parametrize("name", ["ldam_drw", "group_dro"])
def test_a_loss_with_a_memory_continues_to_the_same_bytes(world: Callable, tmp_path: Path, name: str) -> None:
    made = world(96)
    whole = run(made, tmp_path / "whole", name)
    asked = iter(range(100))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "part", name, stop=lambda: next(asked) >= 7)
    assert run(made, tmp_path / "part", name).sha256 == whole.sha256


def test_ldams_weights_file_has_an_ordinary_layer_of_equal_rows(world: Callable, tmp_path: Path) -> None:
    run(world(120), tmp_path / "model", "ldam_drw")
    held = load_file(tmp_path / "model" / "weights.safetensors")
    (bias,) = (value for key, value in held.items() if key.endswith("bias") and value.shape == (3,))
    (weight,) = (value for value in held.values() if value.ndim == 2 and len(value) == 3)
    lengths = np.linalg.norm(weight, axis=1)
    assert not bias.any()
    np.testing.assert_allclose(lengths, lengths[0], rtol=1e-5)
