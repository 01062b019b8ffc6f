"""Commands that open one run folder at the same moment: none is refused for the moment that another takes."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import job
from imgid_audit.vision.search import claims

OPENS = """
import sys, time
from pathlib import Path
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import job

plain = RunFolder.open

def slow(path, key):
    print("opening", flush=True)
    sys.stdin.readline()
    return plain(path, key)

RunFolder.open = slow
with job._opened(Path(sys.argv[1]), "k", alone=sys.argv[2] == "alone"):
    print("opened", flush=True)
    sys.stdin.readline()
"""


def opening(folder: Path, how: str) -> subprocess.Popen[str]:
    """A process that has begun to open `folder`, and goes on with the next line that it is sent."""
    command = [sys.executable, "-c", OPENS, str(folder), how]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "opening\n"
    return process


@pytest.mark.parametrize(("first", "second"), [("beside", False), ("beside", True), ("alone", False)])
def test_who_comes_while_another_opens_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str, second: bool
) -> None:
    """Two of `search`, or one and `run`, in either order."""
    other = opening(tmp_path / "run", first)
    pauses = []

    def pause(seconds: float) -> None:
        if not pauses:
            assert other.stdin is not None
            other.stdin.write("\n")
            other.stdin.flush()
        pauses.append(seconds)
        time.sleep(seconds)

    monkeypatch.setattr(claims, "time", type("Time", (), {"sleep": staticmethod(pause)}))
    with job._opened(tmp_path / "run", "k", alone=second) as folder:
        assert folder.key == "k"
        assert pauses
    assert other.communicate("\n", timeout=300)[0] == "opened\n"
    assert other.returncode == 0


def test_one_that_does_not_get_on_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = opening(tmp_path / "run", "beside")
    monkeypatch.setattr(job, "PATIENCE", 0.0)
    with (
        pytest.raises(InputError, match="being opened by another process that does not get on"),
        job._opened(tmp_path / "run", "k", alone=True),
    ):
        pass
    other.kill()
    other.communicate()


def test_beside_a_run_of_other_settings_nobody_works(tmp_path: Path) -> None:
    with job._opened(tmp_path / "run", "k", alone=True):
        with job._opened(tmp_path / "run", "k", alone=False) as folder:
            assert folder.key == "k"
        with pytest.raises(InputError, match="in use by process"), job._opened(tmp_path / "run", "k", alone=True):
            pass
        with pytest.raises(InputError, match="holds another run"), job._opened(tmp_path / "run", "o", alone=False):
            pass


def test_a_folder_in_which_a_search_was_begun_keeps_its_key(tmp_path: Path) -> None:
    """A command that is refused in it, `evaluate` before the search is done say, must not take its name away."""
    folder = RunFolder.open(tmp_path, "k")
    folder.search.mkdir()
    (folder.search / "study.db").touch()
    folder.forget_if_bare()
    assert folder.key == "k"
    (folder.search / "study.db").unlink()
    folder.forget_if_bare()
    assert folder.key == ""
