"""What the training and its studies answer, in sentences. None claims more than the answer that it stands on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from imgid_audit.core.comparison import MethodChange, Primary
from imgid_audit.core.fit import Answer, Curves, Flattening, Search, SearchTrial, Step, Study
from imgid_audit.core.result import Undefined
from imgid_audit.core.slices import Slice
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import StatusKind
from imgid_audit.report.compared import wording as compared
from imgid_audit.report.compared.tables import side
from imgid_audit.report.trained.view import mean

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

SAMPLERS = {
    "tpe": "TPE (tree-structured Parzen estimator)",
    "gp": "GP (Gaussian process)",
    "random": "random",
    "grid": "grid",
}

ENDS = {
    "all trials": "all trials that were asked for",
    "time": "the time limit; on another machine it may end elsewhere and choose another setting",
    "grid exhausted": "every point of the grid was tried",
}


def named(texts: Sequence[str]) -> str:
    """``a, b and c``; of many the first and how many more."""
    shown, more = list(texts[:NAMED]), len(texts) - NAMED
    if more > 0:
        return f"{', '.join(shown)} and {numbers.count(more)} more"
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def parameters(of: Mapping[str, Any]) -> str:
    """``lr 0.001, dropout 0.2``; numbers with three digits."""
    said = ", ".join(f"{key} {value(of[key])}" for key in of) or "as given"
    return said if len(said) <= compared.LONGEST else f"{said[: compared.LONGEST]}… (cut; whole in fit.json)"


def value(found: Any) -> str:
    """One parameter's value; numbers with three digits."""
    if isinstance(found, float):
        return numbers.rate(found)
    return "none" if found is None else compared.parameters({"": found}, ()).strip()


def choice(search: Search) -> Mapping[str, Any] | None:
    """The settings that a search chose; None where those given were kept, or there are none."""
    best = trial_named(search, search.chosen)
    return None if best is None or best.number == 0 else best.parameters


OFF = {"crop": 1.0}
"""Parts of augmentation that are off at another value than 0."""


def block(of: Any, key: str, chosen: Mapping[str, Any]) -> str:
    """A block of settings in words, those that a search chose in their place; '' where it is absent or all off."""
    if not isinstance(of, Mapping):
        return ""
    found = {name: chosen.get(f"{key}.{name}", value) for name, value in of.items()}
    if key == "augment":
        found = {name: value for name, value in found.items() if value != OFF.get(name, 0)}
    return parameters(found) if found else ""


def audited(of: Curves) -> str:
    """Which weights are audited, and by what they were picked."""
    epochs = numbers.plural(len(of.train_loss), "epoch")
    return (
        f"Trained for {epochs}; the weights after epoch {numbers.count(of.best_epoch)} are audited, picked by "
        f"{of.criterion}."
    )


def objective(of: Primary) -> str:
    """The objective in words."""
    return compared.primary(of)


def trial_named(search: Search, number: int | None) -> SearchTrial | None:
    """The trial of that number."""
    return next((trial for trial in search.trials if trial.number == number), None)


def on_val(search: Search, found: float | None) -> str:
    """A value of the objective, ``hidden`` where it is not shown."""
    return "–" if found is None else side(found, search.objective.quantity, search.objective.metric)


def gain(search: Search, before: float, after: float) -> str:
    """By how much the objective is better: ``3.1 points better``."""
    unit = words.unit(search.objective.metric)
    change = (after - before) * (1 if search.better == "higher" else -1)
    if change == 0:
        return "the same"
    return f"{numbers.difference(abs(change), unit)} {'better' if change > 0 else 'worse'}"


def judged(search: Search) -> MethodChange | None:
    """What the choice changed on test in the quantity that the search was about."""
    asked = search.objective
    return next(
        (
            one
            for one in search.changes
            if (one.method, one.quantity, one.metric, one.class_name)
            == ("chosen", asked.quantity, asked.metric, asked.class_name)
            and one.selected == "declared"
            and not one.recalibrated
        ),
        None,
    )


def conclusion(search: Search) -> tuple[str, StatusKind, str]:
    """Headline, colour and explanation of a search: what its choice did on test, or that nothing was chosen."""
    tried = numbers.plural(len(search.trials), "trial")
    if search.chosen is None:
        return "The search found no setting", "off", f"Of {tried} none was completed; the settings as given were used."
    if search.chosen == 0:
        said = f"Of {tried} none was better on val than the settings as given, so that these were used."
        return "The settings as given were kept", "off", said
    change = judged(search)
    verdict = None if change is None else compared.judged(change)
    headlines: dict[str | None, tuple[str, StatusKind]] = {
        "helps": ("The chosen settings help on test", "good"),
        "harms": ("The chosen settings harm on test", "bad"),
        "no evidence": ("No evidence that the chosen settings help on test", "open"),
        None: ("The chosen settings were not judged on test", "off"),
    }
    headline, kind = headlines[verdict]
    return headline, kind, " ".join(filter(None, (_on_test(search, change), _chosen(search), _fresh(search))))


def _on_test(search: Search, change: MethodChange | None) -> str:
    what = words.sentence(objective(search.objective))
    if change is None:
        return ""
    if isinstance(change.value, Undefined):
        return words.ended(f"{what}, chosen less given: {numbers.undefined(change.value)}")
    unit = words.unit(change.metric)
    bounds = "" if change.interval is None else f" {numbers.difference_interval(change.interval, unit)}"
    level = "" if change.interval is None else f" ({numbers.level(change.interval.level)})"
    none = " No evidence is not evidence of no difference." if compared.judged(change) == "no evidence" else ""
    return f"{what}, chosen less given: {numbers.signed_difference(change.value, unit)}{bounds}{level}.{none}"


def _chosen(search: Search) -> str:
    best, given = trial_named(search, search.chosen), trial_named(search, 0)
    if best is None or best.value is None:
        return ""
    count = numbers.count(len(search.trials))
    said = f"On val, trial {numbers.count(best.number)} of {count} reached {on_val(search, best.value)}"
    if given is None or given.value is None:
        return f"{said}; the settings as given have no value."
    what = gain(search, given.value, best.value)
    return (
        f"{said}, the settings as given {on_val(search, given.value)}: {what}. The best of {count} tries on the same "
        "val rows looks better than it is."
    )


def _fresh(search: Search) -> str:
    given, chosen = (mean(search.val.get(name, ())) for name in ("given", "chosen"))
    if given is None or chosen is None:
        return ""
    seeds = numbers.plural(len(search.seeds), "seed")
    return (
        f"Trained anew with {seeds} that the search did not use, it is {on_val(search, chosen)} on val, as given "
        f"{on_val(search, given)}: {gain(search, given, chosen)}."
    )


def glance(search: Search) -> str:
    """The line of the first page: ``settings chosen by a search of 20 trials on val (tpe)``."""
    count = numbers.plural(len(search.trials), "trial")
    if search.chosen is None:
        return f"settings as given: a search of {count} on val completed none"
    if search.chosen == 0:
        return f"settings as given: a search of {count} on val found none better"
    said = f"settings chosen by a search of {count} on val ({search.sampler})"
    change = judged(search)
    verdict = None if change is None else compared.judged(change)
    told = {"helps": "it helps", "harms": "it harms", "no evidence": "no evidence that it helps", None: ""}[verdict]
    return f"{said}; on test against the settings as given: {told}" if told else said


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
    said = [_of_all(one, last.get(one.slice)) for one in study.flattening if not one.slice.attributes]
    parts = [one for one in study.flattening if one.slice.attributes]
    rising = [one for one in parts if one.last == "better"]
    said += [_of_group(one, last.get(one.slice), own.get(one.slice)) for one in rising]
    flat = [group(one.slice) for one in parts if one.at is not None and one.last == "same"]
    if flat:
        said.append(f"More training rows like these would likely not help {named(flat)}: the curve is flat.")
    open_ones = [group(one.slice) for one in parts if one.last != "better" and group(one.slice) not in flat]
    if open_ones:
        said.append(f"For {named(open_ones)} the data cannot tell whether more would help.")
    return tuple(said)


def _of_all(one: Flattening, step: Step | None) -> str:
    if one.last == "better":
        told = "" if step is None else f" ({changed(step)} from {step.before} to {step.after})"
        return f"Collect more: over all rows accuracy still rose at the last step{told}."
    if one.at is not None and one.last == "same":
        return (
            f"Over all rows the curve is flat from {numbers.plural(one.at, 'training row')} on: more rows like these "
            "would likely not help."
        )
    return "Over all rows the data cannot tell whether more training rows would help."


def _of_group(one: Flattening, step: Step | None, own: Step | None) -> str:
    name = group(one.slice)
    told = "" if step is None else f" ({changed(step)} from {step.before} to {step.after})"
    said = f"Collect more of {name}: its accuracy still rose at the last step{told}"
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
