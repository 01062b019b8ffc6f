"""Training without augmentation against training with it, as given and part by part: who gains, who loses."""

from __future__ import annotations

from typing import Any

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.fit import Study
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies.ways import Training, Way, bench_of, settings_of
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.study_settings import AugmentEffectSettings

WITHOUT, GIVEN = "without augmentation", "as given"


def augment_effect(job: Job, settings: AugmentEffectSettings) -> Study:
    """The first variant is without any augmentation; steps from it to each other one.

    With `each` every part of ``train.augment`` also acts alone, where it has more than one.
    """
    bench = bench_of(job, "augment_effect", settings)
    parts = parts_of(settings_of(job)[1].augment)
    ways = [_way(job, WITHOUT, {}), _way(job, GIVEN, parts)]
    if settings.each and len(parts) > 1:
        ways += [_way(job, f"{name} alone", {name: value}) for name, value in parts.items()]
    ran = bench.run(ways)
    first, *others = [one.runs for one in ran]
    taken = [] if first is None else bench.pairs_from(first, [one for one in others if one is not None])
    return bench.study(ran, taken, ())


def parts_of(augment: AugmentSettings) -> dict[str, Any]:
    """The settings that are not off."""
    off = AugmentSettings()
    return {name: value for name, value in augment.model_dump().items() if value != getattr(off, name)}


def _way(job: Job, name: str, parts: dict[str, Any]) -> Way:
    model, train = settings_of(job)

    def training(seed: int) -> Training:
        if name != WITHOUT and not parts:
            raise InputError(Problem("[train > augment]", "the settings that the search chose augment nothing"))
        settings = train.model_copy(update={"seed": seed, "augment": AugmentSettings(**parts)})
        return Training(model, settings, job.inputs.manifest)

    return Way(name, {"augment": parts}, training)
