"""The history: every run below a folder, in the order of their dates, and nothing left out in silence."""

from __future__ import annotations

import errno
import json
import os
import time
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imgid_audit import pipeline
from imgid_audit.cli import app
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.core.result import AuditResult, Privacy, WaiverState
from imgid_audit.export.audit_json import encode
from tests.report import factory
from tests.tiny import predictions_config, predictions_table

START = datetime(2026, 1, 1, 2, tzinfo=UTC)
WAIVER = WaiverState(date(2026, 12, 31), "A. Person", "a new scanner comes", active=True)


def audit(day: float, *, shift: float = 0.0, **changes: Any) -> AuditResult:
    """A small audit of a day, its first rule's observed value shifted."""
    base = factory.binary(metrics=("accuracy", "recall"), **changes)
    first, *rest = base.evaluation.verdicts
    moved = replace(first, observed=first.observed + shift)
    return replace(
        base,
        evaluation=replace(base.evaluation, verdicts=(moved, *rest)),
        run={"epoch": (START + timedelta(days=day)).isoformat(), "host": "secret-host", "folder": "/secret/place"},
    )


def put(folder: Path, place: str, result: AuditResult) -> Path:
    run = folder / place
    run.mkdir(parents=True)
    (run / ".key").write_text("k\n")
    (run / "audit.json").write_bytes(encode(result))
    return run


def history(*args: object) -> Any:
    return CliRunner().invoke(app, ["history", *map(str, args)])


def told(folder: Path) -> Any:
    done = history(folder, "--json")
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_runs_stand_by_date_then_by_place_in_a_section_a_name(tmp_path: Path):
    for place, day in (("a/2", 2.0), ("a/1", 1.0), ("b/x", 0.5), ("a/z", 0.1), ("a/0b", 1.0)):
        put(tmp_path, place, audit(day, name=place[0]))
    found = told(tmp_path)
    assert [(p["name"], [r["run"] for r in p["runs"]]) for p in found["projects"]] == [
        ("a", ["a/z", "a/0b", "a/1", "a/2"]),
        ("b", ["b/x"]),
    ]
    assert found["projects"][0]["runs"][1]["date"] == "2026-01-02T02:00:00+00:00"
    assert found["unread"] == []


def test_a_run_is_told_with_what_its_audit_says(tmp_path: Path):
    result = audit(0)
    put(tmp_path, "r", result)
    ((run,),) = [project["runs"] for project in told(tmp_path)["projects"]]
    kept = json.loads((tmp_path / "r" / "audit.json").read_text())
    assert run["verdicts"] == kept["verdicts"]
    assert run["rows"] == sum(map(sum, kept["confusion"]))
    assert run["verdict_counts"] == {"pass": 1, "fail": 1, "inconclusive": 1, "not_evaluated": 1}
    totals = [e for e in kept["estimates"] if e["slice"] == {}]
    shown = [{key: entry[key] for key in run["totals"][0]} for entry in totals]
    assert run["totals"] == shown


def test_what_changed_between_two_audits_is_named(tmp_path: Path):
    first = audit(0)
    hashes = {**first.provenance["hashes"], "weights": "00" * 32, "cells": "11" * 32}
    del hashes["manifest"]
    put(tmp_path, "1", first)
    put(tmp_path, "2", replace(audit(1), provenance={**first.provenance, "hashes": hashes}))
    (project,) = told(tmp_path)["projects"]
    assert [run["changed"] for run in project["runs"]] == [None, ["manifest", "weights"]]


def spoilt(change: str, to: str) -> str:
    text = encode(audit(0)).decode()
    assert change in text
    return text.replace(change, to, 1)


UNREAD = {
    "nothing": ("", "is not JSON"),
    "half": (encode(audit(0)).decode()[:5000], "is not JSON"),
    "old": ('{"format_version": 0}', "has format_version 0, this version reads"),
    "list": ("[]", "has format_version None"),
    "deep": ("[" * 200_000, "is not that of an audit"),
    "nan": (spoilt('"tolerance": 0.1', '"tolerance": NaN'), "tolerance of rule 'device-accuracy' is no finite number"),
    "text": (spoilt('"observed": 0.211', '"observed": "0.211"'), "observed of rule 'device-accuracy'"),
    "huge": (spoilt('"observed": 0.211', '"observed": 1e999'), "observed of rule 'device-accuracy'"),
    "status": (spoilt('"status": "fail"', '"status": "fine"'), "has the unknown status 'fine'"),
    "date": (spoilt('"epoch": "2026', '"epoch": "when'), "its run block has no date"),
    "zone": (spoilt("+00:00", ""), "has no time zone"),
    "rule": (spoilt('"max_gap": 0.1,', ""), "is not that of an audit"),
}


@pytest.mark.parametrize("kind", UNREAD)
def test_what_cannot_be_read_is_listed_with_why(tmp_path: Path, kind: str):
    text, said = UNREAD[kind]
    put(tmp_path, "good", audit(0))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "audit.json").write_text(text)
    found = told(tmp_path)
    (unread,) = found["unread"]
    assert unread["run"] == "bad"
    assert said in unread["reason"]
    assert str(tmp_path) not in unread["reason"]
    done = history(tmp_path)
    assert done.exit_code == 0
    assert "not read: 1" in done.stdout
    assert "1 folder could not be read." in page(tmp_path)


def page(folder: Path) -> str:
    return (folder / "history.html").read_text(encoding="utf-8").replace("\xa0", " ")


def test_a_run_that_has_not_come_so_far_is_listed(tmp_path: Path):
    put(tmp_path, "good", audit(0))
    put(tmp_path, "begun", audit(0)).joinpath("audit.json").unlink()
    assert told(tmp_path)["unread"] == [{"run": "begun", "reason": "holds no audit.json: the run has not come so far"}]


def test_a_folder_that_may_not_be_read_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    put(tmp_path, "good", audit(0))
    put(tmp_path, "shut/run", audit(0))
    scan = os.scandir

    def refusing(path: Any) -> Any:
        if str(path).endswith("shut"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert told(tmp_path)["unread"] == [{"run": "shut", "reason": "cannot be looked into: Permission denied"}]


def test_without_a_run_that_can_be_read_nothing_is_written(tmp_path: Path):
    for folder, said in ((tmp_path / "none", "is not there"), (tmp_path, "holds no run")):
        done = history(folder)
        assert (done.exit_code, said in done.stderr) == (2, True)
    put(tmp_path, "bad", audit(0)).joinpath("audit.json").write_text("{")
    done = history(tmp_path)
    assert done.exit_code == 2
    assert "bad is not JSON" in done.stderr or "audit.json is not JSON" in done.stderr
    assert not (tmp_path / "history.html").exists()
    (tmp_path / "file").write_text("x")
    assert "is a file" in history(tmp_path / "file").stderr


def test_links_that_go_round_and_folders_of_a_run_are_not_entered(tmp_path: Path):
    run = put(tmp_path, "a/run", audit(0))
    (tmp_path / "a" / "again").symlink_to(tmp_path / "a", target_is_directory=True)
    put(run, "release/copy", audit(1))
    put(run, "inner", audit(2))
    (project,) = told(tmp_path)["projects"]
    assert [one["run"] for one in project["runs"]] == ["a/run", "a/run/inner"]
    assert told(run)["projects"][0]["runs"][0]["run"] == ".", "a run folder itself will do"


def test_no_run_is_changed_and_the_bytes_are_the_same_again(tmp_path: Path):
    for i in range(3):
        put(tmp_path / "runs", str(i), audit(i))
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    first = history(tmp_path / "runs", "--out", tmp_path / "pages" / "one.html")
    second = history(tmp_path / "runs", "--out", tmp_path / "pages" / "two.html")
    assert (first.exit_code, second.exit_code) == (0, 0)
    one, two = ((tmp_path / "pages" / f"{name}.html").read_bytes() for name in ("one", "two"))
    assert one == two
    assert before == {path: path.read_bytes() for path in before}
    assert history(tmp_path / "runs", "--out", tmp_path).exit_code == 2
    assert history(tmp_path / "runs", "--out", "").exit_code == 2


def test_the_terminal_has_a_line_a_run(tmp_path: Path):
    put(tmp_path, "1", audit(0))
    waived = audit(1, shift=0.01)
    first, *rest = waived.evaluation.verdicts
    verdicts = (replace(first, waiver=WAIVER), *rest)
    put(tmp_path, "2", replace(waived, evaluation=replace(waived.evaluation, verdicts=verdicts)))
    lines = history(tmp_path, "--quiet").stdout.splitlines()
    assert lines[0] == "covid-cxr: 2 audits"
    assert lines[1].startswith("  2026-01-01 02:00  1  ")
    assert "1 pass, 1 fail, 1 inconclusive, 1 not evaluated  device-accuracy FAIL 0.2110, " in lines[1]
    assert "1 not evaluated, 1 waived  device-accuracy FAIL 0.2210 (waived), " in lines[2]
    assert lines[3] == str(tmp_path / "history.html")


def test_a_name_cannot_rewrite_a_line_of_the_terminal(tmp_path: Path):
    put(tmp_path, "1", audit(0, name="a\x1b[2J\nb\u202ec"))
    assert history(tmp_path).stdout.splitlines()[0] == "a[U+001B][2J b[U+202E]c: 1 audit"


def test_nothing_private_is_in_it(tmp_path: Path):
    secret = Privacy(11, ("device",), ("device-accuracy",))
    put(tmp_path, "1", replace(audit(0), privacy=secret))
    predictions_table(tmp_path)
    text = (tmp_path / "predictions.csv").read_text()
    (tmp_path / "predictions.csv").write_text(text.replace(",s1", ",canary-subject-1"))
    pipeline.run(load_config(predictions_config(), folder=tmp_path), out=tmp_path / "2")
    done = history(tmp_path)
    for shown in (page(tmp_path), done.stdout, json.dumps(told(tmp_path))):
        assert "canary" not in shown
        assert "secret" not in shown
        assert "handheld" not in shown
        assert "0.211" not in shown
        assert "21.1" not in shown


def test_real_runs_of_two_policies_are_one_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    predictions_table(tmp_path)
    for day, bound in enumerate((0.02, 0.9)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(1_800_000_000 + 86_400 * day))
        policy = {"rules": [{"id": "gap", "metric": "recall", "across": "group", "max_gap": bound}]}
        config = load_config(predictions_config(policy=policy), folder=tmp_path)
        pipeline.run(config, out=tmp_path / "runs" / str(day))
    (project,) = told(tmp_path / "runs")["projects"]
    assert [run["verdicts"][0]["status"] for run in project["runs"]] == ["fail", "pass"]
    assert [run["changed"] for run in project["runs"]] == [None, ["config"]]


@pytest.mark.slow
def test_a_thousand_runs(tmp_path: Path):
    data, date_of = encode(audit(0)), START.isoformat().encode()
    for i in range(1000):
        run = tmp_path / "runs" / f"{i:04d}"
        run.mkdir(parents=True)
        later = (START + timedelta(days=i)).isoformat().encode()
        (run / "audit.json").write_bytes(data.replace(date_of, later))
    began = time.process_time()  # of this process: what else the machine does is not in it
    outcome = pipeline.history(tmp_path)
    assert time.process_time() - began < 60
    assert len(outcome.history.projects[0].runs) == 1000
    written = (tmp_path / "history.html").read_text()
    assert "The latest 120 of 1" in written
    assert written.count("runs/0") == 1000, "all are in the table"
    assert len(written) < 3_000_000


def test_the_pipeline_says_what_is_wrong(tmp_path: Path):
    with pytest.raises(InputError, match="holds no run"):
        pipeline.history(tmp_path)
