"""Content hashes: the digest changes with any image, and with nothing else."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.io.content import hash_file, hash_images


def manifest(images: list[str], excluded: tuple[int, ...] = ()) -> Manifest:
    n = len(images)
    status = np.full(n, Status.PENDING, dtype=np.int8)
    status[list(excluded)] = Status.EXCLUDED
    zeros = np.zeros(n, dtype=np.int32)
    texts = np.array(images, dtype=object)
    split = Factor("split", SPLITS, zeros)
    return Manifest(texts, Factor("label", ("a",), zeros), split, (), None, texts, status, np.full(n, "", dtype=object))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    for name in "abc":
        (folder / name).write_bytes(name.encode() * 100_000)
    return folder


def test_hashes_are_sha256_of_the_bytes(root: Path) -> None:
    hashes, _ = hash_images(manifest(["b", "a"]), root)
    assert list(hashes) == [hashlib.sha256(name * 100_000).hexdigest() for name in (b"b", b"a")]
    assert hash_file(root / "b") == hashes[0]


def test_no_hash_where_there_is_nothing_to_read(root: Path) -> None:
    (root.parent / "outside").write_bytes(b"x")
    hashes, _ = hash_images(manifest(["a", "gone", "../outside", "b", "."], excluded=(3,)), root)
    assert [value is None for value in hashes] == [False, True, True, True, True]


def test_digest_is_stable_and_independent_of_threads_and_place(root: Path, tmp_path: Path) -> None:
    table = manifest(["a", "b", "c"])
    first = hash_images(table, root, threads=1)[1]
    moved = root.rename(tmp_path / "elsewhere")
    assert hash_images(table, moved, threads=4)[1] == first


def test_digest_changes_with_content_order_and_absence(root: Path) -> None:
    digests = {
        hash_images(manifest(["a", "b", "c"]), root)[1],
        hash_images(manifest(["b", "a", "c"]), root)[1],
        hash_images(manifest(["a", "b", "c"], excluded=(1,)), root)[1],
        hash_images(manifest(["a", "b"]), root)[1],
    }
    (root / "c").write_bytes(b"c" * 99_999 + b"d")
    digests.add(hash_images(manifest(["a", "b", "c"]), root)[1])
    (root / "c").unlink()
    digests.add(hash_images(manifest(["a", "b", "c"]), root)[1])
    assert len(digests) == 6
