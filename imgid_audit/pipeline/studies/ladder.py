"""Architectures from small to large: where more weights stop paying."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from imgid_audit.comparison.studies import enough
from imgid_audit.core.fit import Study
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies.ways import Ran, Training, Way, bench_of, settings_of
from imgid_audit.vision.study_settings import LadderSettings

OWN_INPUT = "Each architecture is fed images of its own default size: model.input.size names none."


def ladder(job: Job, settings: LadderSettings) -> Study:
    """Every architecture trained as the config says; steps from each that ran to the next larger one.

    Larger is what has more weights, whatever the order given. One that cannot be built, or diverges, has not run,
    and the others go on.
    """
    bench = bench_of(job, "ladder", settings)
    ran = by_size(bench.run([_way(job, name) for name in settings.architectures]))
    runs = [one.runs for one in ran if one.runs is not None]
    names = [one.name for one in runs]
    pairs = bench.pairs(runs)
    taken = [step for pair in pairwise(names) for step in pairs[pair]]
    model, _ = settings_of(job)
    notes = () if model.input.size is not None else (OWN_INPUT,)
    return bench.study(ran, taken, notes, enough=enough(names, pairs))


def by_size(ran: Sequence[Ran]) -> list[Ran]:
    """By number of weights, in the order given where equal; then those that have not run, in the order given."""
    return sorted(ran, key=lambda one: (one.runs is None, one.variant.weights))


def _way(job: Job, architecture: str) -> Way:
    model, train = settings_of(job)

    def training(seed: int) -> Training:
        one = model.model_copy(update={"architecture": architecture})
        return Training(one, train.model_copy(update={"seed": seed}), job.inputs.manifest)

    return Way(architecture, {"architecture": architecture}, training)
