"""Studies of training, each by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from imgid_audit.core.fit import Study
from imgid_audit.report.blocks import Fact
from imgid_audit.report.trained.amounts import data_ladder
from imgid_audit.report.trained.augmented import augment_effect
from imgid_audit.report.trained.sizes import ladder
from imgid_audit.report.trained.study import StudyPart

__all__ = ["StudyPart", "part"]


GIVEN, CHOSEN = "as given", "as the search chose"


def part(study: Study, chosen: Mapping[str, Any] | None = None) -> StudyPart:
    """The payload of a study; `chosen`: the settings that a search chose, with which it then trained."""
    kinds = {"ladder": ladder, "data_ladder": data_ladder, "augment_effect": augment_effect}
    if any(name.startswith("augment.") for name in chosen or ()):
        study = _renamed(study)
    found = kinds[study.kind](study)
    return replace(found, facts=(*found.facts, Fact("Settings", CHOSEN if chosen else GIVEN)))


def _renamed(study: Study) -> Study:
    """The study with the augmentation that a search chose called so."""

    def name(of: str) -> str:
        return CHOSEN if of == GIVEN else of

    return replace(
        study,
        variants=tuple(replace(one, name=name(one.name)) for one in study.variants),
        estimates=tuple(replace(one, method=name(one.method)) for one in study.estimates),
        steps=tuple(replace(one, before=name(one.before), after=name(one.after)) for one in study.steps),
    )
