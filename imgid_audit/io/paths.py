"""Paths that come from a table are resolved inside the data root, or refused."""

from __future__ import annotations

from pathlib import Path


class OutsideError(ValueError):
    """A path of a table that is empty, malformed or leads out of the data root; its text is the reason."""


def resolve_inside(root: Path, text: str) -> Path:
    """The real path of `text`, relative to `root` (or absolute below it), symbolic links followed.

    The file need not exist. Raises `OutsideError` where the path is empty, holds a NUL, loops, or
    ends outside `root` through ``..``, an absolute path or a symbolic link: a table must not be
    able to name any file of the machine.
    """
    if not text.strip():
        raise OutsideError("empty path")
    if "\0" in text:
        raise OutsideError("path holds a NUL character")
    try:
        base = root.resolve()
        path = (base / text).resolve()
    except (OSError, RuntimeError):
        raise OutsideError("path cannot be resolved (a loop of symbolic links?)") from None
    if not path.is_relative_to(base):
        raise OutsideError("path leads outside the data root")
    return path
