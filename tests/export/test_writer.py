"""Formats and the one writer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from imgid_audit.core.errors import InputError
from imgid_audit.export import FORMATS, Format, write
from imgid_audit.report import build
from tests.report import factory

FAST = ("html", "json", "csv")


def test_the_formats_of_the_contract_are_registered() -> None:
    assert FORMATS.names == ("html", "pdf", "json", "csv", "junit")
    assert all(form.summary.endswith(("json.", "html.", "pdf.", "csv.", "xml.")) for form in FORMATS)
    with pytest.raises(InputError, match="did you mean 'html'"):
        FORMATS["htlm"]


def test_everything_lands_where_the_run_folder_has_it(tmp_path: Path) -> None:
    result = factory.audit()
    report = build(result, epoch=factory.EPOCH)
    written = write(tmp_path / "run", [FORMATS[name] for name in FAST], result, report)
    assert [path.relative_to(tmp_path / "run").as_posix() for path in written] == [
        *("report.html", "audit.json", "tables/estimates.csv", "tables/gaps.csv", "tables/contrasts.csv"),
        *("tables/verdicts.csv", "tables/findings.csv", "tables/account.csv"),
    ]
    assert all(path.stat().st_size > 50 for path in written)
    assert sorted(p for p in (tmp_path / "run").rglob("*") if p.is_file()) == sorted(written)


def test_a_format_that_fails_leaves_the_folder_as_it_was(tmp_path: Path) -> None:
    def fail(*_: object) -> dict[str, bytes]:
        raise RuntimeError("no such luck")

    result = factory.audit()
    report = build(result, epoch=factory.EPOCH)
    (tmp_path / "audit.json").write_text("old")
    with pytest.raises(RuntimeError, match="luck"):
        write(tmp_path, [FORMATS["json"], Format("broken", "fails.", fail)], result, report)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("audit.json", "old")]


@pytest.mark.parametrize("name", FAST)
def test_a_format_depends_on_the_result_alone(name: str) -> None:
    result = factory.audit()
    report = build(result, epoch=factory.EPOCH)
    later = replace(result, run={"started": "2031-01-01"})
    first, second = FORMATS[name].files(result, report), FORMATS[name].files(later, report)
    if name == "json":
        assert first != second
    else:
        assert first == second


def test_no_subject_is_named_in_any_file(tmp_path: Path) -> None:
    """Counts of subjects are published, subjects are not: the payloads never see one."""
    result = factory.audit()
    report = build(result, epoch=factory.EPOCH)
    for name in FAST:
        for data in FORMATS[name].files(result, report).values():
            assert b"subject_id" not in data
