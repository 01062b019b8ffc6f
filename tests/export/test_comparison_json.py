"""comparison.json: what the contract promises, by its published schema, and back again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from imgid_audit.core.comparison import Comparison
from imgid_audit.core.errors import InputError
from imgid_audit.core.result import Undefined
from imgid_audit.export.audit_json import document
from imgid_audit.export.comparison_json import (
    comparison_document,
    comparison_schema,
    encode_comparison,
    read_comparison,
)
from tests.report import comparison_factory as factory

VALIDATOR = jsonschema.Draft202012Validator(comparison_schema())


def hostile() -> Comparison:
    found = factory.hostile().comparison
    assert found is not None
    return found


def undefined() -> Comparison:
    made = factory.undefined(factory.comparison(), "focal")
    first = replace(made.estimates[0], value=Undefined("empty", "no rows"), interval=None)
    return replace(made, estimates=(first, *made.estimates[1:]), winner=None)


MADE: tuple[Callable[[], Comparison], ...] = (factory.comparison, factory.nothing_helps, hostile, undefined)


def loaded(comparison: Comparison) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(encode_comparison(comparison), parse_constant=refuse)


@pytest.mark.parametrize("make", MADE)
def test_it_keeps_the_published_schema(make: Callable[[], Comparison]) -> None:
    jsonschema.Draft202012Validator.check_schema(comparison_schema())
    assert [error.message for error in VALIDATOR.iter_errors(loaded(make()))] == []


@pytest.mark.parametrize("make", MADE)
def test_what_is_written_is_read(make: Callable[[], Comparison], tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    path.write_bytes(encode_comparison(make()))
    found = read_comparison(path)
    assert found == make()
    assert encode_comparison(found) == path.read_bytes()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda d: d["estimates"][0].update(value=None),
        lambda d: d["estimates"][0].update(undefined="empty"),
        lambda d: d["estimates"][0].update(quantity="gap"),
        lambda d: d["estimates"][0].update(recalibrated=True),
        lambda d: d["estimates"][0].pop("method"),
        lambda d: d["changes"][0].update(verdict="might help"),
        lambda d: d["changes"][0].update(seed_error=-0.1),
        lambda d: d["methods"][0].update(status="skipped"),
        lambda d: d["methods"][0].update(reason="because"),
        lambda d: d["methods"][-1].update(reason=None),
        lambda d: d["methods"][0].pop("seconds"),
        lambda d: d.pop("primary"),
        lambda d: d.update(format_version=2),
        lambda d: d.update(extra=1),
    ],
)
def test_the_schema_refuses_what_is_no_comparison(spoil: Callable[[Any], Any]) -> None:
    found = loaded(factory.comparison())
    spoil(found)
    assert not VALIDATOR.is_valid(found)


def test_an_estimate_is_there_once_for_each_metric_class_slice_method_and_seed() -> None:
    def key(one: dict[str, Any]) -> tuple[Any, ...]:
        return one["metric"], one["class"], tuple(one["slice"].items()), one["method"], one["seed"]

    found = loaded(factory.comparison())
    assert max(Counter(map(key, found["estimates"])).values()) == 1
    assert {one["quantity"] for one in found["estimates"]} == {"overall", "group"}
    assert len(found["estimates"]) + len(found["summaries"]) == len(factory.comparison().estimates)


def test_the_contracts_keys_are_there() -> None:
    found = loaded(factory.comparison())
    assert set(found["methods"][0]) >= {
        *("name", "scope", "acts_on", "needs", "parameters", "status", "reason", "seeds", "seconds"),
    }
    assert set(found["estimates"][0]) >= {
        *("metric", "class", "slice", "value", "undefined", "low", "high", "level", "n", "support", "subjects"),
        *("method", "seed"),
    }
    assert set(found["changes"][0]) >= {
        *("method", "metric", "class", "slice", "value", "low", "high", "p_value", "p_adjusted", "verdict"),
        "levelling_down",
    }
    assert found["primary"]["across"] == ["device"]
    verdicts = [(one["quantity"], one["verdict"]) for one in found["changes"] if one["verdict"] is not None]
    assert {quantity for quantity, _ in verdicts} == {"worst_group"}
    assert Counter(verdict for _, verdict in verdicts) == {"helps": 1, "harms": 1, "no evidence": 6}


def test_the_audits_own_file_does_not_hold_it() -> None:
    compared = factory.compared()
    assert document(compared) == document(replace(compared, comparison=None))


def test_a_file_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    made, path = factory.comparison(), tmp_path / "comparison.json"
    found = loaded(made)
    for method in found["methods"]:
        for key in ("uses_adjust", "tuned", "images_total", "rows_total"):
            del method[key]
    assert [error.message for error in VALIDATOR.iter_errors(found)] == []
    path.write_text(json.dumps(found))
    for one, old in zip(made.records, read_comparison(path).records, strict=True):
        assert old == replace(one, uses_adjust=False, tuned=(), images_total=0, rows_total=0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "format_version None"),
        ('{"format_version": 2}', "format_version 2"),
        ('{"format_version": 1}', "not a whole comparison.json"),
        ('{"format_version": 1, "primary": 3, "winner": null}', "not a whole comparison.json"),
    ],
)
def test_what_is_no_comparison_is_refused(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "comparison.json"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        read_comparison(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_comparison(tmp_path / "absent.json")


def test_no_number_that_is_none() -> None:
    made = factory.comparison()
    bad = replace(made, estimates=(replace(made.estimates[0], value=float("nan")),))
    with pytest.raises(ValueError, match="JSON compliant"):
        encode_comparison(bad)
    assert comparison_document(made)["trials"] == 3
