"""What every training of a job needs: its starting point's file, its resampling, what it depends on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.io.provenance import provenance
from imgid_audit.pipeline.job import Job

if TYPE_CHECKING:
    from imgid_audit.vision.settings import TrainSettings
    from imgid_audit.vision.treatment import Resample


Scores = NDArray[np.float64]
"""Probabilities of every manifest row, (n, classes); NaN where it has none."""


def rooted(job: Job, train: TrainSettings) -> TrainSettings:
    """The settings with a starting point's file as a path of this machine."""
    if train.init in (None, "DEFAULT"):
        return train
    return train.model_copy(update={"init": str(job.config.path_of(str(train.init)))})


def resampler(train: TrainSettings) -> Resample | None:
    """The resampling of training rows that the settings ask for."""
    if train.resample is None:
        return None
    from imgid_audit.mitigations import build_resampler

    return build_resampler(train.resample.name, dict(train.resample.params))


LIBRARIES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "imbalanced-learn", "fairlearn")
"""Whose versions a network depends on."""


def versions() -> str:
    """Of the libraries that train, and the hash of our own code: a corrected method is another one."""
    found = provenance()
    told = [f"{name} {found['versions'].get(name)}" for name in LIBRARIES]
    return ", ".join([*told, f"code {found['hashes']['code']}"])
