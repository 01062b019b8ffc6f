"""What only the data can refuse is refused before anything runs, and leaves the folder usable."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from imgid_audit import pipeline
from imgid_audit.config import Config, load_config
from imgid_audit.core.errors import InputError
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    predictions_table(tmp_path, scores=False)
    return tmp_path


def brought(folder: Path, **changes: object) -> Config:
    return load_config(predictions_config(metrics=["recall"], **changes), folder=folder)


def test_an_operating_point_needs_scores_and_check_says_so_too(folder: Path):
    config = brought(folder, operating_point={"threshold": 0.5})
    for command in (pipeline.check, lambda asked: pipeline.run(asked, out=folder / "run")):
        with pytest.raises(InputError, match="needs scores"):
            command(config)
    assert not (folder / "run").exists()


def test_a_rule_names_a_class_that_there_is(folder: Path):
    task = {"type": "multiclass"}
    rules = {"rules": [{"metric": "recall", "class": "maybe", "min_value": 0.5}]}
    with pytest.raises(InputError, match="must be a label"):
        pipeline.check(brought(folder, task=task, policy=rules))


def test_subject_ids_are_in_no_note_and_no_attribute(folder: Path):
    table = folder / "predictions.csv"
    table.write_text(table.read_text().replace(",s1,", ",CANARY ,", 1).replace(",s1,", ",canary,", 1))
    outcome = pipeline.run(brought(folder, report={"formats": ["html", "csv", "json"]}), out=folder / "run")
    assert any("case or blanks" in note for note in outcome.result.notes)
    for path in outcome.files:
        assert "canary" not in path.read_text().lower()
    with pytest.raises(InputError, match="would be published"):
        brought(folder, data={"subject": "subject", "attributes": {"who": {"column": "subject"}}})


def test_a_mended_config_may_use_the_folder_of_one_that_was_refused(tmp_path: Path):
    write_tiny(tmp_path, rows=40)
    trained = pipeline.train(load_config(tiny_config(train={"epochs": 1}), folder=tmp_path), out=tmp_path / "train")
    (tmp_path / "right.safetensors").write_bytes(trained.files[0].read_bytes())
    resnet = {"architecture": "resnet18", "weights": "right.safetensors"}
    with pytest.raises(InputError):
        pipeline.check(load_config(tiny_config(model=resnet), folder=tmp_path))
    with pytest.raises(InputError):
        pipeline.run(load_config(tiny_config(model=resnet), folder=tmp_path), out=tmp_path / "run")
    right = {"architecture": "smallcnn", "weights": "right.safetensors"}
    assert pipeline.run(load_config(tiny_config(model=right), folder=tmp_path), out=tmp_path / "run").result


def test_raising_max_failed_goes_on_with_the_same_predictions(tmp_path: Path):
    write_tiny(tmp_path, rows=40)
    (tmp_path / "images" / "003.png").write_bytes(b"broken")
    from imgid_audit.core.errors import StoppedError

    for allowed, stops in ((0.0, True), (0.5, False)):
        predict = {"shard_rows": 8, "device": "cpu", "max_failed": allowed}
        config = load_config(tiny_config(predict=predict), folder=tmp_path)
        if stops:
            with pytest.raises(StoppedError, match="raise"):
                pipeline.run(config, out=tmp_path / "run")
            kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "predictions").glob("*.parquet")}
        else:
            pipeline.run(config, out=tmp_path / "run")
            assert kept == {
                path.name: path.stat().st_mtime_ns for path in (tmp_path / "run" / "predictions").glob("*.parquet")
            }


@pytest.mark.parametrize("command", [["run", "audit.yaml"], ["demo"]])
def test_an_empty_out_is_bad_usage_and_not_the_working_directory(command: list[str], tmp_path: Path):
    arguments = [sys.executable, "-m", "imgid_audit.cli", *command, "--out", ""]
    done = subprocess.run(arguments, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "must name a folder" in done.stderr
    assert not list(tmp_path.iterdir())


def test_check_tells_all_that_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1798675200")  # the 31st of December 2026
    predictions_table(tmp_path)
    pipeline.run(load_config(predictions_config(), folder=tmp_path), out=tmp_path / "first")
    waivers = [{"until": day, "by": "A. Person", "why": "new scanner"} for day in ("2026-12-31", "2026-12-30")]
    rules = [
        {"id": "lost", "metric": "recall", "max_drop": 0.1, "waiver": waivers[0]},
        {"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.1, "waiver": waivers[1]},
    ]
    asked = {
        "data": {**predictions_config()["data"], "split": {"val": 0.4, "test": 0.4, "seed": 0}},
        "operating_point": {"at": "specificity", "value": 0.9},
        "policy": {"baseline": "first", "rules": rules},
        "privacy": {"min_cell": 11},
    }
    told = pipeline.check(load_config(predictions_config(**asked), folder=tmp_path)).lines
    assert "operating point: specificity 0.9, found on the val split" in told
    assert "privacy: cells below 11 rows are hidden in what is published" in told
    assert "baseline: first" in told
    holds = "  waiver until 2026-12-31 by A. Person: new scanner"
    assert told[told.index("rule lost: recall max_drop 0.1") + 1] == holds
    expired = "  waiver expired on 2026-12-30, the rule counts (by A. Person: new scanner)"
    assert told[told.index("rule gap: recall max_gap 0.1") + 1] == expired
    for point, said in (({"threshold": 0.4}, "threshold 0.4, given"), ({"max": "f1"}, "largest f1, found on the val")):
        again = pipeline.check(load_config(predictions_config(**{**asked, "operating_point": point}), folder=tmp_path))
        assert any(line.startswith(f"operating point: {said}") for line in again.lines)


def test_check_counts_the_rows_without_a_usable_prediction(tmp_path: Path):
    table = predictions_table(tmp_path)
    lines = table.read_text().splitlines()
    for row in (1, 2):
        lines[row] = lines[row].rpartition(",")[0] + ","
    table.write_text("\n".join(lines) + "\n")
    told = pipeline.check(load_config(predictions_config(), folder=tmp_path)).lines
    (line,) = (line for line in told if "usable" in line)
    assert line.startswith("2 of 300 audited rows have no usable prediction: ")


def test_check_tells_costs_and_nothing_that_is_not_asked_for(tmp_path: Path):
    predictions_table(tmp_path)
    plain = "\n".join(pipeline.check(load_config(predictions_config(), folder=tmp_path)).lines)
    for word in ("operating point", "costs", "privacy", "baseline", "waiver", "usable"):
        assert word not in plain
    costs = {"no": {"yes": 1}, "yes": {"no": 5}}
    told = pipeline.check(load_config(predictions_config(costs=costs), folder=tmp_path)).lines
    assert "costs: decisions of least expected cost; no taken for yes 1, yes taken for no 5" in told
