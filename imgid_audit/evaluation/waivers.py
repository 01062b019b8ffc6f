"""Waivers: which rules are let off, judged against a day and never against the clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from imgid_audit.core.policy import Rule, Waiver
from imgid_audit.core.result import Verdict, WaiverState


def state_on(waiver: Waiver, day: date) -> WaiverState:
    """The waiver as it stands on `day`; it holds up to and with its last day."""
    return WaiverState(waiver.until, waiver.by, waiver.why, active=day <= waiver.until)


def with_waivers(verdicts: Sequence[Verdict], rules: Sequence[Rule], day: date) -> tuple[Verdict, ...]:
    """The verdicts of `rules`, in their order, with the state of each rule's waiver on `day` (UTC).

    Status, reason and numbers stay: a waiver is a decision of people beside a fact of the data.
    """
    pairs = zip(verdicts, rules, strict=True)
    return tuple(
        verdict if rule.waiver is None else replace(verdict, waiver=state_on(rule.waiver, day))
        for verdict, rule in pairs
    )
