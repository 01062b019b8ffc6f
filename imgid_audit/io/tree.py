"""A folder with one sub-folder a label, as `torchvision.datasets.ImageFolder` reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.messages import Remarks, listed
from imgid_audit.io.tables import Table

EXTENSIONS = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_SPLIT_NAMES = frozenset({"train", "training", "val", "valid", "validation", "test", "testing"})


def read_tree(folder: Path, image: str, label: str, remarks: Remarks) -> Table:
    """Images below each sub-folder, at any depth, as a table with the columns `image` and `label`.

    Paths are relative to `folder`, with ``/``, in sorted order. Hidden files and files that are no
    images by their extension are left out, and a note counts them. Raises `InputError` where there
    is no image, and where the sub-folders look like splits instead of labels.
    """
    kept, hidden, others = _walk(folder)
    loose = [path for path in kept if "/" not in path]
    if loose:
        remarks.problem(str(folder), f"has images outside its sub-folders, so without a label: {listed(loose, 5)}")
    paths = sorted(path for path in kept if "/" in path)
    labels = [path.partition("/")[0] for path in paths]
    if not paths:
        raise InputError(Problem(str(folder), "has no images in sub-folders: it needs one sub-folder a label"))
    if set(labels) <= _SPLIT_NAMES:
        message = f"has the sub-folders {listed(sorted(set(labels)))}, which look like splits and not like labels"
        raise InputError(Problem(str(folder), f"{message}: list the images in a table with a split column"))
    for count, what in ((hidden, "hidden files"), (others, "files that are no images by their extension")):
        if count:
            remarks.note(f"{folder.name}: {count:,} {what} left out")
    columns = {image: pa.chunked_array([pa.array(paths)]), label: pa.chunked_array([pa.array(labels)])}
    return Table(folder.name, len(paths), (image, label), columns)


def _walk(folder: Path) -> tuple[list[str], int, int]:
    """Relative paths of the images, and how many hidden and other files there are besides."""
    kept: list[str] = []
    hidden = others = 0
    for base, folders, files in os.walk(folder):
        relative = Path(base).relative_to(folder)
        below_hidden = any(part.startswith(".") for part in relative.parts)
        folders.sort()
        for name in files:
            if below_hidden or name.startswith("."):
                hidden += 1
            elif Path(name).suffix.lower() not in EXTENSIONS:
                others += 1
            else:
                kept.append((relative / name).as_posix())
    return kept, hidden, others
