"""What the training and a search of its settings answer, in sentences. None claims more than what it stands on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import PureWindowsPath
from typing import Any

from imgid_audit.core.comparison import MethodChange, Primary
from imgid_audit.core.fit import Curves, Search, SearchTrial
from imgid_audit.core.result import Undefined
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import StatusKind
from imgid_audit.report.compared import wording as compared
from imgid_audit.report.compared.tables import side
from imgid_audit.report.trained.view import mean

SAMPLERS = {
    "tpe": "TPE (tree-structured Parzen estimator)",
    "gp": "GP (Gaussian process)",
    "random": "random",
    "grid": "grid",
}

ENDS = {
    "all trials": "all trials that were asked for",
    "time": "the time limit; on another machine it may end elsewhere and choose another setting",
    "grid exhausted": "every combination was tried",
}


def parameters(of: Mapping[str, Any]) -> str:
    """``lr 0.001, dropout 0.2``."""
    said = ", ".join(f"{key} {value(of[key])}" for key in of) or "as given"
    return said if len(said) <= compared.LONGEST else f"{said[: compared.LONGEST]}… (cut; whole in fit.json)"


def value(found: Any) -> str:
    """One parameter's value, with all the digits that were trained with; very small and large as the space has them."""
    if isinstance(found, float):
        return repr(found) if "e" in repr(found) else numbers.setting(found)
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
    if key == "average":
        idle = IDLE.get(found.get("method", ""))
        found = {name: value for name, value in found.items() if name != idle}
    return parameters(found) if found else ""


IDLE = {"ema": "start", "swa": "decay"}
"""What a method of averaging does not read."""


def starting_point(init: Any) -> str:
    """The weights that a training began from: a file by its name, for where it lay on a machine is not published."""
    return PureWindowsPath(str(init)).name if init is not None else "random weights"


def audited(of: Curves) -> str:
    """Which weights are audited, and by what they were picked."""
    epochs = numbers.plural(len(of.train_loss), "epoch")
    return (
        f"Trained for {epochs}; the weights after epoch {numbers.count(of.best_epoch)} are audited, picked by "
        f"{of.criterion}.{_kept(of)}"
    )


def _kept(of: Curves) -> str:
    """What a reader would not expect of the weights that are audited."""
    said = " Only their last layer had learnt by then." if of.best_frozen else ""
    if of.best_averaged is None:
        return said
    return f"{said} They are {'an average' if of.best_averaged else 'no average: it had not begun by then'}."


def objective(of: Primary) -> str:
    """The objective in words."""
    return compared.primary(of)


def criterion(search: Search) -> str:
    """What the trials were valued by, ``accuracy in the worst group of device on val``."""
    return f"{objective(search.objective)} on val"


VALUE = re.compile(r"\((-?(?:\d+(?:\.\d+)?(?:e[+-]?\d+)?))\)")
"""A value of the objective in the reason for which a trial was stopped early."""


def stopped(search: Search, trial: SearchTrial) -> str:
    """Why a trial was stopped early or failed; values of the objective as the table has them."""
    if trial.state != "pruned":
        return words.statement(trial.reason)
    return words.statement(VALUE.sub(lambda found: f"({on_val(search, float(found[1]))})", trial.reason))


def trial_named(search: Search, number: int | None) -> SearchTrial | None:
    """The trial of that number."""
    return next((trial for trial in search.trials if trial.number == number), None)


def reached(trial: SearchTrial | None) -> float | None:
    """The objective of a whole training: one that was stopped early has a last value, which is of fewer epochs."""
    return trial.value if trial is not None and trial.state == "complete" else None


def shared(search: Search) -> tuple[tuple[float, float], ...]:
    """The criterion on val as given and as chosen, of the seeds that both have it for."""
    sides = (search.val.get(name, ()) for name in ("given", "chosen"))
    return tuple((a, b) for a, b in zip(*sides, strict=False) if a is not None and b is not None)


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


def conclusion(search: Search) -> tuple[str, StatusKind, str]:
    """Headline, colour and explanation of a search: what its choice did on test, or that nothing was chosen."""
    tried = numbers.plural(len(search.trials), "trial")
    if search.chosen is None:
        return "The search found no setting", "off", f"Of {tried} none was completed."
    if search.chosen == 0:
        said = f"Of {tried} none that was completed was better on val than the settings as given, so these were used."
        return "The settings as given were kept", "off", said
    change = search.judged
    verdict = None if change is None else compared.judged(change)
    headlines: dict[str | None, tuple[str, StatusKind]] = {
        "helps": ("The chosen settings help on test", "good"),
        "harms": ("The chosen settings harm on test", "bad"),
        "no evidence": ("No evidence that the chosen settings help on test", "open"),
        None: ("The chosen settings were not judged on test", "off"),
    }
    headline, kind = headlines[verdict]
    return headline, kind, " ".join(filter(None, (_on_test(search, change), _chosen(search), _fresh(search))))


def on_test(search: Search) -> str:
    """What the choice changed on test, with its interval; '' where it was not compared."""
    return _on_test(search, search.judged)


def _on_test(search: Search, change: MethodChange | None) -> str:
    what = words.sentence(objective(search.objective))
    if change is None:
        return ""
    none = " No evidence is not evidence of no difference." if compared.judged(change) == "no evidence" else ""
    if isinstance(change.value, Undefined):
        return words.ended(f"{what}, chosen less given: {numbers.undefined(change.value)}") + none
    unit = words.unit(change.metric)
    value = numbers.signed_difference(change.value, unit)
    if change.interval is not None:  # the unit stands behind the interval
        bounds = numbers.difference_interval(change.interval, unit)
        value = f"{value.removesuffix(f'{numbers.NBSP}points')} {bounds}"
    level = "" if change.interval is None else f" ({numbers.level(change.interval.level)})"
    return f"{what}, chosen less given: {value}{level}.{none}"


def _chosen(search: Search) -> str:
    best, given = trial_named(search, search.chosen), trial_named(search, 0)
    before, after = reached(given), reached(best)
    if best is None or after is None:
        return ""
    count = numbers.count(len(search.trials))
    said = f"On val, trial {numbers.count(best.number)} of {count} reached {on_val(search, after)}"
    lucky = f"The best of {count} tries on the same val rows looks better than it is."
    if before is None:
        return f"{said}; the settings as given were not trained to their end in the search. {lucky}"
    return f"{said}, the settings as given {on_val(search, before)}: {gain(search, before, after)}. {lucky}"


def _fresh(search: Search) -> str:
    both = shared(search)
    given, chosen = (mean([pair[side_] for pair in both]) for side_ in (0, 1))
    if given is None or chosen is None:
        return ""
    seeds, lost = numbers.plural(len(both), "seed"), len(search.seeds) - len(both)
    left_out = f" ({numbers.plural(lost, 'seed')} left out, without a value on one side)" if lost > 0 else ""
    return (
        f"Trained anew with {seeds} that the search did not use{left_out}, it is {on_val(search, chosen)} on val, as "
        f"given {on_val(search, given)}: {gain(search, given, chosen)}."
    )


def glance(search: Search) -> str:
    """The line of the first page: ``settings chosen by a search of 20 trials on val (tpe)``."""
    count = numbers.plural(len(search.trials), "trial")
    if search.chosen is None:
        return f"settings as given: a search of {count} on val completed none"
    if search.chosen == 0:
        return f"settings as given: a search of {count} on val completed none that is better"
    said = f"settings chosen by a search of {count} on val ({search.sampler})"
    change = search.judged
    verdict = None if change is None else compared.judged(change)
    told = {"helps": "it helps", "harms": "it harms", "no evidence": "no evidence that it helps", None: ""}[verdict]
    return f"{said}; on test against the settings as given: {told}" if told else said
