"""Waivers in words: who let a rule off, until when and why. A waived rule never reads as met."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.result import Verdict
from imgid_audit.report import numbers, words

WAIVED = "waived"


def status(verdict: Verdict) -> str:
    """The verdict's status in a word, ``Broken, waived`` where it does not count."""
    told = words.STATUS_WORDS[verdict.status]
    return f"{told}, {WAIVED}" if verdict.waived else told


def text(verdict: Verdict) -> str:
    """The rule's waiver as a sentence; '' where it has none."""
    waiver = verdict.waiver
    if waiver is None:
        return ""
    day = numbers.day(waiver.until)
    if not waiver.active:
        counts = "" if verdict.status == "pass" else ", and the rule counts"
        said = f"The waiver expired on {day}{counts}. It was given by {waiver.by}: {waiver.why}"
    elif verdict.waived:
        said = f"Waived until {day} by {waiver.by}: {waiver.why}"
    else:
        said = f"Its waiver until {day} is not needed. It was given by {waiver.by}: {waiver.why}"
    return words.ended(said)


def tally(verdicts: Sequence[Verdict]) -> str:
    """``1 of these is waived and does not count.``; '' where none is."""
    some = sum(verdict.waived for verdict in verdicts)
    if not some:
        return ""
    if some == len(verdicts) == 1:
        return "It is waived and does not count."
    return f"{numbers.count(some)} of these {'is' if some == 1 else 'are'} waived and {_do(some)} not count."


def _do(some: int) -> str:
    return "does" if some == 1 else "do"
