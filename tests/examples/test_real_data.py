"""The examples on real data, where it lies beside the checkout; the demo needs nothing outside."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import imgid_audit as ia
from imgid_audit import pipeline

ROOT = Path(__file__).parents[2]
DATASETS = ROOT.parent / "shared" / "datasets"


def audited(example: str, dataset: str, out: Path) -> dict:
    manifest = DATASETS / dataset / "metadata.csv"
    if not manifest.exists():
        pytest.skip(f"the data set {dataset} is not beside the checkout")
    config = ia.load_config(ROOT / "examples" / example / "audit.yaml", overrides=[f"data.manifest={manifest}"])
    outcome = pipeline.run(config, out=out)
    assert all(path.exists() for path in outcome.files)
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF")
    return json.loads((out / "audit.json").read_text())


def by_rule(audit: dict) -> dict[str, dict]:
    return {verdict["rule"]: verdict for verdict in audit["verdicts"]}


def test_the_demo_finds_what_was_planted(tmp_path: Path):
    outcome = pipeline.demo(tmp_path)
    assert outcome.exit_code == 0
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    verdict = by_rule(audit)["device-gap"]
    assert (verdict["status"], verdict["worst"]) == ("fail", {"device": "handheld"})
    (gap,) = [
        gap
        for gap in audit["gaps"]
        if (gap["metric"], gap["attribute"], gap["kind"]) == ("accuracy", "device", "difference")
    ]
    assert gap["low"] > verdict["tolerance"]
    assert gap["worst"] == {"device": "handheld"}
    assert "imulated" in " ".join(audit["notes"])
    assert "imulated" in (tmp_path / "run" / "report.html").read_text()
    (found,) = [finding for finding in audit["findings"] if finding["code"] == "D004"]
    assert found["status"] == "finding"
    assert "device and site" in found["reason"]


@pytest.mark.slow
def test_qmnist_compares_populations_by_writer(tmp_path: Path):
    audit = audited("qmnist_writers", "qmnist_writers", tmp_path / "run")
    assert audit["data"]["rows"] == audit["data"]["predicted"] == 20_136
    assert audit["data"]["subjects"] == 388
    found = {
        estimate["slice"].get("hsf_series"): estimate
        for estimate in audit["estimates"]
        if estimate["metric"] == "accuracy"
    }
    assert found["hsf_4"]["value"] < found["hsf_0"]["value"], "known: a small network is worse on the students"
    assert (found["hsf_0"]["subjects"], found["hsf_4"]["subjects"]) == (48, 249)
    assert all("effective n by subject" in estimate["method"] for estimate in found.values())


@pytest.mark.slow
def test_covid_is_honest_about_how_little_it_can_say(tmp_path: Path):
    audit = audited("covid_cxr", "covid_cxr", tmp_path / "run")
    verdicts = by_rule(audit)
    assert all(verdicts[rule]["status"] == "inconclusive" for rule in ("sex-recall", "view-recall"))
    assert all(verdict["status"] != "pass" for verdict in verdicts.values())
    assert audit["data"]["attributes"]["sex"]["(missing)"] > 0
    assert {finding["code"]: finding["status"] for finding in audit["findings"]}["D004"] == "finding"
