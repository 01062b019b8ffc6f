"""From images to a run folder: training, prediction, evaluation, and going on after a stop."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

import imgid_audit as ia
from imgid_audit import pipeline
from imgid_audit.core.errors import InputError, StoppedError
from tests.tiny import tiny_config, write_tiny


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny")
    write_tiny(folder)
    return folder


@pytest.fixture(scope="module")
def finished(world: Path) -> pipeline.Outcome:
    return pipeline.run(config_in(world), out=world / "run")


def config_in(folder: Path, **changes) -> ia.api.Config:
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(tiny_config(**changes)))
    return ia.load_config(path)


def audit_json(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text())


def test_every_row_is_accounted_for(world: Path, finished: pipeline.Outcome):
    data = audit_json(world / "run")["data"]
    assert data["rows"] == 120 == data["predicted"] + data["failed"] + data["excluded"]
    assert sum(data["attributes"]["sex"].values()) == data["splits"]["test"]
    assert data["attributes"]["sex"]["(missing)"] > 0
    for name in ("manifest.parquet", "cells.parquet", "config.yaml", "provenance.json", "model/weights.safetensors"):
        assert (world / "run" / name).exists(), name


def test_steps_one_by_one_end_in_the_same_audit(world: Path, finished: pipeline.Outcome):
    config = config_in(world)
    for step in (pipeline.train, pipeline.predict, pipeline.evaluate):
        step(config, out=world / "steps")
    ours, theirs = audit_json(world / "steps"), audit_json(world / "run")
    for audit in (ours, theirs):
        audit.pop("run")
    assert ours == theirs


def test_evaluate_before_predict_says_what_to_do(world: Path):
    with pytest.raises(InputError, match="train"):
        pipeline.evaluate(config_in(world), out=world / "early")


def test_given_weights_are_audited_as_they_are(world: Path, finished: pipeline.Outcome):
    shutil.copy(world / "run" / "model" / "weights.safetensors", world / "weights.safetensors")
    model = {"architecture": "smallcnn", "weights": "weights.safetensors"}
    outcome = pipeline.run(config_in(world, model=model), out=world / "given")
    assert not (world / "given" / "model" / "training.json").exists()
    assert outcome.result.evaluation.estimates == finished.result.evaluation.estimates


def test_a_broken_image_costs_one_row_and_too_many_stop_the_run(tmp_path: Path):
    write_tiny(tmp_path)
    (tmp_path / "images" / "007.png").write_bytes(b"not an image")
    strict = {"shard_rows": 32, "device": "cpu", "max_failed": 0.0}
    with pytest.raises(StoppedError, match="max_failed"):
        pipeline.run(config_in(tmp_path, predict=strict), out=tmp_path / "strict")
    outcome = pipeline.run(config_in(tmp_path), out=tmp_path / "run")
    assert outcome.result.data.failed == 1
    assert sum(outcome.result.data.reasons.values()) == 1


def test_worst_images_are_opt_in(world: Path, finished: pipeline.Outcome):
    html = {"formats": ["html", "json"]}
    config = config_in(world, report={**html, "worst_images": 3})
    pipeline.report(config, out=world / "run")
    assert "data:image/png" in (world / "run" / "report.html").read_text()
    pipeline.report(config_in(world, report=html), out=world / "run")
    assert "data:image/png" not in (world / "run" / "report.html").read_text()


def test_a_report_of_another_policy_is_refused_and_of_more_failures_is_not(world: Path, finished: pipeline.Outcome):
    loose = {"rules": [{"id": "gap", "metric": "recall", "across": "device", "max_gap": 0.9}]}
    with pytest.raises(InputError, match=r"in policy: .*evaluate. first"):
        pipeline.report(config_in(world, policy=loose), out=world / "run")
    allowed = {"shard_rows": 32, "device": "cpu", "max_failed": 0.5}
    assert pipeline.report(config_in(world, predict=allowed), out=world / "run").exit_code == 0


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_a_kill_between_fit_and_audit_leaves_no_report_of_both(world: Path, tmp_path: Path):
    """The gap of one evaluation, with its intervals, is not shown beside the rest of another."""
    config = config_in(world)
    whole = pipeline.run(config, out=tmp_path / "run").result.fit
    other = config_in(world, intervals={"level": 0.5, "draws": 50})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("imgid_audit.pipeline.commands.write_report", killed)
        with pytest.raises(KeyboardInterrupt):
            pipeline.evaluate(other, out=tmp_path / "run")
    told = pipeline.report(config_in(world), out=tmp_path / "run").result.fit
    assert told is None or told.gaps == whole.gaps
    assert pipeline.evaluate(config_in(world), out=tmp_path / "run").result.fit.gaps == whole.gaps
    assert pipeline.report(config_in(world), out=tmp_path / "run").result.fit.gaps == whole.gaps


def test_two_runs_are_the_same_bytes(world: Path, finished: pipeline.Outcome):
    pipeline.run(config_in(world), out=world / "again")
    for part in ("model/weights.safetensors", "manifest.parquet", "cells.parquet"):
        assert (world / "again" / part).read_bytes() == (world / "run" / part).read_bytes(), part
    shards = sorted(path.name for path in (world / "run" / "predictions").glob("*.parquet"))
    assert len(shards) == 4
    for name in shards:
        one, two = (world / run / "predictions" / name for run in ("run", "again"))
        assert one.read_bytes() == two.read_bytes()


def test_an_operating_point_is_found_on_val_and_frozen(world: Path):
    config = config_in(world, operating_point={"at": "specificity", "value": 0.9})
    outcome = pipeline.run(config, out=world / "point")
    point = audit_json(world / "point")["operating_point"]
    assert point["source"] == "val"
    assert point["achieved"] >= 0.9
    assert outcome.result.evaluation.operating_point.threshold == point["threshold"]


def test_check_says_what_would_be_audited_and_writes_nothing(world: Path, tmp_path: Path):
    before = sorted(world.iterdir())
    lines = "\n".join(pipeline.check(config_in(world)).lines)
    for word in ("120 rows", "30 subjects", "device", "smallcnn", "gap"):
        assert word in lines
    assert sorted(world.iterdir()) == before
