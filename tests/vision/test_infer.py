"""Prediction: right scores, every row accounted for, memory that runs out, resuming with the same bytes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.manifest import Status
from imgid_audit.core.predictions import Predictions
from imgid_audit.io.shards import ShardStore
from imgid_audit.vision.images import decode
from imgid_audit.vision.infer import predict, require_few_failed, rows_to_predict
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import InputSettings, ModelSettings, PredictSettings
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import LoadedModel

INPUT = InputTransform(16)


class ChannelMeans(nn.Module):
    """Logits are the mean of blue, green and red: right on every image of a `World`, and exactly known."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return images.mean(dim=(2, 3)).flip(1) * 5


class Full(ChannelMeans):
    """Has memory for `limit` images; remembers the batches that it was given."""

    def __init__(self, limit: int, error: Exception) -> None:
        super().__init__()
        self.limit, self.error, self.batches = limit, error, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(images))
        if len(images) > self.limit:
            raise self.error
        return super().forward(images)


def loaded(module: nn.Module | None = None, labels: tuple[str, ...] | None = None) -> LoadedModel:
    return LoadedModel(module or ChannelMeans(), INPUT, labels, "0" * 64)


def real_model() -> LoadedModel:
    torch.manual_seed(0)
    return loaded(build_model(ModelSettings(input=InputSettings(size=16)), 3))


def run(made: object, folder: Path, model: LoadedModel | None = None, **options: object) -> Predictions:
    calls = {name: options.pop(name) for name in ("progress", "stop") if name in options}
    settings = PredictSettings(**{"shard_rows": 16, **options})
    store = ShardStore(folder, "key", rows_to_predict(made.manifest), settings.shard_rows)
    return predict(made.manifest, made.root, model or loaded(), settings, store, **calls)


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_scores_are_the_softmax_of_the_models_output(world: Callable, tmp_path: Path) -> None:
    made, model = world(50), real_model()
    predictions = run(made, tmp_path / "p", model, batch_size=7)
    images = torch.stack([INPUT.prepare(decode(made.root / name)) for name in made.manifest.images])
    with torch.inference_mode():
        logits = model.module(INPUT.normalise(images)).double().numpy()
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert np.abs(predictions.scores - expected).max() < 1e-6
    assert np.abs(predictions.scores.sum(axis=1) - 1).max() < 1e-15
    assert (predictions.status == Status.PREDICTED).all()
    assert set(predictions.reason) == {""}
    assert predictions.predicted is None


def test_rows_stay_with_their_images(world: Callable, tmp_path: Path) -> None:
    made = world(100)
    predictions = run(made, tmp_path / "p", batch_size=6, workers=3)
    assert np.array_equal(predictions.scores.argmax(axis=1), made.manifest.label.codes)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_neither_threads_nor_runs_change_a_byte(world: Callable, tmp_path: Path, workers: int) -> None:
    made, model = world(40), real_model()
    run(made, tmp_path / "a", model, workers=0)
    run(made, tmp_path / "b", model, workers=workers)
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_every_row_ends_with_a_status_and_a_reason(world: Callable, tmp_path: Path) -> None:
    made = world(40)
    names = made.manifest.images
    (made.root / names[3]).write_bytes(b"rubbish")
    (made.root / names[20]).unlink()
    names[21] = "../../outside.png"
    status, reason = made.manifest.status.copy(), made.manifest.reason.copy()
    status[[5, 39]], reason[[5, 39]] = Status.EXCLUDED, "no label"
    made.manifest = dataclasses.replace(made.manifest, status=status, reason=reason)
    predictions = run(made, tmp_path / "p", batch_size=8)
    assert {row: predictions.reason[row] for row in np.flatnonzero(predictions.reason != "")} == {
        3: "not an image of a known format",
        5: "no label",
        20: "file not found",
        21: "path leads outside the data root",
        39: "no label",
    }
    assert np.flatnonzero(predictions.status == Status.FAILED).tolist() == [3, 20, 21]
    assert np.flatnonzero(predictions.status == Status.EXCLUDED).tolist() == [5, 39]
    assert np.flatnonzero(np.isnan(predictions.scores).any(axis=1)).tolist() == [3, 5, 20, 21, 39]
    assert not np.isnan(predictions.scores[0]).any()


def test_a_batch_or_a_shard_without_any_good_image(world: Callable, tmp_path: Path) -> None:
    made = world(20)
    for name in made.manifest.images[:18]:
        (made.root / name).write_bytes(b"")
    predictions = run(made, tmp_path / "p", batch_size=4)
    assert (predictions.status == Status.FAILED).sum() == 18


def test_non_finite_output_fails_its_row_alone(world: Callable, tmp_path: Path) -> None:
    class Sometimes(ChannelMeans):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = super().forward(images)
            logits[1, 2], logits[3, 0] = float("nan"), float("inf")
            return logits

    made = world(16)
    predictions = run(made, tmp_path / "p", loaded(Sometimes()), batch_size=16)
    assert np.flatnonzero(predictions.status == Status.FAILED).tolist() == [1, 3]
    assert predictions.reason[1] == predictions.reason[3] == "non-finite output"
    assert np.isnan(predictions.scores[[1, 3]]).all()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("MPS backend out of memory (MPS allocated: 9.0 GB)"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        MemoryError(),
    ],
)
def test_out_of_memory_halves_the_batch_until_it_fits(world: Callable, tmp_path: Path, error: Exception) -> None:
    made, module = world(64), Full(5, error)
    predictions = run(made, tmp_path / "p", loaded(module), batch_size=16)
    assert module.batches[:3] == [16, 8, 4]
    assert set(module.batches[2:]) == {4}  # also in the shards that follow
    assert np.array_equal(predictions.scores.argmax(axis=1), made.manifest.label.codes)


def test_out_of_memory_with_one_image_stops_and_other_errors_pass(world: Callable, tmp_path: Path) -> None:
    made = world(8)
    with pytest.raises(StoppedError, match="out of memory with a single image"):
        run(made, tmp_path / "p", loaded(Full(0, torch.OutOfMemoryError("out of memory"))))
    with pytest.raises(RuntimeError, match="a bug"):
        run(made, tmp_path / "q", loaded(Full(0, RuntimeError("a bug"))))


def test_the_halved_batch_is_kept_so_that_a_resumed_run_has_the_same_bytes(world: Callable, tmp_path: Path) -> None:
    made = world(64)

    def module() -> Full:
        return Full(5, torch.OutOfMemoryError("out of memory"))

    run(made, tmp_path / "whole", loaded(module()), batch_size=16)
    with pytest.raises(StoppedError):
        run(made, tmp_path / "parts", loaded(module()), batch_size=16, stop=after(2))
    resumed = module()
    run(made, tmp_path / "parts", loaded(resumed), batch_size=16)
    assert set(resumed.batches) == {4}
    assert files(tmp_path / "parts") == files(tmp_path / "whole")


def after(polls: int) -> Callable[[], bool]:
    count = iter(range(1000))
    return lambda: next(count) >= polls


@pytest.mark.parametrize("shards", [0, 1, 3])
def test_stopped_finishes_its_shard_and_resumes(world: Callable, tmp_path: Path, shards: int) -> None:
    made, model = world(60), real_model()
    whole = run(made, tmp_path / "whole", model)
    with pytest.raises(StoppedError, match=f"stopped after {16 * shards} of 60 images .*the same command resumes"):
        run(made, tmp_path / "parts", model, stop=after(shards))
    assert len(list((tmp_path / "parts").glob("*.parquet"))) == shards
    again = run(made, tmp_path / "parts", model)
    assert files(tmp_path / "parts") == files(tmp_path / "whole")
    assert np.array_equal(again.scores, whole.scores)


def test_a_finished_run_is_read_and_not_computed_again(world: Callable, tmp_path: Path) -> None:
    made = world(20)
    first = run(made, tmp_path / "p")
    module = Full(0, RuntimeError("must not be called"))
    assert np.array_equal(run(made, tmp_path / "p", loaded(module)).scores, first.scores)
    assert module.batches == []


def test_output_that_does_not_fit_the_classes(world: Callable, tmp_path: Path) -> None:
    made = world(8)
    with pytest.raises(InputError, match="gives 7 outputs an image, the task has 3 classes"):
        run(made, tmp_path / "p", loaded(nn.Sequential(nn.Flatten(), nn.Linear(768, 7))))
    with pytest.raises(InputError, match=r"gives shape \(8, 3, 16, 16\) outputs"):
        run(made, tmp_path / "q", loaded(nn.Identity()))


def test_class_order_of_the_weights_must_be_the_tasks(world: Callable, tmp_path: Path) -> None:
    made = world(8)
    run(made, tmp_path / "p", loaded(labels=("blue", "green", "red")))
    with pytest.raises(InputError, match=r"outputs are \['red', 'green', 'blue'\], the task's labels are \['blue'"):
        run(made, tmp_path / "q", loaded(labels=("red", "green", "blue")))


@pytest.mark.parametrize(("allowed", "stops"), [(0.0, True), (0.04, True), (0.05, False), (1.0, False)])
def test_more_failures_than_allowed(world: Callable, tmp_path: Path, allowed: float, stops: bool) -> None:
    made = world(40)
    for row in (3, 7):
        (made.root / made.manifest.images[row]).unlink()
    predictions = run(made, tmp_path / "p")
    if not stops:
        return require_few_failed(made.manifest, predictions, allowed)
    with pytest.raises(StoppedError, match=r"2 of 40 images failed.*00003\.png: file not found; 00007\.png"):
        require_few_failed(made.manifest, predictions, allowed)
    return None


def test_nothing_to_predict(world: Callable, tmp_path: Path) -> None:
    made = world(4)
    made.manifest = dataclasses.replace(made.manifest, status=np.full(4, Status.EXCLUDED, dtype=np.int8))
    predictions = run(made, tmp_path / "p")
    assert (predictions.status == Status.EXCLUDED).all()
    assert np.isnan(predictions.scores).all()


def test_progress_counts_images_of_all_runs(world: Callable, tmp_path: Path) -> None:
    said: list[tuple[int, int, str]] = []

    class Listener:
        def step(self, name: str) -> None:
            raise AssertionError("steps belong to the pipeline")

        def update(self, done: int, total: int, text: str = "") -> None:
            said.append((done, total, text))

    made = world(40)
    with pytest.raises(StoppedError):
        run(made, tmp_path / "p", batch_size=8, progress=Listener(), stop=after(1))
    run(made, tmp_path / "p", batch_size=8, progress=Listener())
    assert [entry[0] for entry in said] == [8, 16, 24, 32, 40]
    assert said[-1][1:] == (40, "accuracy so far 1.000")
