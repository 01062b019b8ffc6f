"""Operating point and costs through a whole run: kept, read back, printed, and applied again."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from imgid_audit import pipeline
from imgid_audit.config import Config, load_config
from imgid_audit.core.predictions import Costs
from imgid_audit.core.result import AuditResult
from imgid_audit.export import read_audit
from imgid_audit.export.audit_json import document, schema
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline.steps import kept_decisions
from tests.tiny import predictions_config, predictions_table

COSTS = {"no": {"yes": 1}, "yes": {"no": 5}}


def config(folder: Path, **changes: object) -> Config:
    predictions_table(folder)
    settings = predictions_config(report={"formats": ["json", "html"]}, **changes)
    settings["data"]["split"] = {"val": 0.3, "test": 0.5}
    return load_config(settings, folder=folder)


def audited(folder: Path, **changes: object) -> AuditResult:
    outcome = pipeline.run(config(folder, **changes), out=folder / "run")
    assert outcome.result is not None
    return outcome.result


@pytest.mark.parametrize(
    "changes",
    [
        {"operating_point": {"max": "youden"}},
        {"operating_point": {"at": "specificity", "value": 0.8}},
        {"operating_point": {"threshold": 0.4}},
        {"costs": COSTS},
    ],
    ids=["max", "at", "threshold", "costs"],
)
def test_what_decided_survives_audit_json_and_the_kept_cells(changes: dict[str, object], tmp_path: Path) -> None:
    result = audited(tmp_path, **changes)
    again = read_audit(tmp_path / "run" / "audit.json")
    for name in ("operating_point", "at_threshold", "costs"):
        assert getattr(again.evaluation, name) == getattr(result.evaluation, name)
    kept = kept_decisions(RunFolder.existing(tmp_path / "run"), result)
    assert (kept.operating_point, kept.costs) == (result.evaluation.operating_point, result.evaluation.costs)
    assert list(jsonschema.Draft202012Validator(schema()).iter_errors(json.loads(json.dumps(document(result))))) == []
    gated = pipeline.gate(tmp_path / "run").result
    assert gated is not None
    assert [v.status for v in gated.evaluation.verdicts] == [v.status for v in result.evaluation.verdicts]


def test_a_found_threshold_says_how_sure_it_is(tmp_path: Path) -> None:
    result = audited(tmp_path, operating_point={"max": "f1"})
    point = result.evaluation.operating_point
    assert point is not None
    assert (point.criterion, point.source, point.draws, point.found) == ("max f1", "val", 100, 100)
    assert point.method == "percentile bootstrap over subjects"
    assert point.low is not None
    assert point.low <= point.threshold <= point.high
    names = [one.slice.attributes for one in result.evaluation.at_threshold]
    assert names == [(), *[("group",)] * 2, *[("site",)] * 3]
    page = (tmp_path / "run" / "report.html").read_text()
    assert "At the deployed threshold by group" in page
    assert "were the val split drawn again" in page
    assert "not corrected for the threshold having been chosen there" in page


def test_a_given_threshold_has_no_interval_and_its_groups_do(tmp_path: Path) -> None:
    result = audited(tmp_path, operating_point={"threshold": 0.4})
    point = result.evaluation.operating_point
    assert point is not None
    assert point.low is point.draws is point.achieved is None
    assert all(one.sensitivity.interval and one.sensitivity_at is None for one in result.evaluation.at_threshold)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "At the deployed threshold by group" in page
    assert "Drawn again" not in page


def test_costs_decide_as_their_threshold_does_and_are_printed(tmp_path: Path) -> None:
    result = audited(tmp_path, costs=COSTS)
    assert result.evaluation.costs == Costs(((0.0, 1.0), (5.0, 0.0)))
    assert result.evaluation.operating_point is None
    (tmp_path / "other").mkdir()
    same = audited(tmp_path / "other", operating_point={"threshold": 1 / 6})
    assert (result.evaluation.confusion == same.evaluation.confusion).all()
    assert json.loads((tmp_path / "run" / "audit.json").read_text())["costs"] == {
        "table": {"no": {"no": 0, "yes": 1}, "yes": {"no": 5, "yes": 0}},
        "threshold": pytest.approx(1 / 6),
    }
    page = (tmp_path / "run" / "report.html").read_text()
    assert "the class of least expected cost, the same as a threshold of 0.1667" in page.replace(
        "The class", "the class"
    )
    assert "Rows are true labels, columns what was decided" in page


def test_costs_redecide_in_place(tmp_path: Path) -> None:
    first = audited(tmp_path, costs=COSTS)
    other = audited(tmp_path, costs={"no": {"yes": 9}, "yes": {"no": 1}})
    assert first.evaluation.confusion[:, 1].sum() > other.evaluation.confusion[:, 1].sum()


def test_small_cells_hide_the_rates_at_the_ends(tmp_path: Path) -> None:
    result = audited(tmp_path, operating_point={"max": "f1"}, privacy={"min_cell": 5})
    assert result.evaluation.at_threshold[0].sensitivity_at is not None
    assert "Drawn again" not in (tmp_path / "run" / "report.html").read_text()
