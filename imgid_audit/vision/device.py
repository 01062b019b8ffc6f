"""Which device computes, in which precision and memory layout."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

from imgid_audit.core.errors import InputError, Problem, StoppedError

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def resolve_device(wanted: str = "auto") -> torch.device:
    """The device named, or for ``auto`` the first there is of cuda, mps and cpu.

    Raises `InputError` where a device is named that this machine does not have.
    """
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= count:
            raise InputError(Problem("[device]", f"{wanted} asked for, but torch finds {count} CUDA devices: use auto"))
    if device.type == "mps" and not _has_mps():
        raise InputError(Problem("[device]", "mps asked for, but this machine has none that torch can use: use auto"))
    return device


def resolve_precision(wanted: str, device: torch.device, *, training: bool) -> torch.dtype:
    """The dtype to compute in; float32 means no autocast.

    ``auto`` trains in bfloat16 (else float16) on CUDA and in float32 elsewhere; it always predicts
    in float32, because scores rounded to a half type tie, and ties move thresholds and AUROC.
    """
    if wanted == "auto":
        if not training or device.type != "cuda":
            return torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if wanted == "float16" and device.type == "cpu":
        raise InputError(Problem("[precision]", "float16 is not for the CPU: use float32 or bfloat16"))
    return PRECISIONS[wanted]


def autocast(device: torch.device, dtype: torch.dtype) -> contextlib.AbstractContextManager[None]:
    """Mixed precision in `dtype`; nothing for float32."""
    return contextlib.nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype)


def memory_format(device: torch.device) -> torch.memory_format:
    """Channels-last where it is faster (CUDA and CPU)."""
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def auto_batch_size(device: torch.device, size: int) -> int:
    """Images of `size` pixels a side for one forward pass, before any out-of-memory halving."""
    at_224 = {"cuda": 256, "mps": 64}.get(device.type, 32)
    return min(512, max(1, at_224 * 224 * 224 // size**2))


def auto_threads(device: torch.device) -> int:
    """Decoding threads: all cores for a GPU, half of them beside computation on the CPU; 16 at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(16, max(1, cores // 2) if device.type == "cpu" else cores)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that memory ran out, on any device."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "can't allocate memory" in text)


@contextlib.contextmanager
def memory_for(what: str, advice: str) -> Iterator[None]:
    """What says in this block that memory ran out becomes a `StoppedError` that names `what` it ran out for."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise StoppedError(f"out of memory {what}: {advice}") from error


def free_memory(device: torch.device) -> None:
    """Give cached blocks back before trying a smaller batch."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def _has_mps() -> bool:
    return bool(torch.backends.mps.is_available())
