"""What a training is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.manifest import Manifest
from imgid_audit.core.progress import Progress
from imgid_audit.core.task import Task
from imgid_audit.vision.distributed import ALONE, World
from imgid_audit.vision.settings import AugmentSettings, ModelSettings, TrainSettings
from imgid_audit.vision.transforms import InputTransform
from imgid_audit.vision.treatment import PLAIN, Resample, Treatment


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that a training is given and that does not change."""

    manifest: Manifest
    task: Task
    root: Path
    model_settings: ModelSettings
    settings: TrainSettings
    folder: Path
    transform: InputTransform
    device: torch.device
    groups: NDArray[np.int64] | None
    group_names: tuple[str, ...]
    resample: Resample | None
    progress: Progress
    stop: Callable[[], bool]
    treatment: Treatment = PLAIN
    keep_average: bool = False
    world: World = ALONE

    @property
    def augment(self) -> AugmentSettings:
        """Random changes of training images: the treatment's, else those of the settings."""
        return self.settings.augment if self.treatment.augment is None else self.treatment.augment
