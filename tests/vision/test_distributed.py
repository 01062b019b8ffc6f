"""Several processes train as one: the same weights, one writer, and none that waits for another that is gone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from imgid_audit.core.errors import InputError
from imgid_audit.vision import distributed
from imgid_audit.vision.distributed import ALONE, World, announced, current, joined
from imgid_audit.vision.meters import Meters

DRIVER = Path(__file__).with_name("train_driver.py")
TOGETHER = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def processes(images: Path, out: Path, rows: int, fault: str = "none", *, count: int = 2, **settings: object):
    command = [*(TOGETHER if count > 1 else [sys.executable]), str(DRIVER), str(images), str(out), str(rows), fault]
    command += [f"{key}={json.dumps(value)}" for key, value in settings.items()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(out.parent)}  # torchrun leaves a folder there
    return subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)


LEFT = "StoppedError: another process of this training ended"


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "weights.safetensors")


def curves(folder: Path) -> list[dict[str, object]]:
    return json.loads((folder / "training.json").read_text())["epochs"]


@pytest.mark.slow
def test_two_processes_leave_the_weights_of_one_and_one_of_them_writes(world: Callable, tmp_path: Path) -> None:
    """Batches of 16 of 61 rows: the last has 13, so stripes differ; two images do not decode."""
    made = world(122)
    (made.root / made.manifest.images[0]).write_bytes(b"no image")
    (made.root / made.manifest.images[2]).write_bytes(b"no image")
    options = {"select": "worst_group", "groups": ["device"], "average": {"method": "ema", "decay": 0.9}}
    one = processes(made.root, tmp_path / "one", 122, count=1, **options)
    two = processes(made.root, tmp_path / "two", 122, **options)
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    alone, together = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name, value in alone.items():
        torch.testing.assert_close(together[name], value, rtol=1e-4, atol=1e-5)
    for first, second in zip(curves(tmp_path / "one"), curves(tmp_path / "two"), strict=True):
        assert first["images_seen"] == second["images_seen"]
        assert first["train_loss"] == pytest.approx(second["train_loss"], abs=1e-4)
        assert first["val_loss"] == pytest.approx(second["val_loss"], abs=1e-4)
        assert first["val_slices"] == second["val_slices"]
    # Both processes return the same record, and the folder holds the files of one writer.
    assert (tmp_path / "two.0.json").read_text() == (tmp_path / "two.1.json").read_text()
    assert len(json.loads((tmp_path / "two" / "training.json").read_text())["undecodable"]) == 2
    assert sorted(path.name for path in (tmp_path / "two").iterdir()) == ["training.json", "weights.safetensors"]


@pytest.mark.slow
def test_a_killed_training_of_two_processes_goes_on_to_the_same_weights(world: Callable, tmp_path: Path) -> None:
    made = world(64)
    assert processes(made.root, tmp_path / "whole", 64).returncode == 0
    assert processes(made.root, tmp_path / "parts", 64, "kill:2").returncode != 0
    assert not (tmp_path / "parts" / "training.json").exists()
    done = processes(made.root, tmp_path / "parts", 64)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "parts" / "weights.safetensors").read_bytes() == (
        tmp_path / "whole" / "weights.safetensors"
    ).read_bytes()
    assert curves(tmp_path / "parts") == curves(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "settings", "told"),
    [
        ("raise:3", {}, ["ValueError: planted in the second process", LEFT]),
        ("memory:3", {}, ["StoppedError: out of memory", LEFT]),
        ("dies:3", {}, [LEFT]),
        ("stop:3", {}, ["StoppedError: training stopped in epoch"] * 2),
        ("none", {"optimizer": "sgd", "lr": 1e30, "schedule": "constant"}, ["DivergedError: "] * 2),
    ],
)
def test_none_waits_for_one_that_ended(
    world: Callable, tmp_path: Path, fault: str, settings: dict[str, object], told: list[str]
) -> None:
    """Each says why it ended: one that waited would be killed by torchrun, and say nothing."""
    made = world(64)
    done = processes(made.root, tmp_path / "model", 64, fault, **settings)
    assert done.returncode != 0
    assert all(done.stderr.count(one) >= told.count(one) for one in told), done.stderr
    assert not (tmp_path / "model" / "training.json").exists()


@pytest.mark.slow
def test_batch_norm_and_a_swa_leave_one_network(world: Callable, tmp_path: Path) -> None:
    """With batch norm each process has statistics of its own on the CPU: still both end with one network."""
    made = world(96)
    options = {"architecture": "smallcnn", "average": {"method": "swa", "start": 0.3}, "patience": 2, "accumulate": 2}
    done = processes(made.root, tmp_path / "model", 96, **options)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "model.0.json").read_text() == (tmp_path / "model.1.json").read_text()
    assert curves(tmp_path / "model")[-1]["val_accuracy"] > 0.8


@pytest.mark.slow
def test_a_stripe_of_one_image_is_learnt_from(world: Callable, tmp_path: Path) -> None:
    """Stripes of two, of some of which one does not decode: without batch norm nothing that decodes is lost."""
    made = world(64)
    for row in (0, 1, 4, 5, 8):
        (made.root / made.manifest.images[row]).write_bytes(b"no image")
    one = processes(made.root, tmp_path / "one", 64, count=1, batch_size=4)
    two = processes(made.root, tmp_path / "two", 64, batch_size=4)
    assert (one.returncode, two.returncode) == (0, 0), two.stderr
    seen = [json.loads((tmp_path / name / "training.json").read_text())["images_seen"] for name in ("one", "two")]
    assert seen == [3 * 27, 3 * 27]
    for name, value in weights(tmp_path / "one").items():
        torch.testing.assert_close(weights(tmp_path / "two")[name], value, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [2, 3, 7])
@pytest.mark.parametrize("rows", [0, 1, 2, 3, 8, 13, 64])
def test_stripes_are_the_batch(size: int, rows: int) -> None:
    batch = np.arange(rows) + 5
    stripes = [World(rank, size).stripe(batch) for rank in range(size)]
    np.testing.assert_array_equal(np.concatenate(stripes), batch)
    assert all(len(stripe) != 1 for stripe in stripes) or rows == 1
    used = [len(stripe) for stripe in stripes if len(stripe)]
    assert not used or max(used) - min(used) <= 1


class Told(World):
    """A world in which the other processes have said what they have to say."""

    __slots__ = ("others",)

    def gathered(self, value):
        return [value, *self.others.pop(0)]


def test_meters_of_two_processes_are_those_of_all_rows() -> None:
    rng = np.random.default_rng(0)
    predicted, label, group = (torch.from_numpy(rng.integers(0, n, 50)) for n in (3, 3, 2))
    loss = torch.from_numpy(rng.random(50).astype(np.float32))

    def counted(rows: slice) -> Meters:
        meters = Meters(3, 2)
        if len(predicted[rows]):
            meters.update(predicted[rows], label[rows], group[rows], loss[rows])
        return meters

    whole = counted(slice(0, 50))
    for split in (0, 20, 50):
        mine, other = counted(slice(0, split)), counted(slice(split, 50))
        world = Told(0, 2)
        states = [[metric.metric_state] for metric in (other._loss, other._classes, other._groups)]
        object.__setattr__(world, "others", states)
        mine.share(world)
        assert mine.rows == 50
        assert (mine.accuracy, mine.class_accuracy, mine.group_accuracy) == (
            whole.accuracy,
            whole.class_accuracy,
            whole.group_accuracy,
        )
        assert mine.loss == pytest.approx(whole.loss, rel=1e-6)


def test_alone_nothing_is_sent() -> None:
    model = nn.Linear(2, 2)
    assert ALONE.sums(1.5, True) == (1.5, True)
    assert ALONE.gathered("x") == ["x"]
    assert ALONE.of_first(lambda: 3) == 3
    ALONE.add_gradients(model.parameters())
    assert ALONE.prepared(model, torch.device("cuda")) is model
    assert current() is ALONE
    with joined() as world:
        assert world is ALONE


def test_an_environment_that_is_not_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="RANK, LOCAL_RANK, MASTER_ADDR, MASTER_PORT is not set"):
        announced()
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.setenv(name, "1")
    assert announced() == World(1, 2)
    monkeypatch.setenv("RANK", "one")
    with pytest.raises(InputError, match="whole numbers"):
        announced()


def test_started_again_by_torchrun_they_wait_for_the_first_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun's store outlives a start that failed: that the first came then says nothing of now."""
    kept: set[str] = set()

    class Store:
        def __init__(self, *_: object, **__: object) -> None: ...

        def set(self, key: str, _: str) -> None:
            kept.add(key)

        def check(self, keys: list[str]) -> bool:
            return set(keys) <= kept

    waits = []

    def first_comes(seconds: float) -> None:
        waits.append(seconds)
        distributed._await_first(World(0, 2))

    monkeypatch.setattr(torch.distributed, "TCPStore", Store)
    monkeypatch.setattr(distributed, "time", type("Time", (), {"sleep": staticmethod(first_comes)}))
    named = {"TORCHELASTIC_USE_AGENT_STORE": "True", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for start in range(2):
        for name, value in {**named, "TORCHELASTIC_RESTART_COUNT": str(start)}.items():
            monkeypatch.setenv(name, value)
        distributed._await_first(World(1, 2))
        assert len(waits) == start + 1


def test_each_process_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    world = World(1, 3)
    assert [world.device(wanted) for wanted in ("auto", "cuda", "cpu")] == ["cuda:1", "cuda:1", "cpu"]
    with pytest.raises(InputError, match="one GPU for 3 processes"):
        world.device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="more processes than the 2 GPUs"):
        world.device("auto")
    assert ALONE.device("cuda:0") == "cuda:0"
