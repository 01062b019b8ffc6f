"""Files appear whole or not at all: written beside, synced, renamed, and the folder synced."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import socket
import time
from functools import cache
from pathlib import Path
from typing import Any

FORGOTTEN = 24 * 3600.0
"""Seconds after which a temporary file of another machine, of whose processes nothing is known, is a leftover."""

_SUFFIX = ".partial"
_serial = itertools.count()


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data` durably; a crash at any point leaves the old file or the new one.

    Missing parent folders are made. The temporary file lies in the same folder, because a rename
    is atomic only within one file system; its short name fits wherever `path` itself fits.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = temporary(path.parent, os.getpid())
    try:
        with beside.open("wb") as file:  # one of this name is of a dead process that had our number
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def temporary(folder: Path, process: int) -> Path:
    """Where that process of this machine writes a file of `folder` before it is whole."""
    return folder / f".{_here()}-{process}-{next(_serial)}{_SUFFIX}"


def write_text(path: Path, text: str) -> None:
    """`write_bytes` of UTF-8 text; line ends are kept as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: Any) -> None:
    """`write_bytes` of sorted, indented JSON. NaN and infinity raise `ValueError`: they are not JSON."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def remove_leftovers(folder: Path) -> int:
    """Delete temporary files of writers that were killed; those of other processes at work here stay."""
    leftovers = [path for path in folder.glob(f".*{_SUFFIX}") if path.is_file() and not _written_now(path)]
    for path in leftovers:
        path.unlink(missing_ok=True)
    return len(leftovers)


def _written_now(path: Path) -> bool:
    """Whether another living process may be writing the temporary file: its name tells whose it is."""
    here, _, number = path.name[1:].rpartition("-")[0].rpartition("-")
    if here != _here():
        try:
            return time.time() - path.stat().st_mtime < FORGOTTEN
        except OSError:
            return False
    if os.name == "nt" or not number.isdecimal() or int(number) in (0, os.getpid()):
        return False
    try:
        os.kill(int(number), 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


@cache
def _here() -> str:
    """Names the machine, or the container on it, within which process numbers are unique."""
    try:
        numbers = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        numbers = ""
    return hashlib.sha256(f"{socket.gethostname()} {numbers}".encode()).hexdigest()[:8]


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable. Windows cannot open folders and needs no such call."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
