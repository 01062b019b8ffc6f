"""A file is the old one or the new one, whatever happens in between."""

from __future__ import annotations

import itertools
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgid_audit.io import atomic


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "er" / "file.bin"
    atomic.write_bytes(path, b"one")
    atomic.write_bytes(path, b"two\0")
    assert path.read_bytes() == b"two\0"
    assert names(path.parent) == ["file.bin"]


def test_longest_names_fit(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    atomic.write_bytes(path, b"x")
    assert path.read_bytes() == b"x"


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failure_before_the_rename_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(*((os, "fsync", fail) if step == "fsync" else (Path, "replace", fail)))
    with pytest.raises(OSError, match="disk full"):
        atomic.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["file"]


def test_death_before_the_rename_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic.write_bytes(path, b"old")
    script = (
        "import os, sys; from pathlib import Path; from imgid_audit.io import atomic\n"
        "Path.replace = lambda *_: os._exit(9)\n"
        "atomic.write_bytes(Path(sys.argv[1]), b'new')"
    )
    assert subprocess.run([sys.executable, "-c", script, str(path)], check=False).returncode == 9
    assert path.read_bytes() == b"old"
    assert len(names(tmp_path)) == 2, "the dead writer's temporary file"
    assert atomic.remove_leftovers(tmp_path) == 1
    assert names(tmp_path) == ["file"]


@pytest.mark.parametrize("where", ["another container", "another machine's older version"])
def test_what_another_machine_writes_into_the_same_folder_is_let_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Two containers share a folder, and each has our process number: nobody here can tell that it is alive."""
    with monkeypatch.context() as patched:
        patched.setattr(atomic, "_here", lambda: "elsewhere")
        written = atomic.temporary(tmp_path, os.getpid())
    if where != "another container":
        written = tmp_path / f".{os.getpid()}-0.partial"
    written.write_bytes(b"half")
    assert atomic.remove_leftovers(tmp_path) == 0
    monkeypatch.setattr(atomic, "_serial", itertools.count())
    atomic.write_bytes(tmp_path / "file", b"ours")
    assert written.read_bytes() == b"half"
    old = time.time() - 2 * atomic.FORGOTTEN
    os.utime(written, (old, old))
    assert atomic.remove_leftovers(tmp_path) == 1


def test_a_leftover_of_our_own_number_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container every process has the same number, and counts its files anew."""
    monkeypatch.setattr(atomic, "_serial", itertools.count())
    atomic.temporary(tmp_path, os.getpid()).write_bytes(b"longer than what comes after it")
    monkeypatch.setattr(atomic, "_serial", itertools.count())
    atomic.write_bytes(tmp_path / "file", b"new")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert names(tmp_path) == ["file"]


def test_bytes_are_synced_before_the_rename_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def spy_sync(handle: int) -> None:
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        fsync(handle)

    def spy_replace(self: Path, target: Path) -> Path:
        steps.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", spy_sync)
    monkeypatch.setattr(Path, "replace", spy_replace)
    atomic.write_bytes(tmp_path / "file", b"x")
    assert steps == ["file", "rename", "folder"]


def test_json_is_sorted_and_has_no_nan(tmp_path: Path) -> None:
    atomic.write_json(tmp_path / "a.json", {"b": 1, "a": "é"})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n "a": "é",\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        atomic.write_json(tmp_path / "a.json", {"b": float("nan")})
