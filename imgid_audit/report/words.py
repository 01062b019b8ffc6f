"""Names and sentences: metrics, slices, rules and statuses in a reviewer's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from imgid_audit.core.slices import Slice
from imgid_audit.evaluation.wording import spoken
from imgid_audit.metrics import METRICS
from imgid_audit.report import numbers
from imgid_audit.report.blocks import StatusKind
from imgid_audit.report.numbers import Unit

COMPOSITES = {
    "equalized_odds": "the larger of the gaps in recall and in false positive rate",
    "equalized_odds_mean": "the mean of the gaps in recall and in false positive rate",
    "demographic_parity": "the gap in selection rate",
    "equal_opportunity": "the gap in recall",
    "predictive_parity": "the gap in precision",
}

COMPARED = {
    "demographic_parity": "selection_rate",
    "equal_opportunity": "recall",
    "predictive_parity": "precision",
}
"""The metric whose lowest and highest value these criteria compare."""

BOTH = {
    "equalized_odds": "The lower of the ratios (lowest to highest group) of recall and of false positive rate",
    "equalized_odds_mean": "The mean of the ratios (lowest to highest group) of recall and of false positive rate",
}
"""What a ratio of these criteria is."""

STATUS_WORDS = {
    "pass": "Met",
    "fail": "Broken",
    "inconclusive": "Inconclusive",
    "not_evaluated": "Not evaluated",
}

STATUS_KINDS: dict[str, StatusKind] = {
    "pass": "good",
    "fail": "bad",
    "inconclusive": "open",
    "not_evaluated": "off",
    "passed": "good",
    "finding": "bad",
    "not_applicable": "off",
    "skipped": "off",
}

FINDING_WORDS = {
    "finding": "Finding",
    "inconclusive": "Cannot tell",
    "passed": "Passed",
    "not_applicable": "Not applicable",
    "skipped": "Not run",
}

UNDEFINED_WORDS = {
    "empty": "nothing to count",
    "below_minimum": "too few to say",
    "not_applicable": "not applicable",
    "suppressed": "hidden to protect small groups",
}

RULE_KINDS = ("max_gap", "min_value", "max_value", "min_ratio", "max_drop")


def metric(name: str) -> str:
    """A metric's name within a sentence: ``false positive rate``, ``AUROC``."""
    return spoken(name)


def series(name: str, class_name: str | None, *, multiclass: bool) -> str:
    """A metric and the class that it speaks of: ``recall of “covid19”``, ``recall (mean of classes)``."""
    if class_name is not None:
        return f"{metric(name)} of “{class_name}”"
    if multiclass and name in METRICS and METRICS[name].macro:
        return f"{metric(name)} (mean of classes)"
    return metric(name)


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def statement(text: str) -> str:
    """The text as a whole sentence: a capital first letter and an end."""
    return ended(sentence(text))


def ended(text: str) -> str:
    """The text with a full stop, unless it has an end."""
    return text if not text or text.endswith((".", "!", "?", ":")) else f"{text}."


def unit(name: str) -> Unit:
    """Rates made of counts are percentages; whatever needs scores is a plain number."""
    return "decimal" if name in METRICS and METRICS[name].needs == "scores" else "percent"


def breakdown(name: str) -> str:
    """An attribute, or an intersection as ``sex × view``."""
    return " × ".join(name.split("*"))


def group(of: Slice | None) -> str:
    """A slice by its levels alone, ``F`` or ``F × PA``; the total is ``all rows``."""
    if of is None:
        return "–"
    return " × ".join(of.levels) or "all rows"


def ends(name: str) -> tuple[str, str]:
    """What the two ends of a gap are called: best and worst, or highest and lowest where neither is better."""
    directed = METRICS[name].better is not None if name in METRICS else name != "demographic_parity"
    return ("best", "worst") if directed else ("highest", "lowest")


def rule(settings: Mapping[str, Any], *, multiclass: bool) -> str:
    """A rule of the policy as a requirement in plain words."""
    kind = rule_kind(settings)
    name = str(settings["metric"])
    name = COMPARED.get(name, name) if kind == "min_ratio" else name
    bound = rule_bound(settings)
    across = settings.get("across") or ()
    names = (across,) if isinstance(across, str) else tuple(across)
    where = " × ".join(names)
    every = multiclass and name in METRICS and METRICS[name].per_class
    subject = f"{metric(name)}{_class_words(rule_class(settings), every=every)}"
    ignored = tuple(settings.get("ignore") or ())
    but = f", leaving out {', '.join(ignored)}" if ignored else ""
    if name in COMPOSITES and kind == "max_gap":
        return (
            f"{sentence(metric(name))} across {where} is at most {numbers.setting(round(bound * 100, 9))} points{but}."
        )
    if kind == "max_gap":
        tolerated = (
            f"{numbers.setting(round(bound * 100, 9))} points" if unit(name) == "percent" else numbers.setting(bound)
        )
        return f"The gap in {subject} between groups of {where} is at most {tolerated}{but}."
    if kind == "min_ratio" and name in BOTH:
        return f"{BOTH[name]} across {where} is at least {numbers.setting(bound)}{but}."
    if kind == "min_ratio":
        return f"The lowest {subject} is at least {numbers.setting(bound)} times the highest across {where}{but}."
    place = f" in every group of {where}" if where else " over all rows"
    if kind == "max_drop":
        whole = unit(name) == "percent"
        allowed = f"{numbers.setting(round(bound * 100, 9))} points" if whole else numbers.setting(bound)
        return f"{sentence(subject)} is worse than the baseline’s by at most {allowed}{place}{but}."
    at_least = "at least" if kind == "min_value" else "at most"
    return f"{sentence(subject)} is {at_least} {numbers.tolerance(bound, unit(name))}{place}{but}."


def rule_kind(settings: Mapping[str, Any]) -> str:
    """Which of the kinds a rule is; '' where it names none."""
    given = settings.get("kind")
    return str(given) if given else next((kind for kind in RULE_KINDS if settings.get(kind) is not None), "")


def rule_bound(settings: Mapping[str, Any]) -> float:
    """The bound that a rule sets."""
    found = settings.get(rule_kind(settings))
    return float(settings["tolerance"] if found is None else found)


def rule_class(settings: Mapping[str, Any]) -> str | None:
    """The class that a rule names, if it names one."""
    found = settings.get("class", settings.get("class_name"))
    return None if found is None else str(found)


def _class_words(class_name: str | None, *, every: bool) -> str:
    if class_name == "macro":
        return " (mean of classes)"
    if class_name is not None:
        return f" of “{class_name}”"
    return " of each class" if every else ""
