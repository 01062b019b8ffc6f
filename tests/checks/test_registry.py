"""What every check keeps: a code, a title, a documentation anchor, and a finding for each one, always."""

from __future__ import annotations

import json
import re
from pathlib import Path

from imgid_audit.checks import CHECKS, CheckContext, run_checks
from imgid_audit.checks.base import percent
from imgid_audit.core.task import Task


def test_codes_are_stable() -> None:
    assert CHECKS.names == ("D001", "D002", "D003", "D004", "D005", "D006", "M001", "M002", "M003")


def test_every_check_is_described() -> None:
    for check in CHECKS:
        assert re.fullmatch(r"[DM]\d{3}", check.name)
        assert check.title
        assert check.summary
        assert re.fullmatch(r"[a-z0-9-]+", check.anchor)
        assert check.anchor.startswith(check.name.lower())
        assert check.Params() == check.Params.model_validate({})
        assert check.run.__doc__
        for name, field in check.Params.model_fields.items():
            assert field.description, f"{check.name} {name}"


def test_every_check_is_listed_whether_it_ran_or_not(make) -> None:
    rows = make.manifest(["a", "b"] * 20, sex=["f", "m"] * 20)
    context = CheckContext(Task("multiclass", ("a", "b")), rows)
    findings = run_checks(context, {"D003": None})
    assert [finding.code for finding in findings] == list(CHECKS.names)
    off = findings[2]
    assert (off.status, off.reason, off.severity) == ("skipped", "switched off by the config", "info")
    assert all(finding.reason for finding in findings)
    json.dumps([dict(finding.evidence) for finding in findings], allow_nan=False)


def test_no_check_stumbles_over_an_empty_manifest(make) -> None:
    rows = make.manifest([], levels=["a", "b"], sex=[])
    findings = run_checks(CheckContext(Task("multiclass", ("a", "b")), rows), {})
    assert {finding.status for finding in findings} <= {"not_applicable", "skipped", "finding"}
    everything_out = make.manifest(["a", "b"], excluded=[0, 1], sex=["f", "m"])
    run_checks(CheckContext(Task("multiclass", ("a", "b")), everything_out), {})


def test_percent_is_0_and_100_only_where_exact() -> None:
    assert percent(0) == "0.0 %"
    assert percent(1) == "100.0 %"
    assert percent(1e-6) == "0.0001 %"
    assert percent(1 - 1e-6) == "99.9999 %"
    assert percent(0.25) == "25.0 %"


def test_the_documentation_has_a_section_for_every_check_and_its_parameters() -> None:
    text = (Path(__file__).parents[2] / "docs" / "checks.md").read_text(encoding="utf-8")
    sections = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL))
    assert [re.sub(r" ", "-", title.lower()) for title in sections] == [check.anchor for check in CHECKS]
    for check, section in zip(CHECKS, sections.values(), strict=True):
        for name, field in check.Params.model_fields.items():
            assert f"`{name}`" in section
            if field.default is not None:
                assert f"{field.default:g}" in section
