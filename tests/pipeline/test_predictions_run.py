"""An audit of brought predictions, from the table to the run folder, and again from the folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import recall_score, roc_auc_score
from typer.testing import CliRunner

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.cli import app
from imgid_audit.core.errors import InputError
from imgid_audit.pipeline.writing import PUBLISHED
from tests.tiny import predictions_config, predictions_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    predictions_table(tmp_path)
    return tmp_path


def audit_json(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text())


def config_in(folder: Path, **changes) -> ia.api.Config:
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(predictions_config(**changes)))
    return ia.load_config(path)


def value(audit: dict, metric: str, key: dict) -> float:
    (found,) = [e for e in audit["estimates"] if e["metric"] == metric and e["slice"] == key]
    return found["value"]


def test_run_agrees_with_scikit_learn(folder: Path):
    outcome = pipeline.run(config_in(folder), out=folder / "run")
    audit = audit_json(folder / "run")
    rows = pd.read_csv(folder / "predictions.csv")
    for name in ("a", "b"):
        part = rows[rows["group"] == name]
        truth = part["label"] == "yes"
        assert value(audit, "recall", {"group": name}) == pytest.approx(
            recall_score(truth, part["score:yes"] > 0.5), abs=1e-12
        )
        assert value(audit, "auroc", {"group": name}) == pytest.approx(
            roc_auc_score(truth, part["score:yes"]), abs=1e-12
        )
    assert audit["data"]["rows"] == audit["data"]["predicted"] == 300
    assert audit["data"]["subjects"] == 100
    assert outcome.exit_code in (0, 1)


def test_same_input_gives_the_same_bytes(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    config = config_in(folder, report={"formats": ["html", "json", "csv"]})
    contents = []
    for name in ("one", "two"):
        pipeline.run(config, out=folder / name)
        audit = audit_json(folder / name)
        audit.pop("run")
        contents.append((audit, (folder / name / "report.html").read_bytes()))
    assert contents[0] == contents[1]


def test_gate_gives_the_verdicts_of_the_run_and_changes_nothing(folder: Path):
    outcome = pipeline.run(config_in(folder), out=folder / "run")
    before = {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()}
    (folder / "predictions.csv").unlink()
    gated = pipeline.gate(folder / "run")
    assert gated.result.evaluation.verdicts == outcome.result.evaluation.verdicts
    assert gated.exit_code == outcome.exit_code
    assert before == {p: p.read_bytes() for p in (folder / "run").rglob("*") if p.is_file()}


def test_gate_applies_another_policy_with_other_metrics_and_intersections(folder: Path):
    pipeline.run(config_in(folder), out=folder / "run")
    policy = folder / "policy.yaml"
    policy.write_text("rules:\n- {id: floor, metric: specificity, across: [site, group], min_value: 0.01}\n")
    (verdict,) = pipeline.gate(folder / "run", policy).result.evaluation.verdicts
    assert (verdict.rule, verdict.status) == ("floor", "pass")


def test_gate_refuses_cells_that_were_changed(folder: Path):
    pipeline.run(config_in(folder), out=folder / "run")
    cells = folder / "run" / "cells.parquet"
    data = bytearray(cells.read_bytes())
    data[len(data) // 2] ^= 0x55
    cells.write_bytes(bytes(data))
    with pytest.raises(InputError, match="evaluate the run again"):
        pipeline.gate(folder / "run")


def test_a_changed_policy_evaluates_in_place_and_other_data_does_not(folder: Path):
    pipeline.run(config_in(folder), out=folder / "run")
    loose = {"rules": [{"id": "loose", "metric": "recall", "across": "group", "max_gap": 0.99}]}
    assert pipeline.run(config_in(folder, policy=loose), out=folder / "run").exit_code == 0
    predictions_table(folder, seed=1)
    with pytest.raises(InputError, match="--out"):
        pipeline.run(config_in(folder), out=folder / "run")


def test_default_folder_is_named_by_slug_and_key(folder: Path):
    outcome = pipeline.run(config_in(folder, name="Chest X-rays, release 4"))
    assert outcome.folder.parent == folder / "runs" / "chest-x-rays-release-4"
    again = pipeline.run(config_in(folder, name="Chest X-rays, release 4"))
    assert again.folder == outcome.folder


def test_evaluate_in_python_matches_the_run_and_gives_views(folder: Path):
    outcome = pipeline.run(config_in(folder), out=folder / "run")
    settings = {k: v for k, v in predictions_config().items() if k != "predictions"}
    frame = pd.read_csv(folder / "predictions.csv")
    for table in (frame, folder / "predictions.csv"):
        audit = ia.evaluate(table, settings)
        assert audit.result.evaluation.estimates == outcome.result.evaluation.estimates
        assert audit.result.evaluation.verdicts == outcome.result.evaluation.verdicts
    estimates = audit.to_frame("estimates")
    assert {"metric", "value", "low", "high", "method", "n", "subjects"} <= set(estimates.columns)
    by_group = audit.metric_frame(["recall"], "group").by_group["recall"]
    ours = estimates[(estimates.metric == "recall") & (estimates.breakdown == "group")].set_index("group")["value"]
    assert np.allclose(by_group[ours.index].astype(float), ours.astype(float), atol=1e-12)
    assert "<iframe" in audit._repr_html_()
    files = audit.save(folder / "saved", formats=["html", "json"])
    assert {path.name for path in files} == {"report.html", "audit.json"}


def test_evaluate_step_needs_no_run_before_it_where_predictions_are_brought(folder: Path):
    outcome = pipeline.evaluate(config_in(folder), out=folder / "run")
    assert (folder / "run" / "audit.json").exists()
    assert pipeline.report(config_in(folder, report={"formats": ["csv"]}), out=folder / "run").exit_code == 0
    assert (folder / "run" / "tables" / "estimates.csv").exists()
    assert outcome.result is not None


EVERY = ["html", "pdf", "json", "csv", "junit"]


def test_evaluate_leaves_no_report_of_an_earlier_audit(folder: Path):
    out = folder / "run"
    pipeline.run(config_in(folder, report={"formats": EVERY}), out=out)
    (out / "tables" / "notes.txt").write_text("mine")
    (folder / "audit.yaml").write_text(
        yaml.safe_dump(predictions_config(metrics=["recall"], report={"formats": EVERY}))
    )

    def invoked(command: str, *more: str):
        return CliRunner().invoke(app, [command, str(folder / "audit.yaml"), "--out", str(out), *more])

    done = invoked("evaluate")
    assert "removed, as it showed an earlier audit: report.html, report.pdf, junit.xml, tables/*.csv" in done.stderr
    assert "`imgid-audit report` writes" in done.stderr
    assert [path for pattern in PUBLISHED for path in out.glob(pattern)] == []
    assert (out / "tables" / "notes.txt").exists()
    assert "removed" not in invoked("evaluate").stderr, "there is nothing more to remove"
    assert invoked("report").exit_code == 0
    assert len([path for pattern in PUBLISHED for path in out.glob(pattern)]) > 4
    assert "removed" not in invoked("evaluate", "--quiet").stderr
    assert not (out / "report.html").exists()


def test_a_run_with_fewer_formats_removes_the_others_and_a_report_keeps_them(folder: Path):
    out = folder / "run"
    pipeline.run(config_in(folder, report={"formats": ["html", "csv"]}), out=out)
    kept = (out / "report.html").read_bytes()
    outcome = pipeline.report(config_in(folder, report={"formats": ["junit"]}), out=out)
    assert outcome.removed == ()
    assert (out / "report.html").read_bytes() == kept, "it shows the same audit"
    outcome = pipeline.run(config_in(folder, report={"formats": ["csv"]}), out=out)
    assert outcome.removed == (out / "report.html", out / "junit.xml")
    assert not (out / "report.html").exists()


OTHER: dict[str, dict[str, Any]] = {
    "policy": {"policy": {"rules": [{"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.4}]}},
    "metrics": {"metrics": ["recall"]},
    "intervals": {"intervals": {"draws": 100, "level": 0.9}},
    "notes": {"notes": ["another"]},
    "name": {"name": "another"},
    "operating_point": {"operating_point": {"threshold": 0.4}},
    "privacy": {"privacy": {"min_cell": 2}},
    "checks": {"checks": {"D001": False}},
}


@pytest.mark.parametrize("block", OTHER)
def test_a_report_of_other_settings_is_refused_until_they_are_evaluated(block: str, folder: Path):
    out = folder / "run"
    pipeline.run(config_in(folder), out=out)
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    changed = config_in(folder, **OTHER[block])
    with pytest.raises(InputError, match=rf"other settings than the config has in {block}: .*evaluate. first"):
        pipeline.report(changed, out=out)
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    pipeline.evaluate(changed, out=out)
    assert pipeline.report(changed, out=out).exit_code == 0


def test_a_report_does_not_mind_what_changes_no_number(folder: Path):
    out = folder / "run"
    pipeline.run(config_in(folder), out=out)
    (folder / "copy.csv").write_bytes((folder / "predictions.csv").read_bytes())
    same = {"table": "copy.csv", "max_failed": 0.5}
    assert pipeline.report(config_in(folder, predictions=same, report={"formats": ["html"]}), out=out).exit_code == 0
    stored = json.loads((out / "audit.json").read_text())
    del stored["settings"]["intervals"]["mean"]  # as an earlier version wrote it, before that setting was there
    (out / "audit.json").write_text(json.dumps(stored))
    assert pipeline.report(config_in(folder), out=out).exit_code == 0


@pytest.mark.parametrize("command", ["train", "predict"])
def test_nothing_to_train_or_predict_is_said(folder: Path, command: str):
    with pytest.raises(InputError, match="nothing to"):
        getattr(pipeline, command)(config_in(folder), out=folder / "run")


def test_torch_is_never_loaded(folder: Path):
    config_in(folder, report={"formats": ["html", "pdf", "json", "csv"]})
    script = (
        "import sys; from imgid_audit.cli import main\n"
        "sys.argv = ['imgid-audit', 'run', 'audit.yaml', '--out', 'run']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'torchvision', 'torchmetrics'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (folder / "run" / "report.pdf").exists()
