"""The blocks of a config that are right by themselves, for the checks between blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from imgid_audit.config.models import TaskSettings
from imgid_audit.io.settings import DataSettings, PredictionsSettings, SplitSettings
from imgid_audit.vision.settings import ModelSettings
from imgid_audit.vision.study_settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class Draft:
    """The blocks that are right by themselves; `given` are the top-level keys that were written at all."""

    given: frozenset[str]
    blocks: Mapping[str, Any]

    def task(self) -> TaskSettings | None:
        return self.blocks.get("task")

    def data(self) -> DataSettings | None:
        return self.blocks.get("data")

    def model(self) -> ModelSettings | None:
        return self.blocks.get("model")

    def predictions(self) -> PredictionsSettings | None:
        return self.blocks.get("predictions")

    def train(self) -> TrainingSettings | None:
        return self.blocks.get("train")

    @property
    def trains(self) -> bool:
        """Whether a model is trained: there is a model and it has no weights."""
        model = self.model()
        return model is not None and model.weights is None and "predictions" not in self.given


def lacks_val(data: DataSettings) -> bool:
    """Whether no split can be val: there is none at all, or fractions without one for val."""
    split = data.split
    return split is None or (isinstance(split, SplitSettings) and split.column is None and split.val is None)
