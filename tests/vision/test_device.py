"""Devices, precisions and sizes that are asked for, and those that are not there."""

from __future__ import annotations

import pytest
import torch

from imgid_audit.core.errors import InputError
from imgid_audit.vision.device import (
    auto_batch_size,
    auto_threads,
    autocast,
    is_out_of_memory,
    memory_format,
    resolve_device,
    resolve_precision,
)

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


def machine(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.mark.parametrize(("cuda", "mps", "found"), [(2, True, "cuda"), (0, True, "mps"), (0, False, "cpu")])
def test_auto_takes_the_fastest(monkeypatch: pytest.MonkeyPatch, cuda: int, mps: bool, found: str) -> None:
    machine(monkeypatch, cuda, mps)
    assert resolve_device("auto").type == found


def test_named_device(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 2, False)
    assert resolve_device("cpu") == CPU
    assert resolve_device("cuda:1").index == 1
    with pytest.raises(InputError, match="cuda:2 asked for, but torch finds 2 CUDA devices"):
        resolve_device("cuda:2")
    with pytest.raises(InputError, match="mps asked for"):
        resolve_device("mps")
    machine(monkeypatch, 0, True)
    assert resolve_device("mps") == MPS
    with pytest.raises(InputError, match="finds 0 CUDA devices"):
        resolve_device("cuda")


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: True)
    assert resolve_precision("auto", CUDA, training=True) == torch.bfloat16
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    assert resolve_precision("auto", CUDA, training=True) == torch.float16
    assert resolve_precision("auto", CUDA, training=False) == torch.float32
    assert resolve_precision("auto", CPU, training=True) == torch.float32
    assert resolve_precision("bfloat16", CPU, training=False) == torch.bfloat16
    with pytest.raises(InputError, match="float16 is not for the CPU"):
        resolve_precision("float16", CPU, training=True)


def test_autocast_is_mixed_precision_or_nothing() -> None:
    layer, images = torch.nn.Linear(4, 4), torch.rand(2, 4)
    with autocast(CPU, torch.float32):
        assert layer(images).dtype == torch.float32
    with autocast(CPU, torch.bfloat16):
        assert layer(images).dtype == torch.bfloat16


def test_layout_and_sizes() -> None:
    assert memory_format(CPU) == memory_format(CUDA) == torch.channels_last
    assert memory_format(MPS) == torch.contiguous_format
    assert auto_batch_size(CPU, 224) == 32
    assert auto_batch_size(CUDA, 224) == 256
    assert auto_batch_size(CPU, 28) == 512
    assert auto_batch_size(CPU, 4096) == 1
    assert 1 <= auto_threads(CPU) <= auto_threads(CUDA) <= 16


def test_what_counts_as_out_of_memory() -> None:
    assert is_out_of_memory(torch.OutOfMemoryError("x"))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(ValueError("out of memory"))
