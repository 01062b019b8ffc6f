"""What helps: mitigations against the baseline, what each changed, needs and costs, and the winner."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.core.comparison import Comparison
from imgid_audit.report import numbers, words
from imgid_audit.report.blocks import Fact, StatusKind, Table
from imgid_audit.report.compared import choices, drawn, wording
from imgid_audit.report.compared import tables as made
from imgid_audit.report.compared.costs import Cost, cost
from imgid_audit.report.compared.drawn import TradeOff
from imgid_audit.report.compared.view import View
from imgid_audit.report.facts import Facts
from imgid_audit.report.section import Section

MOST_NOTES = 40
"""Notes that are listed; the rest is counted."""


OPEN_GROUPS = 5
"""Methods whose groups are open on a page; the others unfold. On paper all are there."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The winner on val and how to audit it; `command` is '' where there is no file."""

    said: str
    facts: tuple[Fact, ...]
    command: str


@dataclass(frozen=True, slots=True)
class Mitigations:
    """Payload: the answer, what was declared, and what supports it, in reading order."""

    scope: str
    headline: str
    kind: StatusKind
    explanation: str
    declared: tuple[Fact, ...]
    answer: Table
    trade_off: TradeOff | None
    groups: tuple[Table, ...]
    groups_more: tuple[Table, ...]
    groups_folded: str
    groups_note: str
    others: tuple[Table, ...]
    calibration: tuple[Table, ...]
    cost: Cost
    needs: Table
    choices: tuple[Table, ...]
    winner: Chosen | None
    limits: tuple[str, ...]


def build(facts: Facts) -> Mitigations | None:
    """Payload of the section; None where no mitigations were compared."""
    found = facts.result.comparison
    if found is None:
        return None
    view = View.of(found)
    headline, kind, explanation = wording.conclusion(found)
    again = made.calibration(view)
    groups = made.dumbbells(view)
    return Mitigations(
        scope=_scope(found),
        headline=headline,
        kind=kind,
        explanation=explanation,
        declared=_declared(view),
        answer=made.answer(view),
        trade_off=drawn.trade_off(view),
        groups=groups[:OPEN_GROUPS],
        groups_more=groups[OPEN_GROUPS:],
        groups_folded=f"Groups under {numbers.plural(len(groups[OPEN_GROUPS:]), 'more method')}",
        groups_note=_groups_note(found) if groups else "",
        others=made.others(view),
        calibration=() if again is None else (again,),
        cost=cost(view),
        needs=choices.needs(view),
        choices=tuple(table for table in (choices.chosen(view), choices.otherwise(view)) if table is not None),
        winner=_winner(view),
        limits=_limits(view),
    )


def _scope(of: Comparison) -> str:
    what = {
        "head": "Only the last layer was trained; the backbone’s embeddings were computed once and stayed as they are.",
        "full": "Every method trained the whole network.",
    }
    said = words.sentence(wording.scope(of.scope))
    return f"{said} (scope {of.scope}). {what.get(of.scope, '')} Never compare these numbers with the other scope’s."


def _declared(view: View) -> tuple[Fact, ...]:
    of = view.comparison
    primary = of.primary
    ignored = f", leaving out {', '.join(primary.ignore)}" if primary.ignore else ""
    rows = ", ".join(f"{name} {numbers.count(n)}" for name, n in of.rows.items())
    found = [view.verdict_of(record.name) for record in view.tried]
    methods = dict.fromkeys(
        f"{numbers.level(one.interval.level)} {one.interval.method}" for one in found if one and one.interval
    )
    told = [
        Fact("Declared beforehand", f"{words.sentence(wording.primary(primary))}{ignored}; verdicts are of this alone"),
        Fact("Backbone", of.backbone),
        Fact("Selected by", f"{words.sentence(of.criterion)}: it picks setting and epoch; nothing is picked on test"),
        Fact("Trained", wording.trained(of)),
    ]
    if rows:
        told.append(Fact("Rows", rows))
    if methods:
        combined = "the scatter of the seeds and the sampling of the test rows together"
        told.append(Fact("Interval", f"{'; '.join(methods)}: {combined}"))
    threshold = numbers.level(round(1 - of.level, 9))
    told.append(Fact("Verdict", f"given where the p-value, adjusted for all methods (Holm), is below {threshold}"))
    if of.left_out:
        told.append(Fact("Left out", "; ".join(f"{group}: {why}" for group, why in of.left_out.items())))
    return tuple(told)


def _groups_note(of: Comparison) -> str:
    where = words.breakdown("*".join(of.primary.across))
    return (
        f"Each group of {where} before (hollow point, {of.baseline}) and after (filled point), means over the seeds, "
        "all along one scale. The interval is of the change; groups have no verdicts of their own."
    )


def _winner(view: View) -> Chosen | None:
    of, winner = view.comparison, view.comparison.winner
    if winner is None:
        return None
    change = view.verdict_of(winner.method)
    if winner.method == of.baseline:
        verdict = "It is the baseline: no method was better on val."
    elif change is None or wording.judged(change) is None:
        verdict = "There is no verdict on it."
    else:
        verdict = f"The verdict on it, from the test rows, is: {wording.judged(change)}."
    said = f"{winner.method} reached the highest mean criterion on val, which is how it was picked. {verdict}"
    told = [Fact("Network", f"{winner.method}, seed {winner.seed}, the best of its seeds on val")]
    if winner.val is not None:
        told.append(Fact("Criterion on val", numbers.percent(winner.val)))
    if not winner.weights:
        told.append(Fact("Weights", words.statement(winner.reason) or "Not written."))
        return Chosen(said, tuple(told), "")
    told += [
        Fact("Weights", f"{winner.weights}, in the run folder", code=True),
        Fact("Weights SHA-256", winner.sha256, code=True),
    ]
    return Chosen(said, tuple(told), f"imgid-audit run CONFIG --set model.weights=RUN/{winner.weights}")


def _limits(view: View) -> tuple[str, ...]:
    of = view.comparison
    seeds = numbers.plural(len(of.seeds), "seed")
    said = [
        f"The seeds are {seeds} of training on one split of the data; another split was not tried.",
        "Numbers of this scope must not be compared with those of the other scope, nor with the audited model’s.",
        "A criterion on val is the best of several tries and is too high; the test rows picked nothing.",
    ]
    if of.scope == "head":
        said.insert(
            1, "All heads stand on one backbone, whose own seed was not varied: what another would give is open."
        )
    if aside := wording.aside(of):
        said.append(aside)
    recorded = [words.ended(f"{record.name}: {note}") for record in of.records for note in record.notes]
    told = [*said, *(words.statement(note) for note in of.notes), *recorded]
    more = len(told) - MOST_NOTES
    rest = f"{numbers.plural(more, 'more note')} in comparison.json."
    return (*told[:MOST_NOTES], *((rest,) if more > 0 else ()))


SECTION = Section("mitigations", "What helps", "Mitigations against the baseline: changes, costs, winner.", build)
