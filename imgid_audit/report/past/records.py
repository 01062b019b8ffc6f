"""From an audit's result to its record in a history. A result that is not sound is refused with why."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from imgid_audit.core.history import RunRecord
from imgid_audit.core.result import AuditResult, Estimate, Undefined, Verdict
from imgid_audit.report import words
from imgid_audit.report.audited import hashes
from imgid_audit.report.facts import Facts
from imgid_audit.report.published import publishable


def record(result: AuditResult, place: str) -> RunRecord:
    """The record of the audit in `place`. Raises ValueError, with why, where it holds what no audit has.

    audit.json may come from anywhere: its numbers must be finite, its statuses known, its date a date.
    """
    result = publishable(result)
    epoch = _date(result.run.get("epoch"))
    facts = Facts.of(result, epoch)
    verdicts = result.evaluation.verdicts
    for verdict in verdicts:
        _check_verdict(verdict)
    totals = tuple(total for series in facts.series if (total := facts.total(series)) is not None)
    for total in totals:
        _check_total(total)
    for settings in facts.rules.values():
        words.rule(settings, multiclass=facts.multiclass)  # its own errors say what a rule lacks
    _require(isinstance(result.name, str), "its name is no text")
    return RunRecord(
        place=place,
        name=result.name,
        epoch=epoch,
        evaluated=facts.evaluated,
        multiclass=facts.multiclass,
        totals=totals,
        verdicts=verdicts,
        rules=facts.rules,
        hashes=hashes(result.provenance),
        suppressed=result.privacy is not None,
        warns=(result.settings.get("policy") or {}).get("on_inconclusive") == "warn",
    )


def _date(written: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(written)
    except (TypeError, ValueError):
        raise ValueError(f"its run block has no date: epoch is {written!r}") from None
    _require(moment.tzinfo is not None, f"the date of its run block has no time zone: {written!r}")
    return moment.astimezone(UTC)


def _check_verdict(verdict: Verdict) -> None:
    _require(isinstance(verdict.rule, str), "a verdict names no rule")
    _require(verdict.status in words.STATUS_WORDS, f"rule {verdict.rule!r} has the unknown status {verdict.status!r}")
    for name in ("observed", "low", "high", "tolerance"):
        value = getattr(verdict, name)
        _require(
            (value is None and name != "tolerance") or _finite(value),
            f"{name} of rule {verdict.rule!r} is no finite number: {value!r}",
        )


def _check_total(total: Estimate) -> None:
    if isinstance(total.value, Undefined):
        return
    _require(_finite(total.value), f"{total.metric} is no finite number: {total.value!r}")
    if total.interval is not None:
        bounds = (total.interval.low, total.interval.high, total.interval.level)
        _require(all(map(_finite, bounds)), f"the interval of {total.metric} is not of finite numbers: {bounds!r}")


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _require(held: bool, message: str) -> None:
    if not held:
        raise ValueError(message)
