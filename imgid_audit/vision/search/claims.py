"""Which process has a trial in hand: a lock that the operating system drops when the process ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from imgid_audit.io.lock import InUseError, RunLock

PAUSE = 0.05
"""Seconds between two looks at a lock that another process holds for a moment."""


class Claim(RunLock):
    """The lock of one file, for as long as it is held."""

    def __init__(self, file: Path) -> None:
        super().__init__(file.parent)
        self.path = file.absolute()

    def take(self) -> bool:
        """Whether it is now held; False where another has it."""
        try:
            self.__enter__()
        except InUseError:
            return False
        return True

    def drop(self) -> None:
        self.__exit__(None, None, None)


@contextmanager
def alone(file: Path, stop: Callable[[], bool]) -> Iterator[bool]:
    """True once no other process is in here; False where `stop` said so before."""
    claim = Claim(file)
    try:
        while not claim.take():
            if stop():
                yield False
                return
            time.sleep(PAUSE)
        yield True
    finally:
        claim.drop()
