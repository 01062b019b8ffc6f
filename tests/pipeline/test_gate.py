"""The gate: it changes nothing, needs only what the run kept, and holds waivers against today."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imgid_audit import pipeline
from imgid_audit.cli import app
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from tests.tiny import predictions_config, predictions_table

BROKEN = {"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.02}
WAIVER = {"until": "2026-12-31", "by": "A. Person", "why": "a new scanner comes"}
IN_TIME, LATE = 1798675200, 1798761600  # the 31st of December 2026 and the 1st of January 2027, at midnight UTC


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose one broken rule is waived; what it was made from is gone."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(IN_TIME))
    predictions_table(tmp_path)
    policy = {"rules": [{**BROKEN, "waiver": WAIVER}, {"id": "floor", "metric": "recall", "min_value": 0.1}]}
    config = load_config(predictions_config(policy=policy), folder=tmp_path)
    outcome = pipeline.run(config, out=tmp_path / "run")
    assert outcome.exit_code == 0
    (tmp_path / "predictions.csv").unlink()
    return tmp_path / "run"


def gate(*args: object) -> Any:
    return CliRunner().invoke(app, ["gate", *map(str, args)])


def state(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path.relative_to(folder)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_waiver_ends_with_its_day_also_in_a_run_that_was_made_before(run: Path, monkeypatch: pytest.MonkeyPatch):
    assert gate(run).exit_code == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(LATE))
    done = gate(run)
    assert done.exit_code == 1
    assert "waiver expired on 2026-12-31, the rule counts (by A. Person: a new scanner comes)" in done.stdout
    monkeypatch.delenv("SOURCE_DATE_EPOCH")
    assert gate(run).exit_code in (0, 1), "today"


def test_it_says_what_is_waived(run: Path):
    lines = gate(run).stdout.splitlines()
    assert lines[0].startswith("FAIL  gap: ")
    assert lines[1].strip() == "waived until 2026-12-31 by A. Person: a new scanner comes"
    assert lines[-1] == "rules: 1 pass, 1 fail; 1 waived, not counted"


def test_it_changes_nothing(run: Path, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("min_support: 5\nrules: [{metric: precision, across: site, max_gap: 0.5}]\n")
    before = state(run)
    for args in ((), ("--json",), ("--policy", policy), ("--junit", tmp_path / "j.xml")):
        gate(run, *args)
    assert state(run) == before
    run.chmod(0o500)
    assert gate(run).exit_code == 0, "in a folder that may not be written too"
    run.chmod(0o700)


def test_it_needs_the_cells_the_config_and_the_audit_alone(run: Path, tmp_path: Path):
    bare = tmp_path / "elsewhere" / "bare"
    bare.mkdir(parents=True)
    for name in (".key", "config.yaml", "audit.json", "cells.parquet"):
        shutil.copy(run / name, bare / name)
    assert gate(bare, "--json").stdout.replace(str(bare), "RUN") == gate(run, "--json").stdout.replace(str(run), "RUN")
    code = (
        "import sys; from pathlib import Path; from imgid_audit import pipeline; pipeline.gate(Path(sys.argv[1]));"
        "print([name for name in sys.argv[2:] if name in sys.modules])"
    )
    heavy = ("torch", "torchvision", "sklearn", "statsmodels", "weasyprint", "matplotlib")
    command = [sys.executable, "-c", code, str(bare), *heavy]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_json_has_bounds_what_is_needed_and_waivers(run: Path, tmp_path: Path):
    told = json.loads(gate(run, "--json").stdout)
    kept = json.loads((run / "audit.json").read_text())
    assert told["exit_code"] == 0
    assert told["verdicts"] == kept["verdicts"]
    assert told["verdicts"][0]["waiver"] == {**WAIVER, "active": True}
    assert "one-sided 95 % to pass, simultaneous (Tukey) 95 % to fail" in told["verdicts"][0]["method"]
    assert "Wilson" in told["verdicts"][0]["method"]
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{metric: recall, across: site, max_gap: 0.12}]\n")
    (open_one,) = json.loads(gate(run, "--policy", policy, "--json").stdout)["verdicts"]
    assert open_one["status"] == "inconclusive"
    assert sum(open_one["subjects_needed"].values()) > 0
    assert open_one["waiver"] is None


def test_another_policy_has_its_own_support_and_answer_to_inconclusive(run: Path, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    for warn, code in (("warn", 0), ("fail", 1)):
        rules = "rules: [{metric: recall, min_value: 0.1}]"
        policy.write_text(f"policy:\n  on_inconclusive: {warn}\n  min_support: 100000\n  {rules}\n")
        done = gate(run, "--policy", policy, "--junit", tmp_path / "j.xml")
        assert done.exit_code == code
        assert done.stdout.startswith("INCONCLUSIVE  recall-min_value")
        tags = {element.tag for element in ET.parse(tmp_path / "j.xml").iter()}
        assert ("skipped" in tags, "failure" in tags) == (warn == "warn", warn == "fail")


def test_another_policy_has_its_own_baseline(run: Path, tmp_path: Path):
    policy = tmp_path / "policies" / "policy.yaml"
    policy.parent.mkdir()
    policy.write_text("baseline: ../run\nrules: [{id: kept, metric: recall, max_drop: 0.05}]\n")
    done = gate(run, "--policy", policy, "--junit", tmp_path / "j.xml")
    assert done.exit_code == 0, done.stderr
    assert done.stdout.startswith("PASS  kept: "), "the run has lost nothing against itself"
    assert "testcase" in (tmp_path / "j.xml").read_text()
    policy.write_text("baseline: ../nowhere\nrules: [{id: kept, metric: recall, max_drop: 0.05}]\n")
    assert gate(run, "--policy", policy).exit_code == 2


def test_the_junit_file_words_the_policy_that_judged(run: Path, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules: [{id: gap, metric: precision, across: site, max_gap: 0.5}]\n")
    gate(run, "--policy", policy, "--junit", tmp_path / "new" / "folder" / "j.xml")
    text = (tmp_path / "new" / "folder" / "j.xml").read_text()
    assert "The gap in precision between groups of site is at most 50 points." in text
    assert "recall" not in text


def test_the_junit_file_has_the_same_bytes_again(run: Path, tmp_path: Path):
    for name in ("a.xml", "b.xml"):
        assert gate(run, "--junit", tmp_path / name).exit_code == 0
    assert (tmp_path / "a.xml").read_bytes() == (tmp_path / "b.xml").read_bytes()


def test_a_junit_path_that_cannot_be_is_said(run: Path, tmp_path: Path):
    (tmp_path / "file").write_text("x")
    for path, said in ((tmp_path, "is a folder: name a file"), (tmp_path / "file" / "j.xml", "cannot be written")):
        done = gate(run, "--junit", path)
        assert done.exit_code == 2
        assert said in done.stderr
    assert gate(run, "--junit", "").exit_code == 2


def test_a_report_format_writes_it_into_the_run(tmp_path: Path):
    predictions_table(tmp_path)
    config = load_config(predictions_config(report={"formats": ["html", "csv", "junit"]}), folder=tmp_path)
    outcome = pipeline.run(config, out=tmp_path / "run")
    assert tmp_path / "run" / "junit.xml" in outcome.files
    assert ET.parse(tmp_path / "run" / "junit.xml").getroot().attrib["tests"] == "1"


def test_a_report_never_shows_a_waived_rule_as_met(run: Path):
    from imgid_audit.export import read_audit
    from imgid_audit.export.html_page import render_html
    from imgid_audit.report import build
    from tests.report import factory

    page = render_html(build(read_audit(run / "audit.json"), epoch=factory.EPOCH)).decode().replace("\xa0", " ")
    assert "The policy is not met, and this is waived" in page
    assert "1 of 2 rules is broken, 1 met. 1 of these is waived and does not count." in page
    assert "Broken, waived</span>" in page
    assert "Waived until 31 December 2026 by A. Person: a new scanner comes." in page

    with pytest.raises(InputError):
        pipeline.gate(run.parent)
