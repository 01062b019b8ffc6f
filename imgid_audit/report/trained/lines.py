"""What commands print of a training: how far a search is and its best trial; what search, checks and studies say."""

from __future__ import annotations

from collections import Counter

from imgid_audit.core.fit import Search, SearchTrial
from imgid_audit.core.result import AuditResult
from imgid_audit.report import numbers, words
from imgid_audit.report.trained import studies, wording

OF_TRAINING = ("M002", "M003")
"""Checks that say whether the audited network fits."""


def search_lines(search: Search) -> list[str]:
    """The trials by their state; that of the settings as given and the best one, each with its value, where that may
    be published, and its settings; what the best one's value is worth."""
    states = Counter(trial.state for trial in search.trials)
    told = ", ".join(f"{numbers.count(n)} {state}" for state, n in sorted(states.items()))
    done = f"{numbers.count(len(search.trials))} of {numbers.plural(search.asked, 'trial')}"
    lines = [f"search: {done} ({told}); {wording.ENDS.get(search.ended, search.ended)}"]
    best, given = search.choice, wording.trial_named(search, 0)
    if best is None:
        return [*lines, "best: none, for no trial was completed"]
    if best.number == 0:
        return [*lines, _trial("best", search, best), "No completed trial is better on val than the settings as given."]
    if given is not None:
        lines.append(_trial("given", search, given))
    lucky = f"The best of {numbers.count(len(search.trials))} tries on the same val rows looks better than it is"
    compared = "" if search.changes else "; `imgid-audit run` compares it on test with the settings as given"
    return [*lines, _trial("best", search, best), f"{lucky}{compared}."]


def _trial(called: str, search: Search, trial: SearchTrial) -> str:
    """``best: trial 3, accuracy in the worst group of sex on val 84.2 %: lr = 0.0019``."""
    reached = wording.reached(trial)
    value = "" if reached is None else f" {wording.on_val(search, reached)}"
    ended = "" if trial.state == "complete" else f" ({trial.state})"
    set_to = ", ".join(f"{name} = {wording.value(of)}" for name, of in trial.parameters.items())
    return f"{called}: trial {numbers.count(trial.number)}{ended}, {wording.criterion(search)}{value}: {set_to}"


def training_lines(result: AuditResult) -> list[str]:
    """A line each for the search, for the checks of the fit and for every study; none where nothing was trained.

    `result` as it may be published: where small cells are hidden, it has no value of a search and no study.
    """
    fit = result.fit
    if fit is None:
        return []
    lines = [] if fit.search is None else [_searched(fit.search)]
    found = (one for one in result.findings if one.code in OF_TRAINING)
    lines += [f"{one.code} {one.title}: {words.FINDING_WORDS[one.status]}" for one in found]
    chosen = None if fit.search is None else wording.choice(fit.search)
    return lines + [_study(studies.part(study, chosen)) for study in fit.studies]


def _searched(search: Search) -> str:
    """The answer on test with its interval, and the settings that changed."""
    headline, _, explanation = wording.conclusion(search)
    best, given = wording.choice(search), wording.trial_named(search, 0)
    if best is None or given is None:
        return f"search: {headline}. {explanation}"
    pairs = ((name, given.parameters[name], of) for name, of in best.items())
    changed = [f"{name} {wording.value(a)} -> {wording.value(b)}" for name, a, b in pairs if a != b]
    return f"search: {headline} ({', '.join(changed)}). {wording.on_test(search)}".rstrip()


def _study(part: studies.StudyPart) -> str:
    """The question and the first thing that is answered: of all rows, or what helps some and harms others."""
    said = (*part.warnings, *part.said)
    if not said:
        return f"{part.title} No answer: see the report."
    return f"{part.title} {said[0]}" + (" More in the report." if len(said) > 1 else "")
