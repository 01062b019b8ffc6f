"""Methods that make pictures, in scope `head`: what they make is embedded besides the training images."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.mitigations.points import joined
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.vision.treatment import Part, Pictures, Treatment

if TYPE_CHECKING:
    from imgid_audit.vision.weights import LoadedModel


def with_pictures_as_points(
    treatment: Treatment, bench: Bench, model: LoadedModel, rows: NDArray[np.intp]
) -> tuple[Treatment, list[int]]:
    """The same treatment with its pictures as new embeddings, and how many were made, known after training.

    `rows` are the training rows in the order of their embeddings. Nothing changes for a treatment without pictures.
    """
    made: list[int] = []
    make, further = treatment.pictures, treatment.points
    if make is None:
        return treatment, made
    job = bench.job

    def points(part: Part, classes: int, seed: int) -> Part:
        from imgid_audit.vision.pictures import embed_pictures, read_pictures

        assert bench.manifest.images is not None
        images = read_pictures(bench.manifest.images, rows, job.inputs.root, model, job.config.predict)
        new = make(Pictures(images, part.labels, part.groups), seed)
        made.append(len(new.labels))
        if len(new.labels):
            embeddings = embed_pictures(new.images, model, job.config.predict, classes)
            part = joined(part, Part(embeddings, new.labels, new.groups))
        return part if further is None else further(part, classes, seed)

    return replace(treatment, pictures=None, points=points), made
