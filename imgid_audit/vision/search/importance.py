"""How much of the objective's variance each parameter explains among the trials of a search."""

from __future__ import annotations

from collections.abc import Sequence

from imgid_audit.vision.search.quiet import quiet
from imgid_audit.vision.search.records import Record
from imgid_audit.vision.search.sampling import as_seen, distributions_of
from imgid_audit.vision.search.space import Space

ENOUGH = 10
"""Complete trials below which shares say little (tests/validity/search.py)."""

Shares = tuple[tuple[str, float], ...]


def importance(space: Space, known: Sequence[Record], *, higher: bool) -> tuple[Shares, str]:
    """(parameter, share in [0, 1]) highest first, summing to 1, and ''; or () and why there are none.

    Functional ANOVA of a random forest over the complete trials inside the space (Hutter et al. 2014). A parameter
    that took one value has share 0. Every parameter of a space is in every trial, so none is conditional.
    """
    import optuna

    complete = [record for record in known if record.state == "complete" and space.holds(record.parameters)]
    if len(complete) < ENOUGH:
        return (), f"{len(complete)} complete trials inside the space, fewer than the {ENOUGH} that shares need"
    if len({record.value for record in complete}) == 1:
        return (), "all complete trials have the same objective"
    varied = [name for name in space.parameters if len({repr(one.parameters[name]) for one in complete}) > 1]
    with quiet():
        study = optuna.create_study(direction="maximize" if higher else "minimize")
        study.add_trials(as_seen(space, distributions_of(space), complete, higher=higher))
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator, params=varied)
    every = {name: float(shares.get(name, 0.0)) for name in space.parameters}
    return tuple(sorted(every.items(), key=lambda item: (-item[1], item[0]))), ""
