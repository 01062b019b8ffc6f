"""What a table of costs must be: a block for every true label, a cost for every other label in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from imgid_audit.core.naming import unknown

Table = Mapping[str, Mapping[str, float]]

Complaint = tuple[tuple[str | int, ...], str]


def cost_complaints(costs: Table, labels: Sequence[str] | None) -> Iterator[Complaint]:
    """(trail within `costs`, message) of everything that is wrong; `labels` None: they are not known yet.

    The labels that are not known are then those that the table itself names.
    """
    named = dict.fromkeys([*costs, *(said for row in costs.values() for said in row)])
    known = list(named if labels is None else labels)
    sound = True
    for true, row in costs.items():
        if true not in known:
            yield (true,), unknown("label", true, known)
        for said in row:
            if said not in known:
                yield (true, said), unknown("label", said, known)
        lacking = [said for said in known if said != true and said not in row]
        if true in known and lacking:
            sound = False
            yield (true,), f"lacks the cost of predicting {_listed(lacking)} where the label is {true!r}"
    lacking = [true for true in known if true not in costs]
    if lacking:
        yield (), f"lacks a block for the true label{'s' if len(lacking) > 1 else ''} {_listed(lacking)}"
    if sound and not lacking:
        yield from _meaning(costs, known)


def _meaning(costs: Table, labels: Sequence[str]) -> Iterator[Complaint]:
    """Tables that are whole and say nothing, or the opposite of what was meant."""
    rows = {true: {said: costs[true].get(said, 0.0) for said in labels} for true in labels}
    if all(len(set(row.values())) == 1 for row in rows.values()):
        yield (), "makes no decision cheaper than another: every answer to a label costs the same"
        return
    for true, row in rows.items():
        cheaper = [said for said in labels if row[said] < row[true]]
        if cheaper:
            message = f"is {row[true]:g}, more than {row[cheaper[0]]:g} for {cheaper[0]!r}, which is wrong"
            yield (true, true), f"{message}: costs are by true label, then by predicted label"


def _listed(names: Sequence[str], shown: int = 5) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more
