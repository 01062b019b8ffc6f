"""One process a run folder: a second one is told who holds it, and a dead holder is no obstacle."""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from imgid_audit.core.errors import InputError, Problem

NAME = ".lock"

_BUSY = (errno.EACCES, errno.EAGAIN, errno.EDEADLK)

_held: set[Path] = set()
_guard = threading.Lock()


class InUseError(InputError):
    """Another process holds it."""


class RunLock:
    """Context manager that holds `folder` for this process; `InputError` where another holds it.

    The operating system drops the lock when the process ends, however it ends. It is a POSIX record
    lock and not ``flock``: worker processes would inherit the latter, and outlive a killed parent
    with it for a while. A record lock does not keep a process from itself, so `_held` does.
    """

    def __init__(self, folder: Path) -> None:
        self.path = (folder / NAME).absolute()
        self._file: BinaryIO | None = None

    def __enter__(self) -> RunLock:
        holder = {"pid": os.getpid(), "host": socket.gethostname()}
        with _guard:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                real = self.path.resolve()
                if real in _held:  # before the file is opened: closing it again would drop the lock
                    raise self._refused(holder)
                file = os.fdopen(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644), "r+b", buffering=0)
            except OSError as error:
                raise self._unusable(error) from error
            try:
                _lock(file)
            except OSError as error:
                told = _holder(file)
                file.close()
                raise (self._refused(told) if error.errno in _BUSY else self._unusable(error)) from error
            self._file = file
            _held.add(real)
        try:
            file.seek(0)
            file.truncate()
            file.write(json.dumps(holder).encode())
        except BaseException:  # a full disk, say: what is not held must not look as if it were
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        # The file stays: deleting it would let two others lock two files of one name.
        with _guard:
            self._file.truncate(0)
            _unlock(self._file)
            self._file.close()
            self._file = None
            _held.discard(self.path.resolve())

    def _unusable(self, error: OSError) -> InputError:
        message = f"cannot be locked as a run folder ({error.strerror}): name another one with --out"
        return InputError(Problem(str(self.path.parent), message))

    def _refused(self, holder: dict[str, object]) -> InputError:
        who = f"process {holder['pid']} on {holder['host']}" if {"pid", "host"} <= set(holder) else "another process"
        message = f"is in use by {who}: wait for it, or name another folder with --out"
        return InUseError(Problem(str(self.path.parent), message))


def _holder(file: BinaryIO) -> dict[str, object]:
    """What the holder wrote of itself; nothing where it has not got so far."""
    try:
        file.seek(0)
        told = json.loads(file.read(4096))
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


if sys.platform == "win32":
    import msvcrt

    # Locked bytes cannot be read by others on Windows, so the locked byte lies beyond the text.
    _BYTE = 1 << 20

    def _lock(file: BinaryIO) -> None:
        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

    def _unlock(file: BinaryIO) -> None:
        file.seek(_BYTE)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(file: BinaryIO) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: BinaryIO) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN)
