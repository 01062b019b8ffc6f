"""Which parameters the next trial has: a function of the seed, its position, and the trials before it.

Optuna's sampler is built anew for every trial, on a study in memory that holds what is known, with a seed made
of the search's and the position. So a search that was killed goes on as if it had not been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from imgid_audit.vision.search.quiet import quiet
from imgid_audit.vision.search.records import Record
from imgid_audit.vision.search.space import Among, Parameter, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

STARTUP = 8
"""Trials that are drawn at random before TPE or GP draw from what they have seen.

Of 4, 6, 8 and 10, each with and without TPE's joint density, 6 and 8 with it needed the fewest trials over six
known surfaces to what chance reaches in 20, and 8 to what it reaches in 40 (tests/validity/search.py).
"""

ATTEMPTS = 4
"""Draws that may repeat a trial before one of the combinations that are left is taken at random."""


def propose(
    space: Space, sampler: str, seed: int, position: int, known: Sequence[Record], *, higher: bool
) -> dict[str, Any]:
    """Parameters for the trial at `position` > 0, which no trial of `known` has.

    A repetition would have the same value, as a training with the same seed ends in the same weights, so it is drawn
    again. `known` are all trials there are, running ones included. Raises `LookupError` where no combination is left.
    """
    tried = [dict(record.parameters) for record in known]
    if sampler != "grid":
        for attempt in range(ATTEMPTS):
            one = _drawn(space, sampler, (seed, position, attempt), known, higher=higher)
            if one not in tried:
                return one
    if space.size is None:
        return one  # so narrow a continuum that its rounded values are few
    order = seed if sampler == "grid" else int(_seed_of((seed, position, ATTEMPTS)))
    for one in space.combinations(order):
        if one not in tried:
            return one
    raise LookupError("every combination has been tried")


def _drawn(
    space: Space, sampler: str, seeds: Iterable[int], known: Sequence[Record], *, higher: bool
) -> dict[str, Any]:
    import optuna

    with quiet():
        study = optuna.create_study(
            direction="maximize" if higher else "minimize", sampler=_sampler(sampler, _seed_of(seeds))
        )
        distributions = distributions_of(space)
        study.add_trials(as_seen(space, distributions, known, higher=higher))
        return space.plain(study.ask(distributions).params)


def _sampler(name: str, seed: int) -> BaseSampler:
    from optuna import samplers

    if name == "tpe":
        return samplers.TPESampler(seed=seed, n_startup_trials=STARTUP, multivariate=True)
    if name == "gp":
        return samplers.GPSampler(seed=seed, n_startup_trials=STARTUP, warn_independent_sampling=False)
    return samplers.RandomSampler(seed=seed)


def _seed_of(seeds: Iterable[int]) -> int:
    return int(np.random.SeedSequence(tuple(seeds)).generate_state(1)[0])


def distributions_of(space: Space) -> dict[str, BaseDistribution]:
    """The space as Optuna has it."""
    return {name: _distribution(parameter) for name, parameter in space.parameters.items()}


def _distribution(parameter: Parameter) -> BaseDistribution:
    from optuna import distributions

    if isinstance(parameter, Among):
        return distributions.CategoricalDistribution(parameter.choices)
    low, high, step = parameter.low, parameter.high, parameter.step
    if parameter.whole:
        return distributions.IntDistribution(int(low), int(high), log=parameter.log, step=int(step or 1))
    return distributions.FloatDistribution(low, high, log=parameter.log, step=step)


def as_seen(
    space: Space, distributions: Mapping[str, BaseDistribution], known: Sequence[Record], *, higher: bool
) -> list[FrozenTrial]:
    """The trials as a sampler sees them, by position.

    - settings as given that lie outside the space are left out: no value inside says what they are
    - a pruned trial counts with the objective as last reported, and a failed one as the worst of all: samplers
      forget failures, and would go on asking for learning rates that diverge
    """
    from optuna.trial import TrialState, create_trial

    values = [record.last for record in known if record.state in ("complete", "pruned") and record.last is not None]
    worst = (min if higher else max)(values, default=None)
    seen = []
    for record in sorted(known, key=lambda record: record.position):
        if not space.holds(record.parameters):
            continue
        value = worst if record.last is None or record.state == "failed" else record.last
        if record.state == "running":
            state, value = TrialState.RUNNING, None
        elif value is None:
            continue
        else:
            state = TrialState.COMPLETE
        seen.append(
            create_trial(state=state, value=value, params=dict(record.parameters), distributions=dict(distributions))
        )
    return seen
