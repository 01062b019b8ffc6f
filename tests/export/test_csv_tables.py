"""The CSV tables: whole, exact, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest

from imgid_audit.core.result import Undefined
from imgid_audit.export.csv_tables import tables
from tests.report import comparison_factory, factory, fit_factory


def rows(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode("utf-8"), newline="")))


def test_every_estimate_is_there_with_all_its_digits() -> None:
    result = factory.audit()
    found = rows(tables(result)["tables/estimates.csv"])
    assert len(found) == len(result.evaluation.estimates)
    for row, e in zip(found, result.evaluation.estimates, strict=True):
        assert json.loads(row["slice"] or "{}") == e.slice.key
        assert row["class"] == (e.class_name or "")
        if isinstance(e.value, Undefined):
            assert (row["value"], row["low"], row["undefined"]) == ("", "", e.value.kind)
        else:
            assert float(row["value"]) == e.value
            assert e.interval is not None
            assert (float(row["low"]), float(row["high"])) == (e.interval.low, e.interval.high)


def test_gaps_verdicts_findings_and_the_account_are_whole() -> None:
    result = factory.audit()
    found = {path: rows(data) for path, data in tables(result).items()}
    assert len(found["tables/gaps.csv"]) == len(result.evaluation.gaps)
    assert len(found["tables/contrasts.csv"]) == len(result.evaluation.contrasts)
    differences = [g for g in result.evaluation.gaps if g.envelope is not None]
    shown = [row for row in found["tables/gaps.csv"] if row["envelope_upper"]]
    assert [float(row["envelope_upper"]) for row in shown] == [g.envelope.upper for g in differences]
    assert [row["rule"] for row in found["tables/verdicts.csv"]] == [v.rule for v in result.evaluation.verdicts]
    assert [row["code"] for row in found["tables/findings.csv"]] == [f.code for f in result.findings]
    account = {(row["what"], row["name"], row["level"]): int(row["rows"]) for row in found["tables/account.csv"]}
    assert account["status", "failed", ""] == result.data.failed
    assert account["attribute", "device", "(missing)"] == 9
    assert account["reason", "label is empty", ""] == 2


def test_no_cell_is_a_formula() -> None:
    files = {**tables(comparison_factory.hostile()), **tables(fit_factory.hostile())}
    for path, data in files.items():
        for row in csv.reader(io.StringIO(data.decode("utf-8"), newline="")):
            for cell in row:
                if cell[:1] in ("=", "+", "-", "@", "\t", "\r"):
                    float(cell)  # a number may be negative
        assert b"\r" not in data, path


def test_the_same_result_gives_the_same_bytes() -> None:
    assert tables(factory.audit()) == tables(factory.audit())


@pytest.mark.parametrize("path", ["tables/estimates.csv", "tables/gaps.csv"])
def test_columns_hold_the_keys_of_the_json(path: str) -> None:
    header = tables(factory.audit())[path].decode().splitlines()[0].split(",")
    assert {"metric", "class", "value", "undefined", "low", "high", "level", "method"} <= set(header)


def test_every_change_is_there_and_what_was_not_run_says_why() -> None:
    result = comparison_factory.compared()
    assert result.comparison is not None
    changes = result.comparison.changes
    found = rows(tables(result)["tables/mitigations.csv"])
    assert [row["status"] for row in found] == ["ran"] * len(changes) + ["not_run"]
    for row, change in zip(found, changes, strict=False):
        assert (row["method"], row["quantity"], row["verdict"]) == (
            change.method,
            change.quantity,
            change.verdict or "",
        )
        assert float(row["value"]) == change.value
        assert change.interval is not None
        assert (float(row["low"]), float(row["high"])) == (change.interval.low, change.interval.high)
    assert found[-1]["reason"].startswith("class “7” has 3 training rows")
    assert "tables/mitigations.csv" not in tables(factory.audit())


def test_training_has_its_tables_with_every_number() -> None:
    result = fit_factory.trained()
    fit = result.fit
    assert fit is not None
    assert fit.curves is not None
    assert fit.search is not None
    found = {path: rows(data) for path, data in tables(result).items()}
    curves = found["tables/training_curves.csv"]
    assert len(curves) == len(fit.curves.slices) * len(fit.curves.train_loss)
    assert [float(row["train_loss"]) for row in curves if not row["slice"]] == list(fit.curves.train_loss)
    assert {row["epoch"] for row in curves if row["kept"] == "True"} == {str(fit.curves.best_epoch)}
    absent = [row for row in curves if row["slice"] == '{"sex": "X"}']
    assert {row["val_accuracy"] for row in absent} == {""}, "a value that is not there is an empty cell, never 0"
    for row, gap in zip(found["tables/generalisation.csv"], fit.gaps, strict=True):
        assert (row["value"] == "") == isinstance(gap.value, Undefined)
        assert row["train_low"] == ("" if gap.train_interval is None else repr(gap.train_interval.low))
    trials = found["tables/search_trials.csv"]
    assert [row["state"] for row in trials] == [trial.state for trial in fit.search.trials]
    assert [json.loads(row["parameters"]) for row in trials] == [dict(trial.parameters) for trial in fit.search.trials]
    changes = found["tables/search_changes.csv"]
    assert [float(row["value"]) for row in changes] == [change.value for change in fit.search.changes]
    steps = [row for row in found["tables/studies.csv"] if row["what"] == "step"]
    assert [row["answer"] for row in steps] == [step.answer for study in fit.studies for step in study.steps]
    lost = [row for row in found["tables/studies.csv"] if row["status"] == "not_run"]
    assert [(row["variant"], row["reason"]) for row in lost] == [("timm/giant", "no module named timm")]
    assert not any(
        "search" in path or "studies" in path for path in tables(fit_factory.trained(fit_factory.only_trained()))
    )
