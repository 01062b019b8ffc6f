"""Embeddings: what the last layer gets, computed once an image and view, whatever interrupts."""

from __future__ import annotations

import dataclasses
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.manifest import Status
from imgid_audit.io.content import hash_images
from imgid_audit.vision.augment import augment
from imgid_audit.vision.embed import Embedded, embed
from imgid_audit.vision.images import decode
from imgid_audit.vision.infer import rows_to_predict
from imgid_audit.vision.models import build_model
from imgid_audit.vision.settings import AugmentSettings, InputSettings, ModelSettings, PredictSettings
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.weights import LoadedModel

INPUT = InputTransform(16)
FLIPS = AugmentSettings(hflip=0.5, rotation=20)
CROPS = AugmentSettings(crop=0.5)


class Counted(nn.Module):
    """A network that counts the images it was given, and fails where it is told to."""

    def __init__(self, inner: nn.Module, limit: int | None = None) -> None:
        super().__init__()
        self.inner, self.limit = inner, limit
        self.images, self.batches = 0, []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        if self.limit is not None and len(images) > self.limit:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.images += len(images)
        self.batches.append(len(images))
        return self.inner(images)


def network(seed: int = 0, architecture: str = "smallcnn", size: int = 16, **options: object) -> nn.Module:
    torch.manual_seed(seed)
    settings = ModelSettings(architecture=architecture, input=InputSettings(size=size), **options)
    return build_model(settings, 3).eval()


def loaded(module: nn.Module, size: int = 16, sha256: str = "0" * 64) -> LoadedModel:
    return LoadedModel(module, InputTransform(size), None, sha256)


def run(made: object, folder: Path, model: LoadedModel, rows: np.ndarray | None = None, **options: object) -> Embedded:
    calls = {name: options.pop(name) for name in ("progress", "stop", "views", "seed") if name in options}
    settings = PredictSettings(**{"shard_rows": 16, "device": "cpu", **options})
    hashes, _ = hash_images(made.manifest, made.root)
    rows = rows_to_predict(made.manifest) if rows is None else rows
    return embed(
        made.manifest, rows, made.root, model, settings, folder, classes=3, image_sha256=hashes, **calls
    )  # fmt: skip


def logits(model: LoadedModel, made: object, rows: np.ndarray) -> np.ndarray:
    images = [model.transform.prepare(decode(made.root / made.manifest.images[row])) for row in rows]
    with torch.inference_mode():
        return model.module(model.transform.normalise(torch.stack(images))).double().numpy()


@pytest.mark.parametrize(
    ("architecture", "size"),
    [("smallcnn", 16), ("resnet18", 32), ("convnext_tiny", 32)],
)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_embedding_times_head_is_the_networks_output(
    world: Callable, tmp_path: Path, architecture: str, size: int, dropout: float
) -> None:
    made, model = world(24), loaded(network(0, architecture, size, dropout=dropout), size)
    found = run(made, tmp_path / "e", model)
    expected = logits(model, made, found.rows)
    assert np.abs(found.head.logits(found.values) - expected).max() < 1e-4
    assert found.values.dtype == np.float32
    assert np.array_equal(found.rows, np.arange(24))
    assert found.failed == {}
    assert found.images_seen == 24


def test_a_vision_transformer(world: Callable, tmp_path: Path) -> None:
    from torchvision.models import VisionTransformer

    torch.manual_seed(0)
    module = VisionTransformer(16, 8, 2, 2, 24, 48, num_classes=3).eval()
    nn.init.normal_(module.heads.head.weight)
    made, model = world(12), loaded(module)
    found = run(made, tmp_path / "e", model)
    assert np.abs(found.head.logits(found.values) - logits(model, made, found.rows)).max() < 1e-4
    assert np.ptp(found.head.logits(found.values), axis=0).max() > 1e-3


def test_what_is_known_is_not_computed_again(world: Callable, tmp_path: Path) -> None:
    made, counted = world(40), Counted(network())
    views = [(FLIPS, 2), (CROPS, 1)]
    first = run(made, tmp_path / "e", loaded(counted), views=views)
    assert counted.images == 40 + 3 * 20
    again = run(made, tmp_path / "e", loaded(counted), views=views)
    assert counted.images == 40 + 3 * 20
    assert np.array_equal(first.values, again.values)
    assert all(np.array_equal(first.views[view], again.views[view]) for view in views)
    assert first.images_seen == again.images_seen == 40 + 3 * 20


def test_a_changed_image_and_another_order_of_rows_cost_one_image(world: Callable, tmp_path: Path) -> None:
    made, counted = world(40), Counted(network())
    first = run(made, tmp_path / "e", loaded(counted))
    counted.images = 0
    shutil.copy(made.root / made.manifest.images[3], tmp_path / "kept.png")
    from PIL import Image

    Image.fromarray(np.full((16, 16, 3), 77, dtype=np.uint8)).save(made.root / made.manifest.images[3])
    order = np.random.default_rng(0).permutation(40)
    made.manifest = dataclasses.replace(
        made.manifest,
        images=made.manifest.images[order], ids=made.manifest.ids[order],
        label=made.manifest.label.take(order), split=made.manifest.split.take(order),
    )  # fmt: skip
    moved = run(made, tmp_path / "e", loaded(counted))
    assert counted.images == 1
    same = order != 3
    assert np.array_equal(moved.values[same], first.values[order[same]])
    assert not np.array_equal(moved.values[~same][0], first.values[3])


def test_equal_images_are_computed_once(world: Callable, tmp_path: Path) -> None:
    made, counted = world(8), Counted(network())
    shutil.copy(made.root / made.manifest.images[0], made.root / made.manifest.images[4])
    found = run(made, tmp_path / "e", loaded(counted), views=[(FLIPS, 1)])
    assert counted.images == 7 + 3  # of four training rows two are one image
    assert np.array_equal(found.values[0], found.values[4])
    assert found.images_seen == 8 + 4


@pytest.mark.parametrize("change", ["weights", "network", "transform", "batch"])
def test_other_keys_do_not_mix(world: Callable, tmp_path: Path, change: str) -> None:
    made, counted = world(12), Counted(network())
    run(made, tmp_path / "e", loaded(counted))
    other = Counted(network(1))
    model, options = loaded(other), {}
    if change == "weights":
        model = loaded(other, sha256="1" * 64)
    elif change == "network":
        other.inner.add_module("extra", nn.Identity())
    elif change == "transform":
        model = dataclasses.replace(model, transform=InputTransform(16, mean=(0.5,) * 3))
    else:
        options["batch_size"] = 5
    run(made, tmp_path / "e", model, **options)
    assert other.images == 12
    assert len(list((tmp_path / "e").iterdir())) == 2


@pytest.mark.parametrize("changes", [FLIPS, CROPS])
def test_views_are_of_augmented_images(world: Callable, tmp_path: Path, changes: AugmentSettings) -> None:
    """Recomputed image by image: each view is the network's embedding of one random change."""
    made, module = world(16), network()
    found = run(made, tmp_path / "e", loaded(module), views=[(changes, 3)], seed=4)
    rows = made.manifest.rows("train")
    views = found.views[(changes, 3)]
    assert views.shape == (3, len(rows), found.values.shape[1])
    hashes, _ = hash_images(made.manifest, made.root)
    body = nn.Sequential(*list(module.children())[:-1])
    for number in range(3):
        for at, row in enumerate(rows):
            rng = np.random.default_rng((4, 17, number, int(hashes[row][:16], 16)))
            image = decode(made.root / made.manifest.images[row])
            image = augment(image if changes.crop < 1 else INPUT.prepare(image), changes, INPUT, rng)
            with torch.inference_mode():
                expected = body(INPUT.normalise(image[None]))[0].numpy()
            assert np.abs(views[number, at] - expected).max() < 1e-5
    assert np.abs(views[0] - views[1]).max() > 1e-3
    other = run(made, tmp_path / "e", loaded(module), views=[(changes, 3)], seed=5).views[(changes, 3)]
    assert not np.array_equal(views, other)


def test_views_do_not_depend_on_threads_or_on_other_views(world: Callable, tmp_path: Path) -> None:
    made, module = world(24), network()
    few = run(made, tmp_path / "a", loaded(module), views=[(FLIPS, 1)], workers=0)
    many = run(made, tmp_path / "b", loaded(module), views=[(CROPS, 1), (FLIPS, 2)], workers=3)
    assert np.array_equal(few.views[(FLIPS, 1)][0], many.views[(FLIPS, 2)][0])


def test_a_stopped_pass_goes_on_and_ends_the_same(world: Callable, tmp_path: Path) -> None:
    made, counted = world(80), Counted(network())
    views = [(FLIPS, 1)]
    whole = run(made, tmp_path / "whole", loaded(counted), views=views)
    counted.images = 0
    polls = iter(range(1000))
    with pytest.raises(StoppedError, match="stopped after 48 of 120 embeddings: the same command resumes"):
        run(made, tmp_path / "e", loaded(counted), views=views, stop=lambda: next(polls) >= 3)
    assert counted.images == 48
    polls = iter(range(1000))
    with pytest.raises(StoppedError, match="stopped after 96 of 120"):
        run(made, tmp_path / "e", loaded(counted), views=views, stop=lambda: next(polls) >= 3)
    again = run(made, tmp_path / "e", loaded(counted), views=views)
    assert counted.images == 120
    assert np.array_equal(whole.values, again.values)
    assert np.array_equal(whole.views[views[0]], again.views[views[0]])
    assert _files(tmp_path / "whole") == _files(tmp_path / "e")


def test_killed_within_a_part_it_goes_on_and_ends_the_same(world: Callable, tmp_path: Path) -> None:
    made = world(60)
    driver = [sys.executable, str(Path(__file__).with_name("embed_driver.py")), str(made.root)]
    for dies_at, folders in ((39, ["e"]), (0, ["e", "whole"])):
        done = subprocess.run([*driver, str(dies_at), *(str(tmp_path / name) for name in folders)], timeout=120)
        assert done.returncode == (-signal.SIGKILL if dies_at else 0)
    parts = [path for path in _files(tmp_path / "e") if path.endswith(".parquet")]
    assert len(parts) == 6
    assert _files(tmp_path / "e") == _files(tmp_path / "whole")


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("damage", ["rubbish", "cut", "gone"])
def test_a_damaged_part_is_computed_again(world: Callable, tmp_path: Path, damage: str) -> None:
    made, counted = world(64), Counted(network())
    first = run(made, tmp_path / "e", loaded(counted))
    before = _files(tmp_path / "e")
    part = sorted((tmp_path / "e").rglob("000001-*.parquet"))[0]
    if damage == "gone":
        part.unlink()
    else:
        data = part.read_bytes()
        part.write_bytes(b"rubbish" if damage == "rubbish" else data[:-9])
    counted.images = 0
    again = run(made, tmp_path / "e", loaded(counted))
    assert counted.images == 16
    assert np.array_equal(first.values, again.values)
    assert _files(tmp_path / "e") == before


def test_memory_that_runs_out_halves_the_batch_for_good(world: Callable, tmp_path: Path) -> None:
    made, counted = world(40), Counted(network(), limit=5)
    run(made, tmp_path / "e", loaded(counted), batch_size=16)
    assert max(counted.batches) == 4
    polls = iter(range(10))
    with pytest.raises(StoppedError):
        run(made, tmp_path / "f", loaded(counted), batch_size=16, stop=lambda: next(polls) >= 1)
    counted.batches.clear()
    counted.limit = None
    run(made, tmp_path / "f", loaded(counted), batch_size=16)
    assert max(counted.batches) == 4
    assert _files(tmp_path / "e") == _files(tmp_path / "f")
    with pytest.raises(StoppedError, match="out of memory with a single image"):
        run(made, tmp_path / "g", loaded(Counted(network(), limit=0)))


def test_rows_that_fail_are_told_and_left_out(world: Callable, tmp_path: Path) -> None:
    made = world(24)
    names, train = made.manifest.images, made.manifest.rows("train")
    (made.root / names[train[2]]).write_bytes(b"rubbish")
    (made.root / names[3]).unlink()
    status = made.manifest.status.copy()
    status[7] = Status.EXCLUDED
    made.manifest = dataclasses.replace(made.manifest, status=status)
    for _ in range(2):  # the second time from the cache
        found = run(made, tmp_path / "e", loaded(network()), views=[(FLIPS, 2)])
        assert found.failed == {3: "file not found", int(train[2]): "not an image of a known format"}
        assert found.rows.tolist() == [row for row in range(24) if row not in (3, 7, train[2])]
        assert np.isfinite(found.values).all()
        assert found.views[(FLIPS, 2)].shape[1] == 11
        assert found.images_seen == 21 + 2 * 11


def test_no_image_at_all(world: Callable, tmp_path: Path) -> None:
    made = world(8)
    for path in made.root.iterdir():
        path.write_bytes(b"")
    found = run(made, tmp_path / "e", loaded(network()), views=[(FLIPS, 1)])
    assert len(found.rows) == found.images_seen == 0
    assert found.values.shape == (0, 128)
    assert found.views[(FLIPS, 1)].shape == (1, 0, 128)


def test_outputs_that_are_no_numbers_fail(world: Callable, tmp_path: Path) -> None:
    class Poisoned(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            found = self[0](images.flatten(1))
            found = torch.where(images.mean(dim=(1, 2, 3))[:, None] > self.above, torch.nan, found)
            return self[1](found)

    made = world(20)
    module = Poisoned(nn.Linear(16 * 16 * 3, 4), nn.Linear(4, 3)).eval()
    module.above = float(np.median([decode(made.root / name).float().mean() / 255 for name in made.manifest.images]))
    found = run(made, tmp_path / "e", loaded(module))
    assert len(found.failed) == 10
    assert set(found.failed.values()) == {"non-finite output"}


class Scaled(nn.Module):
    """Changes the outputs of its last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(images.mean(dim=(2, 3))) * 2


class PerPixel(nn.Module):
    """Averages over pixels after its last linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.last(images.flatten(2).transpose(1, 2)).mean(dim=1)


def pooled(*layers: nn.Module) -> nn.Module:
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (pooled(nn.Conv2d(3, 3, 1)), "the last layer of Sequential (0) is Conv2d, not Linear"),
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 3, bias=False)), "(1) has no bias"),
        (Scaled(), "last linear layer of Scaled is not what the network ends with"),
        (PerPixel(), "last linear layer of PerPixel gets shape (8, 256, 3) for 8 images"),
        (nn.Sequential(nn.Flatten(), nn.Linear(768, 4)), "no linear layer with 3 outputs"),
    ],
)
def test_networks_without_a_linear_head_are_refused(
    world: Callable, tmp_path: Path, module: nn.Module, message: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(world(8), tmp_path / "e", loaded(module.eval()))
    assert message in str(caught.value)
    assert "[model > architecture]" in str(caught.value)
    assert "no linear layer" in message or "scope full" in str(caught.value)


def test_another_class_order_is_refused(world: Callable, tmp_path: Path) -> None:
    model = dataclasses.replace(loaded(network()), labels=("red", "green", "blue"))
    with pytest.raises(InputError, match="use that order"):
        run(world(8), tmp_path / "e", model)


def test_the_network_is_left_without_hooks(world: Callable, tmp_path: Path) -> None:
    module = network()
    run(world(8), tmp_path / "e", loaded(module))
    assert not any(layer._forward_pre_hooks for layer in module.modules())


def test_progress_counts_every_embedding(world: Callable, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    class Listener:
        def step(self, name: str) -> None:
            raise AssertionError("steps belong to the pipeline")

        def update(self, done: int, total: int, text: str = "") -> None:
            told.append((done, total))

    run(world(40), tmp_path / "e", loaded(network()), views=[(FLIPS, 2)], progress=Listener())
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (80, 80)
