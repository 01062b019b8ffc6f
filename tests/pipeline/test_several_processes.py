"""`run` and `train` below torchrun: one audit, one report, one process that writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.pipeline import evaluate
from tests.tiny import tiny_config, write_tiny

TOGETHER = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    write_tiny(tmp_path, rows=60)
    train = {
        "epochs": 2, "lr": 0.01, "batch_size": 16, "device": "cpu",
        "search": {"trials": 2, "confirm": 2, "sampler": "random", "space": {"lr": [0.01, 0.02]}},
    }  # fmt: skip
    path = tmp_path / "audit.yaml"
    path.write_text(yaml.safe_dump(tiny_config(train=train)))
    return path


def command(verb: str, config: Path, out: Path, *, together: bool = True) -> subprocess.CompletedProcess[str]:
    parts = [sys.executable, *(TOGETHER if together else []), "-m", "imgid_audit.cli", verb, str(config)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TMPDIR": str(out.parent)}  # torchrun leaves a folder there
    return subprocess.run([*parts, "--out", str(out)], capture_output=True, text=True, timeout=500, env=environment)


@pytest.mark.slow
def test_two_processes_make_one_audit(config: Path, tmp_path: Path) -> None:
    """The first searches while the other waits; both train what was chosen; the first alone says what came out."""
    done = command("run", config, tmp_path / "run", together=True)
    assert "defect" not in done.stderr
    assert done.stdout.count(str(tmp_path / "run" / "audit.json")) == 1, done.stderr
    record = json.loads((tmp_path / "run" / "model" / "training.json").read_text())
    assert len(record["epochs"]) == 2
    assert not list((tmp_path / "run" / "model").glob("*.resume.pt"))
    again = command("train", config, tmp_path / "run", together=True)  # nothing is left to do, and neither waits
    assert again.returncode == 0, again.stderr
    assert again.stdout.count("weights.safetensors") == 1


@pytest.mark.slow
def test_all_processes_train_what_was_chosen(tmp_path: Path) -> None:
    """The weights are those that one process makes of the chosen settings; a rate of its own would show in them.

    Given is a rate that learns nothing, so that another is chosen; without batch norm, whose statistics are each
    process's own.
    """
    write_tiny(tmp_path, rows=60)
    model = {"architecture": "tests.vision.train_driver:without_norm", "input": {"size": 16}}
    train = {"epochs": 4, "lr": 1e-7, "batch_size": 16, "device": "cpu"}
    searched = {
        **train,
        "search": {"trials": 2, "confirm": 2, "sampler": "grid", "pruner": "none", "space": {"lr": [0.03]}},
    }
    for name, block in {"search": searched, "chosen": {**train, "lr": 0.03}, "given": train}.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(tiny_config(train=block, model=model)))
        done = command("train", tmp_path / f"{name}.yaml", tmp_path / name, together=name == "search")
        assert done.returncode == 0, done.stderr
    chosen = json.loads((tmp_path / "search" / "search" / "search.json").read_text())["search"]
    assert [trial["parameters"] for trial in chosen["trials"] if trial["number"] == chosen["chosen"]] == [{"lr": 0.03}]
    found, one, given = (
        load_file(tmp_path / name / "model" / "weights.safetensors") for name in ("search", "chosen", "given")
    )
    for name, value in one.items():
        torch.testing.assert_close(found[name], value, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(given["4.weight"], one["4.weight"], atol=1e-2)


@pytest.mark.slow
def test_what_is_wrong_ends_all(config: Path, tmp_path: Path) -> None:
    (tmp_path / "metadata.csv").unlink()
    done = command("train", config, tmp_path / "run")
    assert done.returncode != 0
    assert "metadata.csv" in done.stderr


def test_other_commands_are_refused(config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", "1")
    with pytest.raises(InputError, match="only `train` and `run` are for several processes"):
        evaluate(load_config(config), out=tmp_path / "run")
