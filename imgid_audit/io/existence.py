"""Are all the images there? Folders are listed once, instead of asking for every file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from imgid_audit.core.factor import Texts
from imgid_audit.io.messages import Remarks
from imgid_audit.io.paths import OutsideError, resolve_inside
from imgid_audit.io.tables import Table


def check_images(table: Table, column: str, images: Texts, root: Path, remarks: Remarks) -> None:
    """Add a problem for the rows whose path is refused, and one for those whose file is missing.

    Paths in a folder that is listed as plain files are settled by the listing; all others (symbolic
    links, odd spellings, missing ones) are resolved one by one.
    """
    if not root.is_dir():
        remarks.problem("[data > root]", f"{root} is no folder: image paths are relative to it")
        return
    doubtful = np.flatnonzero(~_listed_files(images, root))
    reasons: dict[str, list[int]] = {}
    for row in doubtful.tolist():
        reason = _reason(root, images[row])
        if reason is not None:
            reasons.setdefault(reason, []).append(row)
    for reason, rows in reasons.items():
        remarks.problem(table.where(column, np.array(rows)), f"{reason}: {images[rows[0]]!r}")


def _reason(root: Path, text: str) -> str | None:
    """Why the image at `text` cannot be used; None where it is a file inside the root."""
    try:
        path = resolve_inside(root, text)
    except OutsideError as error:
        return f"{error} (paths are relative to {root} and stay inside it)"
    return None if path.is_file() else f"no such file under {root}"


def _listed_files(images: Texts, root: Path) -> NDArray[np.bool_]:
    """Which paths (n,) are plain files in a folder that lies inside the root."""
    parts = pc.split_pattern(pa.array(images, pa.string()), "/", max_splits=1, reverse=True)
    depth = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    first = pc.list_element(parts, 0)
    below = depth == 2
    folders = np.where(below, first.to_numpy(zero_copy_only=False), "")
    there: list[str] = []
    for folder in sorted(set(folders)):
        there += [f"{folder}/{name}" if folder else name for name in _plain_files(root, folder)]
    found: NDArray[np.bool_] = pc.is_in(pa.array(images, pa.string()), pa.array(there, pa.string())).to_numpy(
        zero_copy_only=False
    )
    return found


def _plain_files(root: Path, folder: str) -> list[str]:
    try:
        path = resolve_inside(root, folder or ".")
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except (OutsideError, OSError):
        return []
