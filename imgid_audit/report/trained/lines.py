"""What `search` prints: how far it is, and its best trial."""

from __future__ import annotations

from collections import Counter

from imgid_audit.core.fit import Search
from imgid_audit.report import numbers
from imgid_audit.report.trained import wording


def search_lines(search: Search) -> list[str]:
    """The trials by their state; the best one with its value, where that may be published, and its settings."""
    states = Counter(trial.state for trial in search.trials)
    told = ", ".join(f"{numbers.count(n)} {state}" for state, n in sorted(states.items()))
    done = f"{numbers.count(len(search.trials))} of {numbers.plural(search.asked, 'trial')}"
    lines = [f"search: {done} ({told}); {search.ended}"]
    best = search.choice
    if best is not None:
        value = "" if best.value is None else f" {wording.on_val(search, best.value)}"
        set_to = ", ".join(f"{name} = {wording.value(of)}" for name, of in best.parameters.items())
        lines.append(f"best: trial {numbers.count(best.number)}, {search.criterion}{value}: {set_to}")
    return lines
