"""Where small cells are hidden, what is published of a comparison does not depend on any number of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from imgid_audit.core.comparison import Comparison, Trial, Winner
from imgid_audit.core.result import AuditResult, Interval, Privacy, Undefined
from imgid_audit.export.csv_tables import tables
from imgid_audit.export.html_page import render_html
from imgid_audit.export.junit import FORMAT as JUNIT
from imgid_audit.report import build, publishable
from imgid_audit.report.compared import comparison_lines, comparison_rows
from imgid_audit.report.published_comparison import publishable_comparison
from tests.report import comparison_factory as made
from tests.report import factory

HIDING = (
    Privacy(11),
    Privacy(11, ("device",)),
    Privacy(11, ("", "device", "age", "sex", "device*sex"), confusion=True),
)


def other_numbers(found: Comparison) -> Comparison:
    """The same verdicts of the same methods from other data: no number of any network is the same."""

    def moved(value: float | Undefined) -> float | Undefined:
        return value if isinstance(value, Undefined) else 0.9 * value + 0.031

    def around(interval: Interval | None) -> Interval | None:
        return None if interval is None else replace(interval, low=interval.low - 0.011, high=interval.high + 0.012)

    estimates = tuple(
        replace(e, value=moved(e.value), interval=around(e.interval), n=7, support=3, subjects=2)
        for e in found.estimates[3:]
    )
    changes = tuple(
        replace(
            c, value=moved(c.value), before=moved(c.before), after=moved(c.after), interval=around(c.interval),
            p_value=0.02, p_adjusted=None if c.p_adjusted is None else 0.04, seed_error=0.5, test_error=0.4,
            slice=replace(c.slice, levels=("scanner",) * len(c.slice.levels)),
        )
        for c in found.changes
    )  # fmt: skip
    records = tuple(
        replace(
            r, val=tuple(0.123 for _ in r.val), notes=("4 rows",), chosen_by_test=0 if r.trials else None,
            rows_seen=77 if r.uses_adjust else r.rows_seen, rows_total=88 if r.uses_adjust else r.rows_total,
            tuned=tuple(dict.fromkeys(one, 0.7) for one in r.tuned),
            trials=tuple(replace(t, val=0.5, average=0.4, test=0.3) for t in r.trials), seconds=r.seconds + 1,
        )
        for r in found.records
    )  # fmt: skip
    assert found.winner is not None
    return replace(
        found, estimates=estimates, changes=changes, records=records, winner=replace(found.winner, val=0.2),
        left_out={"handheld": "4 rows that count, fewer than 10"}, notes=("3 rows of handheld are wrong",),
    )  # fmt: skip


def published(result: AuditResult) -> list[bytes]:
    report = build(result, epoch=factory.EPOCH)
    shown = publishable(result)
    assert shown.comparison is not None
    text = [*comparison_lines(shown.comparison), *(" ".join(row) for row in comparison_rows(shown.comparison))]
    files = (*tables(shown).values(), *JUNIT.files(shown, report).values())
    return [render_html(report), *files, "\n".join(text).encode()]


@pytest.mark.parametrize("hiding", HIDING)
def test_other_numbers_give_the_same_published_bytes(hiding: Privacy) -> None:
    audit, first = factory.audit(), made.comparison()
    second = other_numbers(first)
    hidden = [published(replace(audit, comparison=one, privacy=hiding)) for one in (first, second)]
    assert hidden[0] == hidden[1]
    shown = [published(replace(audit, comparison=one)) for one in (first, second)]
    assert shown[0][0] != shown[1][0]


@pytest.mark.parametrize("hiding", HIDING)
def test_verdicts_settings_and_costs_stay_and_it_is_said_what_is_gone(hiding: Privacy) -> None:
    found = publishable(replace(factory.audit(), comparison=made.comparison(), privacy=hiding))
    assert found.comparison is not None
    assert any("comparison of mitigations are never published" in note for note in found.notes)
    assert [c.verdict for c in found.comparison.changes].count("helps") == 1
    assert all(isinstance(c.value, Undefined) and c.interval is None and c.p_adjusted is None
               for c in found.comparison.changes)  # fmt: skip
    assert found.comparison.estimates == ()
    assert found.comparison.records[2].rows_seen == 420 * 50
    aside = found.comparison.record("dfr")
    assert aside.uses_adjust
    assert (aside.rows_seen, aside.rows_total, aside.tuned) == (0, 0, ()), "as large as the smallest stratum set aside"
    assert (found.comparison.rows == {}) == ("" in hiding.suppressed)
    page = render_html(build(found, epoch=factory.EPOCH)).decode()
    assert "1\xa0method helps: oversample" in page
    assert "suppressed" in page
    csv = tables(found)["tables/mitigations.csv"].decode()
    assert csv.count("suppressed") == 8
    assert "helps" in csv


def test_every_part_of_a_comparison_is_known_to_be_public_or_stripped() -> None:
    """A new field must be thought about: does it tell of test rows? Then `publishable_comparison` must strip it."""
    assert {f.name for f in fields(Comparison)} == {
        *("scope", "backbone", "baseline", "primary", "criterion", "seeds", "trials", "level", "settings", "hashes"),
        *("rows", "records", "estimates", "changes", "winner", "left_out", "notes"),
    }
    assert {f.name for f in fields(Winner)} == {"method", "seed", "val", "weights", "sha256", "reason"}
    assert {f.name for f in fields(Trial)} == {"parameters", "val", "average", "test", "failed"}


def test_an_undefined_change_stays_without_a_verdict() -> None:
    comparison = made.undefined(made.comparison(), "focal")
    found = publishable_comparison(comparison, HIDING[0])
    assert [c.verdict for c in found.changes if c.method == "focal"] == [None]


def test_nothing_is_hidden_without_privacy() -> None:
    result = made.compared()
    assert publishable(result) is result


def test_an_audit_without_a_comparison_says_nothing_of_one() -> None:
    found = publishable(replace(factory.audit(), privacy=HIDING[0]))
    assert found.comparison is None
    assert not any("mitigations" in note for note in found.notes)
