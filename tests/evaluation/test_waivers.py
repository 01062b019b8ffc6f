"""Waivers: what they leave alone, and the day on which they end."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from imgid_audit.core.policy import Policy, Rule, Waiver
from imgid_audit.core.result import Verdict, VerdictStatus
from imgid_audit.evaluation.waivers import with_waivers

WAIVER = Waiver(date(2027, 3, 31), "A. Person", "a new scanner comes")
RULE = Rule("gap", "recall", "max_gap", 0.1, ("sex",), waiver=WAIVER)


def verdict(status: VerdictStatus = "fail") -> Verdict:
    return Verdict("gap", status, "because", 0.3, 0.2, 0.4, 0.1, None, None)


@pytest.mark.parametrize(
    ("day", "active"),
    [(date(2026, 1, 1), True), (date(2027, 3, 31), True), (date(2027, 4, 1), False), (date(2030, 1, 1), False)],
)
def test_it_holds_up_to_and_with_its_last_day(day: date, active: bool) -> None:
    (found,) = with_waivers((verdict(),), (RULE,), day)
    assert found.waiver is not None
    assert (found.waiver.active, found.waived) == (active, active)
    assert replace(found, waiver=None) == verdict(), "status, reason and numbers are as they were"


@pytest.mark.parametrize("status", ["pass", "fail", "inconclusive", "not_evaluated"])
def test_a_rule_that_is_met_needs_no_waiver(status: VerdictStatus) -> None:
    (found,) = with_waivers((verdict(status),), (RULE,), date(2027, 1, 1))
    assert found.waived == (status != "pass")


def test_a_rule_without_one_is_left_alone() -> None:
    plain = replace(RULE, waiver=None)
    found = with_waivers((verdict(), verdict()), (plain, RULE), date(2027, 1, 1))
    assert [one.waived for one in found] == [False, True]
    assert found[0].waiver is None


def test_every_status_counts_as_the_policy_says() -> None:
    from imgid_audit.pipeline.commands import exit_code
    from tests.report import factory

    def code(status: VerdictStatus, day: date, *, warns: bool = False) -> int:
        result = factory.audit()
        judged = with_waivers((verdict(status),), (RULE,), day)
        result = replace(result, evaluation=replace(result.evaluation, verdicts=judged))
        return exit_code(result, Policy((RULE,), "warn" if warns else "fail"))

    before, after = date(2027, 3, 31), date(2027, 4, 1)
    for status in ("fail", "inconclusive", "not_evaluated"):
        assert (code(status, before), code(status, after)) == (0, 1)
    assert code("pass", after) == 0
    assert code("inconclusive", after, warns=True) == 0
