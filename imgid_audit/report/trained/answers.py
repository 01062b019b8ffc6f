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
    """What the answers of a study mean."""
    return (
        f"Better, worse: the whole interval is above, or below, 0. No change: it is within {points(study.tolerance)} "
        "of 0. Cannot tell: neither. Intervals hold for all groups of a step at once."
    )


def of_ladder(study: Study, last: Step | None) -> str:
    """Where more parameters stopped paying, as far as the steps say."""
    ran = [one for one in study.variants if one.status == "ran"]
    if len(ran) < 2:
        return "Fewer than two architectures could be trained, so that nothing can be compared."
    if study.enough is not None:
        return (
            f"{study.enough} is enough here: over all rows no larger architecture that was tried is better by more "
            f"than {points(study.tolerance)}, and for no group is there evidence that one is better."
        )
    if last is not None and last.answer == "better":
        return (
            f"{last.after}, the largest, is better than {last.before}: {changed(last)}. A larger one may be better "
            "yet; none was tried."
        )
    return "The data cannot tell which size is enough: intervals of the steps are too wide."


def of_data(study: Study, last: Mapping[Any, Step], own: Mapping[Any, Step]) -> tuple[str, ...]:
    """What more data would do, for all rows, each group and each class, as far as the last step says.

    `last` has the last step by slice, `own` that from the whole to half of a group's own rows removed.
    """
    said = [_of_all(one, _rise(study, last.get(one.slice))) for one in study.flattening if not one.slice.attributes]
    parts = [one for one in study.flattening if one.slice.attributes]
    rising = [one for one in parts if one.last == "better"]
    said += [_of_group(one, _rise(study, last.get(one.slice)), own.get(one.slice)) for one in rising]
    flat = [group(one.slice) for one in parts if one.at is not None and one.last == "same"]
    if flat:
        said.append(f"More training rows like these would likely not help {named(flat)}: the curve is flat.")
    open_ones = [group(one.slice) for one in parts if one.last != "better" and group(one.slice) not in flat]
    if open_ones:
        said.append(f"For {named(open_ones)} the data cannot tell whether more would help.")
    return tuple(said)


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


def _of_all(one: Flattening, rise: str) -> str:
    if one.last == "better":
        return f"Collect more: over all rows accuracy still rose at the last step{rise}."
    if one.at is not None and one.last == "same":
        return (
            f"Over all rows the curve is flat from {numbers.plural(one.at, 'training row')} on: more rows like these "
            "would likely not help."
        )
    return "Over all rows the data cannot tell whether more training rows would help."


def _of_group(one: Flattening, rise: str, own: Step | None) -> str:
    name = group(one.slice)
    said = f"Collect more of {name}: its accuracy still rose at the last step{rise}"
    if own is not None and own.answer == "worse":
        return f"{said}, and half of its own images removed lowered it ({changed(own)})."
    if own is not None and own.answer == "same":
        return (
            f"{said}; yet half of its own images removed changed nothing, so images of other groups may serve as well."
        )
    return f"{said}, in which every group grew."


def of_augmentation(study: Study) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Whom each way of augmenting helps or harms; and the warnings of those that do both."""
    said, warnings = [], []
    for after in dict.fromkeys(step.after for step in study.steps):
        steps = [step for step in study.steps if step.after == after and step.quantity in ("overall", "group")]
        helped, harmed = (
            [group(step.slice) for step in steps if step.answer == answer and step.slice.attributes]
            for answer in ("better", "worse")
        )
        told = [f"helps {named(helped)}"] if helped else []
        told += [f"harms {named(harmed)}"] if harmed else []
        name = words.sentence(after)
        whole = any(step.answer == "better" for step in steps if not step.slice.attributes)
        if helped and harmed:
            warnings.append(f"{name}: {' and '.join(told)}.{' The gain over all rows hides that.' if whole else ''}")
        elif told:
            none = "; no evidence that it harms another group" if helped else ""
            said.append(f"{name}: {told[0]}{none}.")
        else:
            same = bool(steps) and all(step.answer == "same" for step in steps)
            said.append(f"{name}: no group changes." if same else f"{name}: the data cannot tell for any group.")
    return tuple(said), tuple(warnings)
