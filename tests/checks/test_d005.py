"""D005: the same bytes in two splits."""

from __future__ import annotations

import numpy as np


def hashes(*texts: str | None) -> np.ndarray:
    return np.array(texts, dtype=object)


def test_shared_images_are_counted_by_pairs_of_splits(run, make) -> None:
    rows = make.manifest(["a"] * 7, split=["train", "train", "val", "test", "test", "test", "train"])
    finding = run("D005", rows, image_sha256=hashes("x", "y", "x", "x", "z", "z", "y"))
    assert (finding.status, finding.severity) == ("finding", "high")
    assert finding.evidence["shared"] == 1
    assert finding.evidence["images"] == 3
    assert finding.evidence["pairs"] == {"train, val": 1, "train, test": 1, "val, test": 1}
    assert finding.evidence["example_rows"] == [1, 3, 4]


def test_repeats_within_a_split_are_no_leak(run, make) -> None:
    rows = make.manifest(["a"] * 4, split=["train", "train", "test", "test"])
    assert run("D005", rows, image_sha256=hashes("x", "x", "y", "y")).status == "passed"


def test_a_tolerance_can_be_given(run, make) -> None:
    rows = make.manifest(["a"] * 2, split=["train", "test"])
    assert run("D005", rows, {"max_images": 1}, image_sha256=hashes("x", "x")).status == "passed"


def test_unread_and_excluded_images_are_left_out(run, make) -> None:
    rows = make.manifest(["a"] * 4, split=["train", "test", "train", "test"], excluded=[0])
    finding = run("D005", rows, image_sha256=hashes("x", "x", None, None))
    assert (finding.status, finding.evidence["unread"]) == ("passed", 2)


def test_what_cannot_be_asked(run, make) -> None:
    two = make.manifest(["a"] * 2, split=["train", "test"])
    assert run("D005", two).status == "skipped"
    assert run("D005", two, image_sha256=hashes(None, None)).status == "skipped"
    assert run("D005", make.manifest(["a"] * 2), image_sha256=hashes("x", "x")).status == "not_applicable"
    assert run("D005", make.manifest(["a"] * 2, split=["train", "test"], images=False)).status == "not_applicable"
