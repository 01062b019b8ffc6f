"""Studies of training, each by its kind."""

from __future__ import annotations

from imgid_audit.core.fit import Study
from imgid_audit.report.trained.amounts import data_ladder
from imgid_audit.report.trained.augmented import augment_effect
from imgid_audit.report.trained.sizes import ladder
from imgid_audit.report.trained.study import StudyPart

__all__ = ["StudyPart", "part"]


def part(study: Study) -> StudyPart:
    """The payload of a study."""
    return {"ladder": ladder, "data_ladder": data_ladder, "augment_effect": augment_effect}[study.kind](study)
