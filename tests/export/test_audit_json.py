"""audit.json: what the contract promises, by its published schema, and back again."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.core.result import AuditResult, Finding
from imgid_audit.export import read_audit
from imgid_audit.export.audit_json import document, encode, plain, schema
from imgid_audit.export.html_page import render_html
from imgid_audit.report import build
from tests.report import factory

RESULTS: tuple[Callable[[], AuditResult], ...] = (factory.audit, factory.binary, factory.hostile)
VALIDATOR = jsonschema.Draft202012Validator(schema())


def loaded(result: AuditResult) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(encode(result), parse_constant=refuse)


@pytest.mark.parametrize("make", RESULTS)
def test_it_keeps_the_published_schema(make: Callable[[], AuditResult]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert [error.message for error in VALIDATOR.iter_errors(loaded(make()))] == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["estimates"][0].update(value=None),
        lambda d: d["estimates"][0].update(undefined="empty"),
        lambda d: d["estimates"][0].update(undefined="because", value=None),
        lambda d: d["estimates"][0].pop("n"),
        lambda d: d["gaps"][0].update(kind="quotient"),
        lambda d: d["verdicts"][0].update(status="passed"),
        lambda d: d["verdicts"][0].update(subjects_needed={"a": -1}),
        lambda d: d["findings"][0].update(severity="terrible"),
        lambda d: d["findings"][0].update(status="inconclusive"),
        lambda d: d["data"].pop("excluded"),
        lambda d: d.pop("provenance"),
        lambda d: d.update(format_version=2),
        lambda d: d.update(extra=1),
    ],
)
def test_the_schema_refuses_what_is_not_an_audit(spoil: Callable[[Any], Any]) -> None:
    found = loaded(factory.audit())
    spoil(found)
    assert not VALIDATOR.is_valid(found)


def test_exactly_one_of_value_and_undefined_is_null() -> None:
    found = loaded(factory.audit())
    for entry in (*found["estimates"], *found["gaps"], *found["contrasts"]):
        assert (entry["value"] is None) != (entry["undefined"] is None)
        assert (entry["value"] is None) == (entry["low"] is None) == (entry["method"] is None)
    assert {e["undefined"] for e in found["estimates"]} >= {None, "empty"}


def test_the_contracts_keys_are_there() -> None:
    found = loaded(factory.binary())
    assert set(found["data"]) >= {"rows", "predicted", "failed", "excluded", "subjects", "splits", "attributes"}
    assert set(found["estimates"][0]) >= {
        *("metric", "class", "slice", "value", "undefined", "low", "high", "level"),
        *("method", "n", "support", "subjects"),
    }
    assert set(found["gaps"][0]) >= {
        *("metric", "class", "attribute", "kind", "value", "undefined", "low", "high"),
        *("best", "worst", "p_value", "p_adjusted"),
    }
    assert set(found["verdicts"][0]) == {
        *("rule", "status", "reason", "observed", "low", "high", "tolerance", "worst", "subjects_needed"),
        *("subjects_needed_range", "waiver", "method"),
    }
    assert set(found["findings"][0]) == {*["code", "title", "status", "inconclusive", "severity", "reason", "evidence"]}
    assert found["estimates"][0]["slice"] == {}
    assert found["operating_point"]["threshold"] == 0.4213


def test_a_check_that_cannot_tell_has_a_status_that_every_reader_knows(tmp_path: Path) -> None:
    result = factory.audit()
    (written,) = [one for one in document(result)["findings"] if one["inconclusive"]]
    assert (written["code"], written["status"]) == ("M003", "skipped")
    file = tmp_path / "audit.json"
    file.write_bytes(encode(result))
    assert [one.status for one in read_audit(file).findings] == [one.status for one in result.findings]


@pytest.mark.parametrize("make", RESULTS)
def test_it_reads_back_to_the_same_result(tmp_path: Path, make: Callable[[], AuditResult]) -> None:
    result = make()
    path = tmp_path / "audit.json"
    path.write_bytes(encode(result))
    back = read_audit(path)
    assert back.evaluation.estimates == result.evaluation.estimates
    assert back.evaluation.gaps == result.evaluation.gaps
    assert back.evaluation.contrasts == result.evaluation.contrasts
    assert back.evaluation.verdicts == result.evaluation.verdicts
    assert back.evaluation.task == result.evaluation.task
    assert back.evaluation.operating_point == result.evaluation.operating_point
    assert back.data == result.data
    assert list(back.data.attributes) == list(result.data.attributes)
    assert back.notes == result.notes
    np.testing.assert_array_equal(back.evaluation.confusion, result.evaluation.confusion)
    for one, other in zip(back.evaluation.reliability, result.evaluation.reliability, strict=True):
        assert one.slice == other.slice
        for name in ("edges", "count", "mean_score", "frequency"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert encode(back) == encode(result)


def test_a_report_made_from_the_file_is_the_report_of_the_result(tmp_path: Path) -> None:
    result = factory.audit()
    path = tmp_path / "audit.json"
    path.write_bytes(encode(result))
    pages = [render_html(build(one, epoch=factory.EPOCH)) for one in (result, read_audit(path))]
    assert pages[0] == pages[1]


def test_the_same_result_gives_the_same_bytes_but_for_the_run_block() -> None:
    assert encode(factory.audit()) == encode(factory.audit())
    later = document(replace(factory.audit(), run={"seconds": 99.0}))
    first = document(factory.audit())
    assert later.pop("run") != first.pop("run")
    assert later == first


def test_a_nan_is_never_written() -> None:
    finding = Finding("X", "x", "finding", "low", "r", {"share": math.nan})
    with pytest.raises(ValueError, match="JSON compliant"):
        encode(replace(factory.audit(), findings=(finding,)))


def test_plain_values_are_sorted_and_of_python() -> None:
    value = {"b": np.float64(0.1), "a": (np.int64(3), {"y", "x"}), 3: np.array([True, False]), "p": Path("m.csv")}
    found = plain(value)
    assert json.dumps(found) == '{"3": [true, false], "a": [3, ["x", "y"]], "b": 0.1, "p": "m.csv"}'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read"),
        (b"{", "is not JSON"),
        (b"\xff\xfe", "is not JSON"),
        (b"[]", "format_version None"),
        (b'{"format_version": 7}', "format_version 7"),
        (b'{"format_version": 1}', "not a whole audit.json"),
    ],
)
def test_a_file_that_is_no_audit_is_a_clear_error(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "audit.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=said) as caught:
        read_audit(path)
    assert str(path) in str(caught.value)
