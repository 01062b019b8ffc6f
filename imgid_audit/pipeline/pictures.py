"""The most confident errors as small pictures, for reports that opt in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.manifest import Manifest, Status
from imgid_audit.core.predictions import Decisions, Predictions
from imgid_audit.io.paths import OutsideError, resolve_inside
from imgid_audit.report.facts import WorstImage, WorstImages

if TYPE_CHECKING:
    from PIL import Image

SIDE = 160
"""Longer side of a picture, in pixels."""


def worst_images(
    manifest: Manifest, predictions: Predictions, decisions: Decisions, root: Path, count: int
) -> WorstImages | None:
    """The `count` wrong test rows with the highest score for the label they were given.

    None where no pictures are asked for or the table has no images. A picture that cannot be shown
    is left out; `errors` counts all wrong rows.
    """
    images, scores = manifest.images, predictions.scores
    if count == 0 or images is None:
        return None
    rows = manifest.rows("test")
    rows = rows[predictions.status[rows] == Status.PREDICTED]
    wrong = np.flatnonzero(decisions.label != decisions.predicted)
    certainty = _certainty(decisions, wrong)
    order = np.lexsort((wrong, -certainty))
    shown: list[WorstImage] = []
    for index in wrong[order]:
        if len(shown) == count:
            break
        png = thumbnail(root, str(images[rows[index]]))
        if png is None:
            continue
        labels = decisions.task.labels
        given = decisions.predicted[index]
        shown.append(
            WorstImage(
                png=png,
                label=labels[decisions.label[index]],
                predicted=labels[given],
                score=None if scores is None else float(scores[rows[index], given]),
                attributes={f.name: f.levels[f.codes[index]] for f in decisions.attributes},
            )
        )
    return WorstImages(tuple(shown), len(wrong))


def _certainty(decisions: Decisions, rows: NDArray[np.intp]) -> NDArray[np.float64]:
    if decisions.scores is None:
        return np.zeros(len(rows))
    return decisions.scores[rows, decisions.predicted[rows]]


def thumbnail(root: Path, text: str) -> bytes | None:
    """A PNG of the image's pixels alone (no EXIF, no comment), at most `SIDE` wide and high.

    None where it cannot be read: the account of rows says why.
    """
    import warnings

    from PIL import Image, ImageOps

    try:
        path = resolve_inside(root, text)
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path) as source:
                pixels = _eight_bits(ImageOps.exif_transpose(source))
    except (OutsideError, OSError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        return None
    pixels.thumbnail((SIDE, SIDE))
    clean = Image.new("RGB", pixels.size)
    clean.paste(pixels)
    buffer = io.BytesIO()
    clean.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _eight_bits(image: Image.Image) -> Image.Image:
    """RGB with 8 bits a channel; 16-bit grey keeps its most significant eight."""
    if image.mode.startswith("I"):
        from PIL import Image

        wide = np.asarray(image).astype(np.uint32)
        return Image.fromarray((wide >> 8).clip(0, 255).astype(np.uint8)).convert("RGB")
    return image.convert("RGB")
