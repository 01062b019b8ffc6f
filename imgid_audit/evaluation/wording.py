"""Plain sentences of verdicts, with the numbers that a reviewer needs."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.policy import Rule
from imgid_audit.metrics import METRICS
from imgid_audit.stats.bands import Mask
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.verdicts import PAIRED, UPPER, Judgement


def number(value: float, digits: int = 4) -> str:
    """Fixed decimals; a value that only rounds to 0 or 1 says so."""
    text = f"{value:.{digits}f}"
    smallest = 10.0**-digits
    if float(text) == 0 and value != 0:
        return f"less than {smallest:.{digits}f}" if value > 0 else f"more than -{smallest:.{digits}f}"
    if float(text) == 1 and value != 1:
        return f"more than {1 - smallest:.{digits}f}" if value < 1 else f"less than {1 + smallest:.{digits}f}"
    return text


SPELLINGS = {"auroc": "AUROC", "ece": "ECE", "f1": "F1", "brier": "Brier"}
"""Words of metric names that are not written in small letters."""

WHOLE = {"ece_debiased": "debiased ECE"}
"""Metrics whose names are not told word by word."""


def spoken(metric: str) -> str:
    """A metric's or criterion's name within a sentence: ``false positive rate``, ``AUROC``."""
    if metric in WHOLE:
        return WHOLE[metric]
    return " ".join(SPELLINGS.get(word, word) for word in metric.split("_"))


def subject(rule: Rule, measured: Measured) -> str:
    """What a rule judges and of which class: ``recall of 'yes'``, ``recall (mean of classes)``, ``ECE``.

    `measured` is what the rule reads, or the first of its parts.
    """
    mean = measured.class_name is None and METRICS[measured.metric].per_class
    return f"{spoken(rule.metric)}{' (mean of classes)' if mean else class_text(measured.class_name)}"


def class_text(class_name: str | None) -> str:
    return "" if class_name is None else f" of {class_name!r}"


def names(what: str, levels: Sequence[str]) -> str:
    return f"{what}: {', '.join(levels)}"


def percent(level: float) -> str:
    return f"{100 * level:g} %"


def comparison_text(what: str, rule: Rule, found: Judgement, measured: Measured, used: Mask, level: float) -> str:
    """What decided, or comes nearest to deciding, with values and the rows that count."""
    say = _changed if rule.kind == "max_drop" else _level
    seen = _pair(rule, found, measured) if rule.kind in PAIRED else say(found.first, measured)
    asked = {
        "max_gap": "differ by at most", "min_ratio": "have a ratio of at least",
        "min_value": "be at least", "max_value": "be at most", "max_drop": "have got worse by at most",
    }[rule.kind]  # fmt: skip
    goal = f"must {asked} {rule.tolerance:g}"
    upper = rule.kind in UPPER
    compared = f"{int(used.sum())} levels compared" if used.sum() > 1 else "one level"
    if found.status == "fail":
        bound = f"the simultaneous {percent(level)} bound {number(found.failing)} is {'above' if upper else 'below'} it"
        return f"{what} {goal}; {seen}; {bound} ({compared})"
    side = "upper" if upper else "lower"
    bound = (
        f"the largest one-sided {percent(level)} {side} bound"
        if upper
        else (f"the smallest one-sided {percent(level)} {side} bound")
    )
    if found.status == "pass":
        return f"{what} {goal}; nearest to breaking it: {seen}; {bound} {number(found.passing)} is inside ({compared})"
    return (
        f"{what} {goal}; the data cannot tell: {seen}; {bound} {number(found.passing)} is outside, and the "
        f"simultaneous bound {number(found.failing)} is inside ({compared})"
    )


def _level(index: int, measured: Measured) -> str:
    where = measured.breakdown.slices[index]
    return f"{where} has {number(float(measured.value[index]))} (n = {int(measured.support[index])})"


def _changed(index: int, measured: Measured) -> str:
    """A level's drop in the metric's own direction, which is an improvement where it is negative."""
    where, drop = measured.breakdown.slices[index], float(measured.value[index])
    said = f"has got {'worse' if drop > 0 else 'better'} by {number(abs(drop))}" if drop else "has not changed"
    return f"{where} {said} (n = {int(measured.support[index])})"


def worse_and_better(rule: Rule, found: Judgement, measured: Measured) -> tuple[int, int]:
    """Slices of the deciding pair in the metric's own direction, as the deciding bound orders them.

    A bound of first - second above the tolerance says that the second may be low, whichever is
    observed lower; so does a bound of second / first.
    """
    low, high = (found.second, found.first) if rule.kind == "max_gap" else (found.first, found.second)
    return (high, low) if METRICS[measured.metric].better == "lower" else (low, high)


def _pair(rule: Rule, found: Judgement, measured: Measured) -> str:
    worse, better = worse_and_better(rule, found, measured)
    prefix = f"{spoken(measured.metric)}: " if measured.metric != rule.metric else ""
    return f"{prefix}{_level(worse, measured)} and {_level(better, measured)}"
