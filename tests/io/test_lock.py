"""Two runs cannot work in one folder; the dead are no obstacle."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.io import lock
from imgid_audit.io.lock import NAME, RunLock

HOLD = """
import os, sys
from pathlib import Path
from imgid_audit.io.lock import RunLock
with RunLock(Path(sys.argv[1])):
    if "fork" in sys.argv:
        if os.fork() == 0:
            sys.stdin.read()
    print("held", flush=True)
    sys.stdin.read()  # until it is killed, however long that takes
"""


def holder(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", HOLD, str(folder), *arguments]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def end_group(process: subprocess.Popen[str]) -> None:
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def test_second_process_is_told_who_holds_it(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        with (
            pytest.raises(InputError, match=rf"in use by process {process.pid} on .*--out") as caught,
            RunLock(tmp_path),
        ):
            pass
        assert caught.value.exit_code == 2
    finally:
        end_group(process)


def test_a_killed_holder_is_no_obstacle(tmp_path: Path) -> None:
    end_group(holder(tmp_path))
    assert (tmp_path / NAME).read_text() != "", "the dead holder's text is still there"
    with RunLock(tmp_path):
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_workers_that_outlive_a_killed_holder_do_not_hold_it(tmp_path: Path) -> None:
    process = holder(tmp_path, "fork")
    try:
        process.kill()
        process.wait()
        with RunLock(tmp_path):
            pass
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def test_one_process_cannot_hold_it_twice(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path, target_is_directory=True)
    with RunLock(tmp_path):
        with pytest.raises(InputError, match=f"process {os.getpid()}"), RunLock(tmp_path / "link"):
            pass
        with pytest.raises(InputError), RunLock(tmp_path):
            pass
    with RunLock(tmp_path):
        pass


def test_it_is_released_by_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), RunLock(tmp_path / "new" / "run"):
        raise RuntimeError
    with RunLock(tmp_path / "new" / "run"):
        assert "pid" in (tmp_path / "new" / "run" / NAME).read_text()
    assert (tmp_path / "new" / "run" / NAME).read_text() == ""


def test_a_holder_that_has_not_written_its_name_yet(tmp_path: Path) -> None:
    process = holder(tmp_path)
    try:
        (tmp_path / NAME).write_text("not json")
        with pytest.raises(InputError, match="another process"), RunLock(tmp_path):
            pass
    finally:
        end_group(process)


def test_one_that_could_not_write_its_name_does_not_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full: the error is told, and the same process may try again."""

    def full(*_: object) -> str:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(lock.json, "dumps", full)
        with pytest.raises(OSError, match="No space left"), RunLock(tmp_path):
            pass
    with RunLock(tmp_path):
        pass


def test_refusing_ourselves_does_not_drop_the_lock(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from imgid_audit.io.lock import RunLock\n"
        "with RunLock(Path(sys.argv[1])): pass"
    )
    with RunLock(tmp_path):
        with pytest.raises(InputError), RunLock(tmp_path):
            pass
        assert subprocess.run(
            [sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False
        ).returncode
    assert (
        subprocess.run([sys.executable, "-c", script, str(tmp_path)], capture_output=True, check=False).returncode == 0
    )


def test_a_file_cannot_be_locked_as_a_folder(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be locked as a run folder .*--out"), RunLock(tmp_path / "file"):
        pass
