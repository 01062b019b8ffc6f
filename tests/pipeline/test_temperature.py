"""Temperature scaling through a whole run: fitted on val, kept in the cells, shown before and after."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from scipy.optimize import minimize_scalar
from sklearn.metrics import brier_score_loss, log_loss

from imgid_audit import pipeline
from imgid_audit.config import load_config
from imgid_audit.core.errors import InputError
from imgid_audit.export import read_audit
from imgid_audit.export.audit_json import encode, schema
from imgid_audit.io.run_folder import RunFolder
from tests.tiny import predictions_config, predictions_table


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    table = predictions_table(tmp_path, rows=900)
    header, *rows = table.read_text().splitlines()
    lines = [f"{header},split", *(f"{row},{'test' if i // 3 % 2 else 'val'}" for i, row in enumerate(rows))]
    table.write_text("\n".join(lines) + "\n")
    return tmp_path


def config(folder: Path, **changes: Any) -> Any:
    data = {**predictions_config()["data"], "split": "split"}
    asked = {"data": data, "calibration": {"method": "temperature"}, **changes}
    return load_config(predictions_config(**asked), folder=folder)


def audit(folder: Path, name: str = "run", **changes: Any) -> dict[str, Any]:
    pipeline.run(config(folder, **changes), out=folder / name)
    return json.loads((folder / name / "audit.json").read_text())


def scaled(score: np.ndarray, temperature: float) -> np.ndarray:
    """Of two classes, the logit is divided by the temperature."""
    return 1 / (1 + np.exp(-np.log(score / (1 - score)) / temperature))


def test_it_is_fitted_on_val_and_everything_is_of_the_scaled_scores(folder: Path) -> None:
    found = audit(folder)
    rows = pd.read_csv(folder / "predictions.csv")
    truth, score = (rows["label"] == "yes").to_numpy(), rows["score:yes"].to_numpy()
    val, test = (rows["split"] == name for name in ("val", "test"))
    best = minimize_scalar(lambda t: log_loss(truth[val], scaled(score[val], t)), bounds=(0.05, 20), method="bounded")
    calibration = found["calibration"]
    assert calibration["temperature"] == pytest.approx(best.x, rel=1e-3)
    assert (calibration["method"], calibration["source"], calibration["n"]) == ("temperature", "val", int(val.sum()))
    sides = {
        side: {(e["metric"], *e["slice"].values()): e["value"] for e in calibration[side]}
        for side in ("before", "after")
    }
    after = scaled(score, calibration["temperature"])
    for level in ("a", "b"):
        part = test & (rows["group"] == level)
        for side, scores in (("before", score), ("after", after)):
            assert sides[side]["log_loss", level] == pytest.approx(log_loss(truth[part], scores[part]), abs=1e-9)
            assert sides[side]["brier", level] == pytest.approx(brier_score_loss(truth[part], scores[part]), abs=1e-9)
    names = {metric for metric, *_ in sides["before"]}
    assert names >= {"ece", "ece_debiased", "brier", "log_loss", "calibration_slope"}
    plain = audit(folder, "plain", calibration=None)
    assert plain["calibration"] is None
    same = {"accuracy", "recall", "precision", "auroc"}
    for one, two in zip(found["estimates"], plain["estimates"], strict=True):
        assert (one["value"] == pytest.approx(two["value"])) or one["metric"] not in same, "the order of scores stays"
        if one["metric"] == "ece" and not one["slice"]:
            assert one["value"] == sides["after"][("ece",)]
            assert two["value"] == sides["before"][("ece",)]


def test_the_kept_cells_hold_the_scaled_scores_and_gate_agrees(folder: Path) -> None:
    rules = {
        "rules": [{"id": "e", "metric": "ece", "across": "group", "max_gap": 0.2}, {"metric": "ece", "max_value": 0.2}]
    }
    found = audit(folder, policy=rules)
    kept = RunFolder.existing(folder / "run").read_decisions(found["provenance"]["hashes"]["cells"])
    rows = pd.read_csv(folder / "predictions.csv")
    score = rows["score:yes"][rows["split"] == "test"].to_numpy()
    assert np.sort(kept.scores[:, 1]) == pytest.approx(np.sort(scaled(score, found["calibration"]["temperature"])))
    judged = pipeline.gate(folder / "run").result.evaluation
    assert [v.status for v in judged.verdicts] == [v["status"] for v in found["verdicts"]]
    assert [v.observed for v in judged.verdicts] == [v["observed"] for v in found["verdicts"]]


def test_the_operating_point_is_found_on_scaled_scores(folder: Path) -> None:
    point = {"at": "specificity", "value": 0.9}
    after = audit(folder, operating_point=point)
    before = audit(folder, "plain", operating_point=point, calibration=None)
    thresholds = (one["operating_point"]["threshold"] for one in (before, after))
    given, found = thresholds
    assert found == pytest.approx(float(scaled(np.array(given), after["calibration"]["temperature"])))
    assert after["confusion"] == before["confusion"]


def test_it_survives_writing_and_reading_and_keeps_the_schema(folder: Path) -> None:
    found = audit(folder)
    Draft202012Validator(schema()).validate(found)
    path = folder / "run" / "audit.json"
    assert encode(read_audit(path)) == path.read_bytes()


def test_the_report_says_so(folder: Path) -> None:
    audit(folder, report={"formats": ["html", "json"]})
    page = (folder / "run" / "report.html").read_text()
    for text in (
        "Scores were recalibrated",
        "Before and after recalibration",
        "Plug-in ECE",
        "Debiased ECE",
        "Noise alone",
    ):
        assert text in page


def test_without_val_rows_or_scores_it_is_refused_before_anything_runs(folder: Path) -> None:
    with pytest.raises(InputError, match=r"\[calibration\] needs a val split"):
        config(folder, data=predictions_config()["data"])
    table = folder / "predictions.csv"
    text = table.read_text()
    table.write_text(text.replace(",val\n", ",train\n"))
    for command in (pipeline.check, lambda asked: pipeline.run(asked, out=folder / "run")):
        with pytest.raises(InputError, match="the val split has no rows"):
            command(config(folder))
    header, *rows = text.splitlines()
    told = [f"{row.rpartition(',')[0].rpartition(',')[0]},yes,{row.rpartition(',')[2]}" for row in rows]
    table.write_text("\n".join([header.replace("score:yes", "predicted"), *told]) + "\n")
    with pytest.raises(InputError, match="needs scores"):
        pipeline.check(config(folder, metrics=["recall"]))
    assert not (folder / "run").exists()


def test_a_temperature_without_optimum_is_noted(folder: Path) -> None:
    table = folder / "predictions.csv"
    rows = pd.read_csv(table, dtype=str)
    val = rows["split"] == "val"
    rows.loc[val, "score:yes"] = np.where(rows.loc[val, "label"] == "yes", "0.7", "0.3")
    rows.to_csv(table, index=False)
    found = audit(folder)
    assert found["calibration"]["temperature"] == pytest.approx(0.05)
    assert any("end of its range" in note for note in found["notes"])
