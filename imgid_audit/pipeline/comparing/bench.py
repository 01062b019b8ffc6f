"""What all methods of a comparison share: rows, groups, criterion, seeds, and the methods themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.factor import Codes
from imgid_audit.core.manifest import Manifest
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings, MitigationsSettings
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.unmet_mitigations import Select, ask_of, criterion, unmet_mitigations

CRITERIA: Mapping[Select, str] = {
    "average": "accuracy on val",
    "worst_class": "accuracy of the worst class on val",
    "worst_group": "accuracy of the worst group on val",
}

BASELINE = "baseline"


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A comparison before anything is trained.

    - `remedies`: the baseline first; `groups` (n,): codes of every row's group, None without `train.groups`
    - `select`: the declared criterion
    """

    job: Job
    settings: MitigationsSettings
    ask: Ask
    select: Select
    groups: Codes | None
    group_names: tuple[str, ...]
    remedies: tuple[Remedy, ...]

    @property
    def manifest(self) -> Manifest:
        return self.job.inputs.manifest

    @property
    def seeds(self) -> tuple[int, ...]:
        return self.settings.seeds

    @property
    def tuning_seed(self) -> int:
        """A seed that no judged network has: what trials are tried with."""
        return max(self.seeds) + 1

    @property
    def selected_names(self) -> tuple[str, ...]:
        """What the declared criterion picks the worst of."""
        return self.group_names if self.select == "worst_group" else self.ask.labels

    def groups_of(self, rows: NDArray[np.intp]) -> Codes | None:
        return None if self.groups is None else self.groups[rows]

    def subjects_of(self, rows: NDArray[np.intp]) -> Codes | None:
        """Who is shown, None where the config names no subject column."""
        subject = self.manifest.subject
        return None if subject is None else subject.codes[rows]


def set_up(job: Job) -> Bench:
    """The comparison that the config asks for. `InputError` where it asks for none, or there is nothing to train on."""
    from imgid_audit.vision.criterion import group_codes

    config, settings = job.config, job.config.mitigations
    if settings is None:
        raise InputError(Problem("[mitigations]", "is not there: say which methods to compare, and by what"))
    if config.model is None:
        raise InputError(Problem("[mitigations]", "needs `model`: predictions that are brought cannot be trained anew"))
    if settings.scope == "full" and not config.trains:
        message = "trains end to end, and model.weights are given: remove them, or use scope head"
        raise InputError(Problem("[mitigations > scope]", message))
    task = job.inputs.task
    raise_all(unmet_mitigations(config, task, job.inputs.manifest))  # reading given weights asks nothing of the block
    found = group_codes(job.inputs.manifest, config.train.groups)
    return Bench(
        job=job,
        settings=settings,
        ask=ask_of(config, settings, task),
        select=criterion(settings, config),
        groups=None if found is None else found[0].astype(np.int32),
        group_names=() if found is None else found[1],
        remedies=remedies_of(settings),
    )


def remedies_of(settings: MitigationsSettings) -> tuple[Remedy, ...]:
    """The methods of the block in their order, the baseline before all."""
    asked = [Remedy.of(entry, find) for entry in settings.methods]
    first = [one for one in asked if one.methods == (BASELINE,)] or [Remedy.of(MethodSettings(name=BASELINE), find)]
    return (*first[:1], *(one for one in asked if one.methods != (BASELINE,)))


def plain_settings(settings: MitigationsSettings) -> dict[str, Any]:
    """The block as plain JSON values."""
    return settings.model_dump(mode="json", by_alias=True)
