"""What the studies of training answer, in sentences. None claims more than the answer that it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgid_audit.core.fit import Answer, Flattening, Step, Study, Variant
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import StatusKind

ANSWERS: dict[Answer, str] = {"better": "Better", "same": "No change", "worse": "Worse", "unknown": "Cannot tell"}
ANSWER_KINDS: dict[Answer, StatusKind] = {"better": "good", "same": "off", "worse": "bad", "unknown": "open"}

STUDIES = {
    "ladder": "Would a larger network do better?",
    "data_ladder": "Would more data do better?",
    "augment_effect": "Whom does augmentation help?",
}

TRUE_CLASS = "true class"
"""The attribute of a slice that is a class."""

CLOSE = 0.25
"""The least share of the rows that the last step may start from, where it is to say what still more rows would do."""

NAMED = 6
"""Groups that a sentence names; the rest is counted."""


def named(texts: Sequence[str]) -> str:
    """``a, b and c``; of many the first and how many more."""
    shown, more = list(texts[:NAMED]), len(texts) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {numbers.count(more)} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def group(of: Slice) -> str:
    """A group by its levels; a class is called one."""
    return f"class “{of.levels[0]}”" if of.attributes == (TRUE_CLASS,) else words.group(of)


def points(tolerance: float) -> str:
    """A tolerance of accuracy, ``1 point``."""
    said = numbers.setting(round(tolerance * 100, 9))
    return f"{said}{numbers.NBSP}point{'' if said == '1' else 's'}"


def changed(step: Step) -> str:
    """``+5 points [2.1, 7.9] points``, or why there is none."""
    if isinstance(step.value, Undefined):
        return numbers.undefined(step.value)
    bounds = "" if step.interval is None else f" {numbers.difference_interval(step.interval, 'percent')}"
    if bounds:  # the unit stands behind the interval
        bare = numbers.signed_difference(step.value, "percent").removesuffix(f"{numbers.NBSP}points")
        return f"{bare}{bounds}"
    return numbers.signed_difference(step.value, "percent")


def legend(study: Study) -> str:
    """What the answers of a study mean; '' where it has none."""
    if not study.steps:
        return ""
    return (
        f"No change: the whole interval is within {points(study.tolerance)} of 0, even where it does not hold 0. "
        "Better, worse: else wholly above or below 0. Cannot tell: neither. The intervals of a step hold together: "
        "those of all groups and the worst of them, and those of all classes and the worst of them; that of all rows "
        "by itself."
    )


def of_data(study: Study, last: Mapping[Any, Step], own: Mapping[Any, Step]) -> tuple[str, ...]:
    """What more data would do, for all rows, each group and each class, as far as the last step says.

    `last` has the last step by slice, `own` that from the whole to half of a group's own rows removed.
    """
    end = _last_shares(study)
    moved = {one.slice: _rise(study, last.get(one.slice)) for one in study.flattening}
    said = [_of_all(study, one, moved[one.slice], end) for one in study.flattening if not one.slice.attributes]
    parts = [one for one in study.flattening if one.slice.attributes]
    rising = [one for one in parts if one.last == "better"]
    said += [_of_group(study, one, moved[one.slice], own.get(one.slice), end) for one in rising]
    falling = [one for one in parts if one.last == "worse"]
    said += [f"Of {group(one.slice)} accuracy fell at the last step{moved[one.slice]}." for one in falling]
    flat = [one for one in parts if one.at is not None and one.last == "same"]
    if flat:
        named_ = named([group(one.slice) for one in flat])
        said.append(f"More training rows like these would likely not help {named_} {_more(study)}: the curve is flat.")
    open_ones = [group(one.slice) for one in parts if one not in (*rising, *falling, *flat)]
    if open_ones:
        said.append(f"For {named(open_ones)} the data cannot tell whether more would help.")
    return tuple(said)


def _last_shares(study: Study) -> str:
    """Why a rise at the last step does not say that more rows would help; '' where it does."""
    ran = [one for one in study.variants if one.status == "ran" and "without_half_of" not in one.parameters]
    shares = [one.parameters.get("fraction") for one in ran]
    before, after = (None, *shares)[-2:] if shares else (None, None)
    if not isinstance(before, int | float) or not isinstance(after, int | float):
        return ""
    if after < 1:
        return "no network was trained on all rows, so that what more would do is open"
    if before < CLOSE:
        return "the last two shares are too far apart to tell whether it still rises at the end"
    return ""


def fraction(of: Variant) -> str:
    """A share of the training rows, ``50 %``."""
    share = of.parameters.get("fraction")
    return numbers.level(share) if isinstance(share, int | float) else of.name


def _rise(study: Study, step: Step | None) -> str:
    """`` (+5.0 [2.0, 8.0] points from 50 % to 100 % of the training rows)``; '' where there is no step."""
    if step is None:
        return ""
    shares = {one.name: fraction(one) for one in study.variants}
    return f" ({changed(step)} from {shares[step.before]} to {shares[step.after]} of the training rows)"


def _more(study: Study) -> str:
    """By how much a flat curve says that more rows would not help, and what else it stands on."""
    return f"by more than {points(study.tolerance)}, with these training settings"


def _of_all(study: Study, one: Flattening, rise: str, end: str) -> str:
    if one.last == "better" and end:
        return f"Over all rows accuracy rose{rise}; {end}."
    if one.last == "better":
        return f"Collect more: over all rows accuracy still rose at the last step{rise}."
    if one.last == "worse":
        return f"Over all rows accuracy fell at the last step{rise}: more rows like these do not help this training."
    if one.at is not None and one.last == "same":
        return (
            f"Over all rows the curve is flat from {numbers.plural(one.at, 'training row')} on: more rows like these "
            f"would likely not help {_more(study)}."
        )
    return "Over all rows the data cannot tell whether more training rows would help."


def _of_group(study: Study, one: Flattening, rise: str, own: Step | None, end: str) -> str:
    name = group(one.slice)
    if end:
        return f"Of {name} accuracy rose{rise}; {end}."
    if own is not None and own.answer == "better":
        return (
            f"Of {name} accuracy rose at the last step{rise}; yet half of its own images removed raised it as well "
            f"({changed(own)}), so images of other groups made the rise."
        )
    said = f"Collect more of {name}: its accuracy still rose at the last step{rise}"
    if own is not None and own.answer == "worse":
        return f"{said}, and half of its own images removed lowered it ({changed(own)})."
    if own is not None and own.answer == "same":
        return (
            f"{said}; yet half of its own images removed changed it by no more than {points(study.tolerance)}, so "
            "images of other groups may serve as well."
        )
    said = f"{said}, in which every group grew"
    return f"{said}." if own is None else f"{said}; the data cannot tell whose images made it rise."


def of_augmentation(study: Study) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What each way of augmenting does over all rows and to whom; and the warnings of those that help and harm."""
    said: list[str] = []
    warnings: list[str] = []
    for after in dict.fromkeys(step.after for step in study.steps):
        steps = [step for step in study.steps if step.after == after]
        told, both = _of_way(steps)
        (warnings if both else said).append(f"{words.sentence(after)}: {told}.")
    return tuple(said), tuple(warnings)


OVERALL: dict[Answer, str] = {
    "better": "helps over all rows",
    "same": "no change over all rows",
    "worse": "harms over all rows",
    "unknown": "over all rows the data cannot tell",
}


def _of_way(steps: Sequence[Step]) -> tuple[str, bool]:
    """One way of augmenting: all rows first, then the groups; and whether it helps some and harms others."""
    whole = next((step for step in steps if step.quantity == "overall"), None)
    groups = [step for step in steps if step.quantity == "group"]
    told = [] if whole is None else [f"{OVERALL[whole.answer]} ({changed(whole)})"]
    by: dict[str, list[str]] = {
        answer: [group(step.slice) for step in groups if step.answer == answer] for answer in ANSWERS
    }
    helped, harmed = by["better"], by["worse"]
    parts = [f"{verb} {named(which)}" for verb, which in (("helps", helped), ("harms", harmed)) if which]
    if parts:
        told.append(" and ".join(parts))
    elif groups:
        told.append(_no_group(by, also=whole is not None and whole.answer == "unknown"))
    found = {step.answer for step in (*groups, *([] if whole is None else [whole]))}
    if {"better", "worse"} <= found:
        hides = whole is not None and whole.answer == "better"
        return "; ".join(told) + (". The gain over all rows hides the harm" if hides else ""), True
    if helped:
        told.append("no evidence that it harms another group")
    return "; ".join(told), False


def _no_group(by: Mapping[str, Sequence[str]], *, also: bool) -> str:
    """Where no group is shown to gain or to lose; `also`: it has just been said that the data cannot tell."""
    if not by["unknown"]:
        return "no group changes"
    if by["same"]:
        return f"no change for {named(by['same'])}, for the others the data cannot tell"
    return "nor for any group" if also else "the data cannot tell for any group"
