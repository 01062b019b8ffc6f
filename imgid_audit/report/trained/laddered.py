"""What a ladder of architectures answers: where more weights stop paying, for whom they still do, what is open."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.core.fit import Step, Study, Variant
from imgid_audit.report import words
from imgid_audit.report.trained.answers import changed, group, named, points
from imgid_audit.report.trained.view import where

NONE_TRIED = "A larger one may be better yet; none was tried."


def of_ladder(study: Study) -> str:
    """Which size is enough; else what the step to the largest says; and which sizes are missing."""
    ran = sorted((one for one in study.variants if one.status == "ran"), key=lambda one: one.weights)
    if len(ran) < 2:
        return "Fewer than two architectures could be trained, so that nothing can be compared."
    before, largest = ran[-2], ran[-1]
    missing = _missing(study, largest)
    if study.enough is not None:
        said = (
            f"{study.enough} is enough here: over all rows no larger architecture that was trained is better by more "
            f"than {points(study.tolerance)}{_for_none(study)}."
        )
        return " ".join((said, *missing))
    steps = [step for step in study.steps if (step.before, step.after) == (before.name, largest.name)]
    return " ".join((_of_last(study, steps), *(missing or _larger(steps))))


def _of_last(study: Study, steps: Sequence[Step]) -> str:
    """What is known of the largest against the one before it, where none is known to be enough."""
    whole = next((step for step in steps if step.quantity == "overall"), None)
    parts = [step for step in steps if step.quantity != "overall" and step.answer == "better"]
    gains = named([f"{_slice(study, step)} ({changed(step)})" for step in parts]) if parts else ""
    if whole is not None and whole.answer == "better":
        return f"{whole.after}, the largest that was trained, is better than {whole.before}: {changed(whole)}."
    if parts and whole is not None:
        told = {"same": "it is no change", "worse": "it is worse", "unknown": "the data cannot tell"}[whole.answer]
        return (
            f"{whole.after}, the largest that was trained, is better than {whole.before} for {gains}; over all rows "
            f"{told} ({changed(whole)})."
        )
    return "The data cannot tell which size is enough: over all rows, intervals of the steps are too wide."


def _larger(steps: Sequence[Step]) -> tuple[str, ...]:
    """A caution where the largest is still better, for all rows or a part of them."""
    return (NONE_TRIED,) if any(step.answer == "better" for step in steps) else ()


def _slice(study: Study, step: Step) -> str:
    if step.quantity == "worst_group":
        return f"the worst group of {where(study.across)}"
    return "the worst class" if step.quantity == "worst_class" else group(step.slice)


def _for_none(study: Study) -> str:
    """Of which parts of the rows steps were judged as well."""
    judged = {step.quantity for step in study.steps}
    parts = ["a group"] * ("group" in judged)
    parts += ["a class"] if "class" in judged else ["the worst class"] * ("worst_class" in judged)
    return f", and there is no evidence that one is better for {' or '.join(parts)}" if parts else ""


def _missing(study: Study, largest: Variant) -> tuple[str, ...]:
    """Architectures that could not be trained and are, or may be, larger than the largest that was."""
    lost = [one for one in study.variants if one.status == "not_run" and not 0 < one.weights <= largest.weights]
    return tuple(words.ended(f"{_called(one)} was not trained: {one.reason}") for one in lost)


def _called(one: Variant) -> str:
    return f"A larger one, {one.name}," if one.weights else f"Another one, {one.name}, of unknown size"
