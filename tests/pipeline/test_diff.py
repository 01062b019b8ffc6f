"""`diff` and `policy.baseline` over run folders: what is paired, what is refused, and what is printed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from imgid_audit import pipeline
from imgid_audit.cli import app
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.io.run_folder import RunFolder
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny

DROP = {"id": "drop", "metric": "recall", "across": "group", "max_drop": 0.05}


def invoke(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def edited(folder: Path, name: str, *, worse: float = 0.0, scores: bool = True, drop: int = 0, relabel: int = 0) -> str:
    """A shuffled copy of the predictions; a share of group b's positives is missed, rows are lost or relabelled."""
    header, *rows = (folder / "predictions.csv").read_text().splitlines()
    rng = np.random.default_rng(5)
    cells = [row.split(",") for row in rows]
    for i, row in enumerate(cells):
        if row[3] == "b" and row[1] == "yes" and rng.random() < worse:
            row[5] = "0.1" if scores else "no"
        if i < relabel:
            row[1] = "no" if row[1] == "yes" else "yes"
    order = rng.permutation(len(cells))[: len(cells) - drop]
    (folder / name).write_text("\n".join([header, *(",".join(cells[i]) for i in order)]) + "\n")
    return name


def audit(folder: Path, out: str, table: str = "predictions.csv", **changes: Any) -> Path:
    config = load_config(predictions_config(predictions={"table": table}, **changes), folder=folder)
    return pipeline.run(config, out=folder / out).folder


@pytest.fixture(scope="module", params=[True, False], ids=["scores", "labels"])
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    predictions_table(folder, rows=600, scores=request.param)
    for name, asked in (("worse", {"worse": 0.4}), ("fewer", {"drop": 30}), ("relabelled", {"relabel": 12})):
        edited(folder, f"{name}.csv", scores=request.param, **asked)
        audit(folder, name, f"{name}.csv")
    audit(folder, "first")
    audit(folder, "strict", policy={"rules": [{"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.9}]})
    return folder


def test_a_loss_is_printed_where_it_is(world: Path):
    done = invoke("diff", world / "first", world / "worse")
    assert done.exit_code == 0, done.output
    assert "paired by row id: 600 rows" in done.stdout
    assert "group = b: recall of “yes” lost" in done.stdout
    assert "group = a: recall of “yes” lost" not in done.stdout


def test_json_has_every_change(world: Path):
    found = json.loads(invoke("diff", world / "first", world / "worse", "--json").stdout)
    assert found["exit_code"] == 0
    assert found["paired"] is True
    change = next(c for c in found["changes"] if c["metric"] == "recall" and c["slice"] == {"group": "b"})
    assert change["value"] == pytest.approx(change["after"] - change["before"])
    assert change["low"] < change["value"] < change["high"] < 0
    assert "points [" in change["text"]
    flips = next(f for f in found["flips"] if f["slice"] == {"group": "b"})
    assert flips["gained"] == 0
    assert flips["lost"] > 0
    for one in found["changes"]:
        assert (one["value"] is None) == (one["undefined"] is not None)


def test_values_are_those_of_the_two_reports(world: Path):
    found = json.loads(invoke("diff", world / "first", world / "worse", "--json").stdout)
    for side, name in (("before", "first"), ("after", "worse")):
        told = json.loads((world / name / "audit.json").read_text())["estimates"]
        by = {(e["metric"], e["class"], tuple(e["slice"].items())): e["value"] for e in told}
        for change in found["changes"]:
            assert change[side] == pytest.approx(by[change["metric"], change["class"], tuple(change["slice"].items())])


def test_the_same_run_twice(world: Path):
    found = json.loads(invoke("diff", world / "first", world / "first", "--json").stdout)
    assert found["verdicts"] == []
    for change in found["changes"]:
        if change["value"] is not None:
            assert change["value"] == 0
            assert change["low"] < 0 < change["high"]


def test_changed_verdicts_are_listed(world: Path):
    found = json.loads(invoke("diff", world / "first", world / "strict", "--json").stdout)
    (verdict,) = found["verdicts"]
    assert (verdict["rule"], verdict["after"]) == ("gap", "pass")
    assert verdict["before"] != "pass"


@pytest.mark.parametrize(
    ("other", "told"), [("fewer", "30 rows only in"), ("relabelled", "12 rows with another label")]
)
def test_other_data_are_not_paired_in_silence(world: Path, other: str, told: str):
    refused = invoke("diff", world / "first", world / other)
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert "--unpaired" in refused.stderr
    common = invoke("diff", world / "first", world / other, "--common")
    assert common.exit_code == 0
    assert "left out: " in common.stdout
    alone = json.loads(invoke("diff", world / "first", world / other, "--unpaired", "--json").stdout)
    assert alone["paired"] is False
    assert alone["flips"] == []
    assert "independent samples" in alone["notes"][0]


def test_refusals(world: Path, tmp_path: Path):
    assert invoke("diff", world / "first", tmp_path / "gone").exit_code == 2
    assert invoke("diff", world / "first", world / "worse", "--common", "--unpaired").exit_code == 2
    table = (world / "predictions.csv").read_text().replace("score:yes", "score:no", 1)
    (world / "flipped.csv").write_text(table)
    other = audit(
        world, "flipped", "flipped.csv", task={"type": "binary", "positive": "no", "labels": ["no", "yes"]}, policy={}
    )
    done = invoke("diff", world / "first", other)
    assert done.exit_code == 2
    assert "another task" in done.stderr


def test_a_damaged_manifest_is_refused(world: Path, tmp_path: Path):
    copy = tmp_path / "copy"
    shutil.copytree(world / "first", copy)
    (copy / "manifest.parquet").write_bytes((world / "fewer" / "manifest.parquet").read_bytes())
    assert invoke("diff", world / "first", copy).exit_code == 2
    (copy / "manifest.parquet").unlink()
    assert invoke("diff", world / "first", copy).exit_code == 2
    assert invoke("diff", world / "first", copy, "--unpaired").exit_code == 0


def test_a_run_that_kept_no_row_of_its_own_says_so(world: Path, tmp_path: Path):
    """As versions before `diff` left it: labels without scores, and no column `predicted`."""
    copy = tmp_path / "copy"
    shutil.copytree(world / "first", copy)
    folder = RunFolder(copy)
    folder.write_manifest(folder.read_manifest())
    done = invoke("diff", copy, world / "worse")
    if "score:yes" in (world / "predictions.csv").read_text():
        assert done.exit_code == 0  # cells.parquet has the rows
        return
    assert done.exit_code == 2
    assert "evaluate the run again" in done.stderr


def test_a_baseline_judges_a_run_and_its_gate_alike(world: Path):
    policy = {"baseline": "first", "rules": [DROP]}
    for table, out, status, code in (
        ("worse.csv", "judged-worse", "fail", 1),
        ("predictions.csv", "judged", "pass", 0),
    ):
        config = load_config(predictions_config(predictions={"table": table}, policy=policy), folder=world)
        outcome = pipeline.run(config, out=world / out)
        assert outcome.result is not None
        (verdict,) = outcome.result.evaluation.verdicts
        assert (verdict.status, outcome.exit_code) == (status, code), verdict.reason
        assert "paired by row" in verdict.reason
        assert outcome.result.provenance["baseline"]["path"] == "first"
        gated = pipeline.gate(world / out).result
        assert gated is not None
        again = gated.evaluation.verdicts[0]
        assert (again.status, again.low, again.high) == (verdict.status, verdict.low, verdict.high)


def test_a_policy_file_may_name_its_own_baseline(world: Path, tmp_path: Path):
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"baseline: {world / 'first'}\nrules:\n  - {{metric: recall, across: group, max_drop: 0.05}}\n")
    assert invoke("gate", world / "worse", "--policy", policy).exit_code == 1
    policy.write_text("rules:\n  - {metric: recall, across: group, max_drop: 0.05}\n")
    done = invoke("gate", world / "worse", "--policy", policy)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert f"{policy} [policy > rules > 0 > max_drop] needs `policy.baseline`" in done.stderr


def test_the_baseline_of_the_run_serves_a_policy_file_without_one(world: Path, tmp_path: Path):
    judged = {"baseline": "first", "rules": [DROP]}
    config = load_config(predictions_config(policy=judged), folder=world)
    pipeline.run(config, out=tmp_path / "run")
    policy = tmp_path / "policy.yaml"
    policy.write_text("rules:\n  - {metric: recall, across: group, max_drop: 0.05}\n")
    assert invoke("gate", tmp_path / "run", "--policy", policy).stdout.startswith("PASS")


def test_other_rows_are_judged_unpaired(world: Path):
    policy = {"baseline": "fewer", "rules": [DROP]}
    outcome = pipeline.run(load_config(predictions_config(policy=policy), folder=world), out=world / "unlike")
    assert outcome.result is not None
    assert "not paired: 30 rows only in this run" in outcome.result.evaluation.verdicts[0].reason


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ({"baseline": "nowhere", "rules": [DROP]}, "nowhere is not there"),
        ({"rules": [DROP]}, "needs `policy.baseline`"),
        ({"baseline": "first", "rules": []}, "has no effect"),
        (
            {"baseline": "first", "rules": [{"metric": "selection_rate", "max_drop": 0.1}]},
            "neither better high nor low",
        ),
        (
            {"baseline": "first", "rules": [{"metric": "equalized_odds", "across": "group", "max_drop": 0.1}]},
            "is a gap",
        ),
    ],
)
def test_baselines_that_cannot_be(world: Path, policy: dict[str, Any], told: str):
    with pytest.raises(InputError, match=told):
        pipeline.check(load_config(predictions_config(policy=policy), folder=world))


def test_an_audit_in_memory_has_its_baseline_too(world: Path):
    import imgid_audit

    config = load_config(predictions_config(policy={"baseline": "first", "rules": [DROP]}), folder=world)
    found = imgid_audit.evaluate(world / "worse.csv", config)
    assert found.result.evaluation.verdicts[0].status == "fail"


@pytest.mark.slow
def test_models_runs_are_paired_by_image(tmp_path: Path):
    write_tiny(tmp_path)
    for name, seed in (("a", 0), ("b", 1)):
        config = load_config(tiny_config(train={"epochs": 1, "seed": seed}), folder=tmp_path)
        pipeline.run(config, out=tmp_path / name)
    found = pipeline.diff(tmp_path / "a", tmp_path / "b")
    assert found.found.paired
    assert found.found.changes
