"""What only a CUDA device can show: run by hand or where one is at hand, skipped elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from imgid_audit.vision.loop import Loop
from imgid_audit.vision.records import WEIGHTS, TrainingRecord
from imgid_audit.vision.settings import InputSettings, ModelSettings, TrainSettings
from imgid_audit.vision.train import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device here"),
]


def run(world: Any, folder: Path, architecture: str = "smallcnn", size: int = 16, **options: Any) -> TrainingRecord:
    model = ModelSettings(architecture=architecture, input=InputSettings(size=size))
    given = TrainSettings(**{"epochs": 3, "batch_size": 16, "lr": 0.01, "device": "cuda", **options})
    return train(world.manifest, world.task, world.root, model, given, folder)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "float16"])
def test_learns_in_every_precision(world: Callable, tmp_path: Path, precision: str) -> None:
    record = run(world(240), tmp_path / "model", precision=precision)
    assert (record.device, record.precision) == ("cuda", precision)
    assert record.epochs[-1].val_accuracy > 0.95


def test_float32_is_that_of_the_cpu_to_rounding(world: Callable, tmp_path: Path) -> None:
    made = world(80)
    options = {"epochs": 1, "optimizer": "sgd", "lr": 0.001, "precision": "float32"}
    run(made, tmp_path / "cuda", **options)
    run(made, tmp_path / "cpu", **{**options, "device": "cpu"})
    one, other = (load_file(tmp_path / name / WEIGHTS) for name in ("cuda", "cpu"))
    for name, value in one.items():
        torch.testing.assert_close(value, other[name], rtol=1e-2, atol=1e-3)


def test_the_network_is_channels_last(world: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    step = Loop._step

    def spied(self: Loop, *args: Any) -> float:
        seen.append(self.model[0].weight.is_contiguous(memory_format=torch.channels_last))
        return step(self, *args)

    monkeypatch.setattr(Loop, "_step", spied)
    run(world(64), tmp_path / "model", epochs=1)
    assert seen
    assert all(seen)


def test_float16_in_parts_is_float16_in_one(world: Callable, tmp_path: Path) -> None:
    """Parts share one scale and one step: what overflows in one part stops the whole step."""
    made = world(160)
    accuracies = [
        run(made, tmp_path / str(parts), "shufflenet_v2_x0_5", 32, precision="float16", accumulate=parts, epochs=2)
        for parts in (1, 4)
    ]
    assert [len(record.epochs) for record in accuracies] == [2, 2]
    assert all(epoch.train_loss < 2 for record in accuracies for epoch in record.epochs)


def test_a_batch_that_really_does_not_fit(world: Callable, tmp_path: Path) -> None:
    """Memory is held to what one part in four needs, and the batch goes through all the same."""
    made = world(256)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    options = {"epochs": 1, "batch_size": 128, "precision": "float32"}
    run(made, tmp_path / "parts", "resnet18", 224, accumulate=4, **options)
    room = torch.cuda.max_memory_reserved()
    torch.cuda.empty_cache()
    share = 1.2 * room / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        record = run(made, tmp_path / "auto", "resnet18", 224, **options)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert record.images_seen == 128


def test_compiled_training_learns(world: Callable, tmp_path: Path) -> None:
    assert run(world(240), tmp_path / "model", compile="always").epochs[-1].val_accuracy > 0.95
