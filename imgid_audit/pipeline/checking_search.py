"""What `check` says of a search of training settings: what is searched, by what, and how much would be trained."""

from __future__ import annotations

from collections.abc import Iterator

from imgid_audit.config import Config
from imgid_audit.core.task import Task
from imgid_audit.pipeline.objective import objective_of
from imgid_audit.pipeline.searching import searches
from imgid_audit.vision.search.space import Space


def search_lines(config: Config, task: Task) -> Iterator[str]:
    """Lines for a person; none without a search."""
    search, model = config.train.search, config.model
    if not searches(config) or search is None or model is None:
        return
    space = Space.of(search, model, config.train.alone())
    trials = space.distinct(search.trials)
    limit = "" if search.minutes is None else f", none begun after {search.minutes:g} minutes"
    objective = objective_of(config, task)
    better = "highest" if objective.higher else "lowest"
    yield f"search: {search.sampler}, {trials} trials{limit}, by the {better} {objective.words}; pruner {search.pruner}"
    yield from (f"  {name}: {words}" for name, words in space.words.items())
    most = trials + 2 * search.confirm
    networks = f"{trials} trials, then {search.confirm} each of the chosen and the given settings"
    yield f"  trains up to {most:,} networks for {config.train.epochs} epochs: {networks}"
