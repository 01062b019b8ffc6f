"""Files that a study cannot be kept in, and what the process looks like around one."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import warnings
from pathlib import Path

import optuna
import pytest

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.vision.search import Ticket
from imgid_audit.vision.search.claims import alone
from tests.vision.search.driver import opened, run, settings_of

SETTINGS = settings_of("random", "none", 3)


def made(path: Path) -> None:
    with opened(path, SETTINGS) as study:
        run(study)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as found, opened(path, SETTINGS):
        pass
    assert str(found.value).startswith(str(path))
    return str(found.value)


def test_no_database_says_to_remove_the_file(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("lr,value\n0.1,0.9\n" * 400)
    assert "is damaged or no study (file is not a database): remove the file, and the search starts over" in refused(
        path
    )


def test_a_damaged_page_is_found_when_the_study_is_opened(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    made(path)
    content = bytearray(path.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 600] = os.urandom(600)
    path.write_bytes(content)
    assert "remove the file, and the search starts over" in refused(path)


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    made(path)
    path.write_bytes(path.read_bytes()[:20_000])
    assert "remove the file, and the search starts over" in refused(path)


def test_an_empty_file_is_what_a_killed_process_leaves(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.touch()
    made(path)


def test_tables_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE trials (weather TEXT)")
        connection.execute("CREATE TABLE studies (weather TEXT)")
    connection.close()
    assert "remove the file, and the search starts over" in refused(path)


@pytest.mark.parametrize("revision", ["v2.4.0.a", "v99.0.0.a"])
def test_another_version_s_schema(tmp_path: Path, revision: str) -> None:
    path = tmp_path / "study.db"
    made(path)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (revision,))
    connection.close()
    assert "was written by another version of Optuna: install that one, or remove the file" in refused(path)


def test_a_folder_where_the_file_should_be(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.mkdir()
    assert "cannot be written" in refused(path)


def test_a_file_where_the_folder_should_be(tmp_path: Path) -> None:
    (tmp_path / "search").touch()
    assert "cannot be written" in refused(tmp_path / "search" / "study.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "search"
    folder.mkdir(mode=0o555)
    assert "cannot be written" in refused(folder / "study.db")


def test_a_file_that_may_not_be_written_any_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "study.db"
    made(path)
    whole = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *_, **__: whole(f"file:{path}?mode=ro", uri=True))
    assert "cannot be written (attempt to write a readonly database): name another run folder" in refused(path)


def reported_forever(ticket: Ticket) -> None:
    for epoch in range(1, 10_000):
        ticket.report(epoch, 0.5)


def test_a_full_disk_stops_and_keeps_what_is_finished(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    with opened(path, SETTINGS) as study:
        first = study.ask()
        first.complete(0.5, 9)
        second = study.ask()
        other = sqlite3.connect(path)
        pages = other.execute("PRAGMA page_count").fetchone()[0]
        other.close()
        whole = sqlite3.connect

        def full(*given: object, **more: object) -> sqlite3.Connection:
            connection = whole(*given, **more)
            connection.execute(f"PRAGMA max_page_count = {pages}")
            return connection

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sqlite3, "connect", full)
            with pytest.raises(StoppedError, match="disk is full"):
                reported_forever(second)
    with opened(path, SETTINGS) as study:
        assert [trial.number for trial in study.trials()] == [0]
        assert study.ask().number == 1


def test_who_asks_to_stop_waits_for_nobody_who_opens_it(tmp_path: Path) -> None:
    """One that is suspended while it asks holds the others up: they must hear that they are to end."""
    path = tmp_path / "study.db"
    made(path)
    with (
        alone(tmp_path / "claims" / "asking", lambda: False),
        pytest.raises(StoppedError, match="stopped before the search was opened"),
        opened(path, SETTINGS, stop=lambda: True),
    ):
        pass


def test_paths_with_characters_that_urls_read(tmp_path: Path) -> None:
    path = tmp_path / "50% of #1? {x} ö" / "study.db"
    made(path)
    assert path.stat().st_size > 0


def test_optuna_s_own_tools_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    made(path)
    storage = f"sqlite:///{path}"
    names = optuna.get_all_study_names(storage)
    assert len(names) == 1
    trials = optuna.load_study(study_name=names[0], storage=storage).trials
    assert [trial.user_attrs["position"] for trial in trials] == [0, 1, 2]
    assert all(trial.state.is_finished() for trial in trials)


def test_log_levels_and_warnings_are_left_as_they_were(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.INFO)
    level, filters = logging.getLogger("alembic").level, list(warnings.filters)
    with opened(tmp_path / "study.db", settings_of("tpe", "median", 10)) as study:
        run(study)
        study.importance()
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert logging.getLogger("alembic").level == level
    assert warnings.filters == filters
    assert capfd.readouterr() == ("", "")


def test_the_package_imports_neither_optuna_nor_torch() -> None:
    heavy = "('optuna', 'torch', 'sqlalchemy')"
    code = f"import sys, imgid_audit.vision.search; print([m for m in {heavy} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
