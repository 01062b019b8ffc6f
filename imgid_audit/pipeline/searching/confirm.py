"""What a search's choice is worth: against the settings as given, with seeds that no trial had, on val and on test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgid_audit.comparison import ComparisonSpec, MethodRuns, compare_methods
from imgid_audit.core.fit import Search
from imgid_audit.core.values import Undefined
from imgid_audit.pipeline.searching.trials import Searched, valued
from imgid_audit.pipeline.studies.networks import Network, decisions_of, trained

GIVEN, CHOSEN = "given", "chosen"
LEFT_OUT = "Left out of the worst on test"


def confirmed(of: Searched, search: Search) -> Search:
    """The search with its choice compared; as it is where the settings as given were chosen."""
    if search.choice is None or search.chosen == 0:
        return search
    parameters = {GIVEN: search.trials[0].parameters, CHOSEN: search.choice.parameters}
    first = of.job.config.train.seed
    seeds = tuple(range(first, first + of.settings.confirm))
    networks = {name: [_network(of, name, values, seed) for seed in seeds] for name, values in parameters.items()}
    config = of.job.config
    runs = {
        name: MethodRuns(name, seeds, tuple(decisions_of(of.job, one, "test") for one in found))
        for name, found in networks.items()
    }
    primary = of.objective.spec.primary
    if not primary.across:  # groups are shown beside a quantity of all rows
        primary = replace(primary, across=config.train.groups)
    spec = ComparisonSpec(primary, config.metrics, config.interval_spec(), config.policy.min_support)
    compared = compare_methods(runs[GIVEN], [runs[CHOSEN]], spec)
    val = {name: tuple(_value(of, one) for one in found) for name, found in networks.items()}
    notes = tuple(f"{LEFT_OUT}: {name}: {why}." for name, why in compared.left_out.items())
    return replace(
        search, seeds=seeds, level=spec.intervals.level, val=val,
        estimates=compared.estimates, changes=compared.changes,
        notes=(*search.notes, *notes),
    )  # fmt: skip


def unconfirmed(search: Search) -> Search:
    """The search as it was before its choice was compared."""
    notes = tuple(note for note in search.notes if not note.startswith(LEFT_OUT))
    return replace(search, seeds=(), val={}, estimates=(), changes=(), notes=notes)


def _network(of: Searched, name: str, parameters: Mapping[str, Any], seed: int) -> Network:
    model, train = of.space.applied(parameters)
    of.job.progress.step(f"confirm, settings as {name}, seed {seed}")
    seeded = train.model_copy(update={"seed": seed})
    return trained(of.job, model, seeded, of.job.inputs.manifest, splits=("val", "test"))


def _value(of: Searched, network: Network) -> float | None:
    value = valued(of, network.scores)
    return None if isinstance(value, Undefined) else value
