"""The CSV tables: whole, exact, and harmless in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json

import pytest

from imgid_audit.core.result import Undefined
from imgid_audit.export.csv_tables import tables
from tests.report import comparison_factory, factory


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
    for path, data in tables(comparison_factory.hostile()).items():
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
