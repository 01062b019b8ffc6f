"""Hashes of files and of image content. Imports no torch."""

from __future__ import annotations

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from imgid_audit.core.factor import Texts
from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.io.paths import OutsideError, resolve_inside


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits. OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_texts(texts: Texts) -> str:
    """SHA-256 of texts in their order, told apart whatever they hold."""
    return hashlib.sha256(json.dumps(texts.tolist(), ensure_ascii=False).encode()).hexdigest()


def hash_images(manifest: Manifest, root: Path, *, threads: int | None = None) -> tuple[Texts, str]:
    """SHA-256 of every image that is not excluded, and one digest of them all in manifest order.

    Returns `(hashes, digest)`: `hashes` (n,) holds 64 hexadecimal digits, or None where the row is
    excluded, the path leads outside `root` or the file cannot be read. The digest changes whenever
    an image is changed, added, removed, becomes unreadable or moves to another row; it does not
    depend on `threads` or on where `root` lies.
    """
    hashes: Texts = np.full(len(manifest), None, dtype=object)
    images = manifest.images
    if images is not None:
        base = root.resolve()

        def of_row(row: int) -> str | None:
            text = images[row]
            try:
                return None if text is None else hash_file(resolve_inside(base, text))
            except (OutsideError, OSError):
                return None

        wanted = np.flatnonzero(manifest.status != Status.EXCLUDED)
        with ThreadPoolExecutor(threads or min(8, os.cpu_count() or 1)) as pool:
            hashes[wanted] = list(pool.map(of_row, wanted.tolist()))
    lines = "".join(f"{value or '-'}\n" for value in hashes)
    return hashes, hashlib.sha256(lines.encode()).hexdigest()
