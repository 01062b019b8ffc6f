"""JUnit XML: elements that pipelines know, each verdict as the outcome it means, no text that breaks it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import date

import pytest

from imgid_audit.core.result import AuditResult, Privacy, Verdict, WaiverState
from imgid_audit.export import FORMATS
from imgid_audit.export.junit import render_junit
from imgid_audit.report import build
from tests.report import factory

# what the published schemas of JUnit XML (Ant's and Jenkins') have in common: attributes, children
GRAMMAR = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"testsuite"}),
    "testsuite": ({"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}, {"testcase"}),
    "testcase": ({"name", "classname", "time"}, {"properties", "failure", "error", "skipped", "system-out"}),
    "properties": (set(), {"property"}),
    "property": ({"name", "value"}, set()),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": ({"message"}, set()),
    "system-out": (set(), set()),
}
OUTCOMES = ("failure", "error", "skipped")
HELD = WaiverState(date(2027, 3, 31), "A. Person", "a new scanner comes", active=True)
EXPIRED = replace(HELD, active=False)


def parsed(result: AuditResult) -> ET.Element:
    root = ET.fromstring(render_junit(result, factory.EPOCH))
    for element in root.iter():
        attributes, children = GRAMMAR[element.tag]
        assert set(element.attrib) <= attributes, element.tag
        assert {child.tag for child in element} <= children, element.tag
    return root


def outcomes(root: ET.Element) -> dict[str, str]:
    found = {}
    for case in root.iter("testcase"):
        tags = [child.tag for child in case if child.tag in OUTCOMES]
        assert len(tags) <= 1
        found[case.attrib["name"]] = tags[0] if tags else "passed"
    return found


def with_waiver(result: AuditResult, rule: str, waiver: WaiverState) -> AuditResult:
    verdicts = tuple(replace(v, waiver=waiver) if v.rule == rule else v for v in result.evaluation.verdicts)
    return replace(result, evaluation=replace(result.evaluation, verdicts=verdicts))


def test_each_status_is_the_outcome_that_it_means() -> None:
    root = parsed(factory.audit())
    assert outcomes(root) == {
        "device-accuracy": "failure", "age-recall": "failure", "floor": "passed", "impact": "error",
    }  # fmt: skip
    warned = parsed(factory.audit(factory.Plan(on_inconclusive="warn")))
    assert outcomes(warned)["age-recall"] == "skipped"
    assert outcomes(warned)["device-accuracy"] == "failure"


@pytest.mark.parametrize("waived", [False, True])
def test_counts_are_those_of_the_cases(waived: bool) -> None:
    result = with_waiver(factory.audit(), "device-accuracy", HELD) if waived else factory.audit()
    root = parsed(result)
    for element in (root, root.find("testsuite")):
        assert element is not None
        assert element.attrib["tests"] == str(len(list(root.iter("testcase"))))
        for name, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            if name in element.attrib:
                assert element.attrib[name] == str(len(list(root.iter(tag))))


@pytest.mark.parametrize("rule", ["device-accuracy", "age-recall", "impact"])
def test_a_waived_rule_is_skipped_and_an_expired_waiver_counts(rule: str) -> None:
    held = parsed(with_waiver(factory.audit(), rule, HELD))
    assert outcomes(held)[rule] == "skipped"
    (case,) = [case for case in held.iter("testcase") if case.attrib["name"] == rule]
    message = case.find("skipped").attrib["message"].replace("\xa0", " ")
    assert message.startswith("Waived until 31 March 2027 by A. Person: a new scanner comes.")
    expired = parsed(with_waiver(factory.audit(), rule, EXPIRED))
    assert outcomes(expired) == outcomes(parsed(factory.audit()))
    assert "expired on 31 March 2027" in ET.tostring(expired, encoding="unicode").replace("\xa0", " ")


def test_a_waiver_of_a_rule_that_is_met_skips_nothing() -> None:
    assert outcomes(parsed(with_waiver(factory.audit(), "floor", HELD)))["floor"] == "passed"


def test_the_numbers_are_those_of_the_verdict() -> None:
    root = parsed(factory.audit())
    (verdict,) = [v for v in factory.audit().evaluation.verdicts if v.rule == "device-accuracy"]
    (case,) = [case for case in root.iter("testcase") if case.attrib["name"] == "device-accuracy"]
    told = {entry.attrib["name"]: entry.attrib["value"] for entry in case.iter("property")}
    for name in ("observed", "low", "high", "tolerance"):
        assert float(told[name]) == getattr(verdict, name)
    assert told["status"] == "fail"
    assert case.find("failure").attrib["message"].lower() == f"{verdict.reason.lower()}."


def test_hostile_texts_stay_texts() -> None:
    nasty = "a\x00b\x08c\x1b[31m\ufffe\ud800 ]]> <x y='\"'> & \u202e\u2028 \r\n\t end"
    made = factory.audit()
    verdicts = (Verdict(nasty, "fail", nasty, 0.1, None, None, 0.1, None, {nasty: 3}, replace(EXPIRED, why=nasty)),)
    root = parsed(replace(made, name=nasty, evaluation=replace(made.evaluation, verdicts=verdicts)))
    (case,) = root.iter("testcase")
    assert case.attrib["name"].startswith("a[U+0000]b[U+0008]c[U+001B][31m[U+FFFE][U+D800] ]]> <x y='\"'> & [U+202E]")
    assert outcomes(parsed(factory.hostile())), "and the hostile audit too"


def test_an_audit_without_rules_has_no_cases() -> None:
    root = parsed(factory.audit(factory.Plan(verdicts=())))
    assert root.attrib["tests"] == "0"
    assert not list(root.iter("testcase"))


def test_the_same_result_gives_the_same_bytes_as_a_format() -> None:
    made = factory.audit()
    (data,) = FORMATS["junit"].files(made, build(made, epoch=factory.EPOCH)).values()
    assert data == render_junit(made, factory.EPOCH)
    assert {e.attrib["time"] for e in ET.fromstring(data).iter() if "time" in e.attrib} == {"0"}
    assert 'timestamp="2026-11-23T14:05:00"' in data.decode()


def test_hidden_numbers_are_not_told() -> None:
    made = replace(factory.audit(), privacy=Privacy(11, ("device",), ("device-accuracy",)))
    text = render_junit(made, factory.EPOCH).decode()
    assert "0.211" not in text
    assert "handheld" not in text
    assert outcomes(ET.fromstring(text))["device-accuracy"] == "failure", "the status stays"
