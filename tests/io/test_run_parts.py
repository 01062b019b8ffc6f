"""What differs between a run and the one that a folder holds is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.io.run_folder import RunFolder, run_key
from imgid_audit.io.run_parts import PARTS, note_parts, refuse_other

SETTINGS: dict[str, Any] = {"train": {"lr": 0.1, "groups": ["a"], "search": {"trials": 3}}, "model": {"size": 8}}


def parts(train: dict[str, Any] | None = None, **hashes: str) -> dict[str, Any]:
    settings = {**SETTINGS, "train": {**SETTINGS["train"], **(train or {})}}
    return {"settings": settings, "hashes": {"images": "x", **hashes}}


def opened(path: Path, of: dict[str, Any]) -> RunFolder:
    refuse_other(path, run_key(of), of)
    folder = RunFolder.open(path, run_key(of))
    note_parts(path, of)
    return folder


def test_every_difference_is_named_and_nothing_else(tmp_path: Path) -> None:
    opened(tmp_path / "run", parts())
    opened(tmp_path / "run", parts())  # the same run goes on
    before = sorted(tmp_path.rglob("*"))
    other = parts({"search": {"trials": 5, "minutes": 2}, "groups": ["a", "b"]}, images="y", init="z")
    with pytest.raises(InputError) as caught:
        opened(tmp_path / "run", other)
    told = str(caught.value)
    assert f"holds another run (key {run_key(parts())[:12]}, this one has {run_key(other)[:12]})" in told
    assert "train > search > trials (3 there, 5 here)" in told
    assert "train > search > minutes (absent there, 2 here)" in told
    assert 'train > groups (["a"] there, ["a", "b"] here)' in told
    assert "the contents of the images; the contents of the init: name another folder with --out" in told
    assert "lr" not in told
    assert "model" not in told
    assert sorted(tmp_path.rglob("*")) == before


def test_of_many_differences_some_are_named(tmp_path: Path) -> None:
    opened(tmp_path / "run", parts())
    with pytest.raises(InputError, match=r"and 4 more: name another folder"):
        opened(tmp_path / "run", parts({f"x{n}": n for n in range(10)}))


def test_a_folder_that_does_not_tell_is_refused_by_its_key(tmp_path: Path) -> None:
    opened(tmp_path / "run", parts())
    for text in (None, "{", '{"settings": 1}', '{"settings": {}, "hashes": {}}'):
        path = tmp_path / "run" / PARTS
        path.unlink() if text is None else path.write_text(text)
        with pytest.raises(InputError, match=r"holds another run .*train or predict settings or their files"):
            opened(tmp_path / "run", parts({"lr": 1}))


def test_a_run_that_was_forgotten_leaves_nothing_to_compare_with(tmp_path: Path) -> None:
    opened(tmp_path / "run", parts()).forget_if_bare()
    assert list((tmp_path / "run").iterdir()) == []
    opened(tmp_path / "run", parts({"lr": 1}))
    with pytest.raises(InputError, match=r"train > lr \(1 there, 0.1 here\)"):
        opened(tmp_path / "run", parts())
