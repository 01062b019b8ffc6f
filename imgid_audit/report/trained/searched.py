"""A search of training settings: its answer, what was chosen, its history, and every trial."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.fit import Search, SearchTrial
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Cell, Column, Fact, StatusKind, Table, name, number
from imgid_audit.report.compared.view import difference_unit
from imgid_audit.report.figures.chart import Datum, Frame, Line, Shape, chart
from imgid_audit.report.tables import capped
from imgid_audit.report.trained import wording
from imgid_audit.report.trained.tested import fresh, tested
from imgid_audit.report.trained.view import DASH, Figure

OPEN_TRIALS = 12
"""Trials that are open on a page where there are more than `FOLDED`; the others unfold. On paper all are there."""

FOLDED = 20

MOST_PAPER = 60
"""Trials that are listed at all."""

STATES: dict[str, tuple[str, StatusKind]] = {
    "complete": ("Complete", "good"),
    "pruned": ("Stopped early", "off"),
    "failed": ("Failed", "bad"),
}
SHAPES: dict[str, Shape] = {"complete": "dot", "pruned": "hollow", "failed": "cross"}


@dataclass(frozen=True, slots=True)
class SearchPart:
    """The answer of a search and what supports it, in reading order."""

    headline: str
    kind: StatusKind
    explanation: str
    facts: tuple[Fact, ...]
    settings: Table | None
    tested: tuple[Table, ...]
    fresh: Table | None
    history: Figure | None
    importance: Table | None
    trials: Table
    more_trials: Table | None
    folded: str
    notes: tuple[str, ...]


def part(search: Search) -> SearchPart:
    """The payload of a search."""
    headline, kind, explanation = wording.conclusion(search)
    shown, left_out = capped(search.trials, MOST_PAPER, "trials")
    split = len(shown) if len(shown) <= FOLDED else OPEN_TRIALS
    first, rest = shown[:split], shown[split:]
    caption = f"In the order in which they were begun; the value is {wording.criterion(search)}"
    return SearchPart(
        headline,
        kind,
        explanation,
        _facts(search),
        _settings(search),
        tested(search),
        fresh(search),
        _history(search),
        _importance(search),
        _trials(search, first, caption, () if rest else left_out, "All trials"),
        _trials(search, rest, "The other trials", left_out, "") if rest else None,
        f"{numbers.plural(len(rest), 'more trial')}",
        search.notes,
    )


def _facts(search: Search) -> tuple[Fact, ...]:
    states = [trial.state for trial in search.trials]
    tally = ", ".join(
        f"{numbers.count(states.count(state))} {words_.lower()}"
        for state, (words_, _) in STATES.items()
        if state in states
    )
    asked = f"{numbers.plural(len(search.trials), 'trial')} of {numbers.count(search.asked)} asked for: {tally}"
    limit = "" if search.minutes is None else f" (limit: {numbers.rate(search.minutes)} minutes)"
    told = [
        Fact(
            "Objective",
            f"{words.sentence(wording.criterion(search))}; {search.better} is better. Test rows took no part",
        ),
        Fact("Trials", asked),
        Fact("Ended", f"{words.sentence(wording.ENDS.get(search.ended, search.ended))}{limit}"),
        Fact("Sampler", wording.SAMPLERS.get(search.sampler, search.sampler)),
        Fact("Pruner", "none: every trial was trained to its end" if search.pruner == "none" else search.pruner),
        Fact("Space", "; ".join(f"{key}: {said}" for key, said in search.space.items())),
    ]
    if search.seeds:
        seeds = ", ".join(numbers.count(seed) for seed in search.seeds)
        told.append(Fact("Seeds of the comparison", f"{seeds}; the trials had another one"))
    return tuple(told)


def _settings(search: Search) -> Table | None:
    """Given beside chosen, parameter by parameter."""
    given, best = wording.trial_named(search, 0), wording.trial_named(search, search.chosen)
    if given is None or best is None or best is given:
        return None
    keys = dict.fromkeys((*given.parameters, *best.parameters))
    rows = []
    for key in keys:
        before, after = (wording.value(one.parameters[key]) if key in one.parameters else "–" for one in (given, best))
        rows.append((name(key), Cell(before), Cell(after), Cell("changed" if before != after else "the same")))
    value = words.sentence(f"value on val, trial {numbers.count(given.number)} and {numbers.count(best.number)}")
    on_val = [Cell(wording.on_val(search, wording.reached(one))) for one in (given, best)]
    rows.append((name(value), on_val[0], on_val[1], Cell("")))
    columns = (Column("Setting", "name"), Column("As given"), Column("Chosen"), Column(""))
    return Table("What the search chose on val", columns, tuple(rows), heading="Chosen settings", kind="compared")


def _history(search: Search) -> Figure | None:
    """Values by trial, the best so far as a line; failed trials at the foot."""
    known = [trial.value for trial in search.trials if trial.value is not None]
    if not known:
        return None
    foot = min(known) if search.better == "higher" else max(known)
    points = tuple(_datum(search, trial, foot) for trial in search.trials)
    given = wording.trial_named(search, 0)
    percent = words.unit(search.objective.metric) == "percent" and search.objective.quantity != "gap"
    unit = "percent" if percent else difference_unit(words.unit(search.objective.metric))
    title = "value on val" if unit is not None else "value on val (points)"
    level = None if given is None or given.state != "complete" else given.value
    best = Line(tuple(_best_so_far(search)), "main", steps=True)
    drawn = chart([best, Line(points, "other", marked=True, joined=False)], Frame("trial", title, unit, level=level))
    if drawn is None:
        return None
    chosen = wording.trial_named(search, search.chosen)
    said = (
        ""
        if chosen is None
        else f" The best, trial {numbers.count(chosen.number)}, reached {wording.on_val(search, chosen.value)}."
    )
    alternative = (
        f"Objective on val of {numbers.plural(len(search.trials), 'trial')}, from "
        f"{wording.on_val(search, min(known))} to {wording.on_val(search, max(known))}.{said}"
    )
    caption = (
        "Filled: complete. Hollow: stopped early, at its last value. Cross: failed. Square: chosen. Line: the best so "
        "far. Dashed: the settings as given."
    )
    return Figure("History of the search", drawn, alternative, caption)


def _datum(search: Search, trial: SearchTrial, foot: float) -> Datum:
    shape: Shape = "square" if trial.number == search.chosen else SHAPES[trial.state]
    if trial.value is None:
        shape = "cross"
    said = (
        f"trial {numbers.count(trial.number)}, {STATES[trial.state][0].lower()}: {wording.on_val(search, trial.value)}"
    )
    return Datum(float(trial.number), foot if trial.value is None else trial.value, text=said, shape=shape)


def _best_so_far(search: Search) -> list[Datum]:
    best: float | None = None
    found = []
    for trial in search.trials:
        if trial.state == "complete" and trial.value is not None:
            higher = search.better == "higher"
            best = trial.value if best is None else max(best, trial.value) if higher else min(best, trial.value)
        found.append(Datum(float(trial.number), best))
    return found if len(found) > 1 else []


def _importance(search: Search) -> Table | None:
    if not search.importance:
        return None
    rows = tuple(
        (
            name(key),
            number(numbers.percent(share), numbers.sort_key(share)),
            Cell("", "plot", bar=f"{numbers.coordinate(share * 100)}%"),
        )
        for key, share in search.importance
    )
    columns = (Column("Setting", "name"), Column("Share", "number"), Column("", "plot"))
    note = (
        "Share of the objective's variance over the complete trials that each setting explains. It speaks of the space "
        "that was searched and of few trials; it has no interval."
    )
    return Table("Highest first", columns, rows, (note,), "Which settings mattered", "plain")


def _trials(
    search: Search, trials: tuple[SearchTrial, ...], caption: str, notes: tuple[str, ...], heading: str
) -> Table:
    rows = tuple(_trial_row(search, trial) for trial in trials)
    columns = (
        Column("Trial", "name"),
        Column("Value on val", "number"),
        Column("State", "text"),
        Column("Epochs", "number"),
        Column("Settings", "text"),
    )
    notes = tuple(note.replace("audit.json", "fit.json") for note in notes)
    return Table(caption, columns, rows, notes, heading, "compared trials")


def _trial_row(search: Search, trial: SearchTrial) -> tuple[Cell, ...]:
    said, kind = STATES[trial.state]
    role = "as given" if trial.number == 0 else ""
    if trial.number == search.chosen:
        role = f"{role}, chosen" if role else "chosen"
    value = DASH
    if trial.value is not None:
        value = number(wording.on_val(search, trial.value), numbers.sort_key(trial.value))
    return (
        name(numbers.count(trial.number), role),
        value,
        Cell(said, "text", status=kind, detail=wording.stopped(search, trial)),
        Cell(numbers.count(trial.epochs), "number", str(trial.epochs)),
        Cell(wording.parameters({key: trial.parameters[key] for key in trial.parameters})),
    )
