"""The most confident errors as pictures, where the config asks for them."""

from __future__ import annotations

import base64
from dataclasses import dataclass

from imgid_audit.report import numbers
from imgid_audit.report.facts import Facts, WorstImage
from imgid_audit.report.section import Section

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture: its bytes as a data address, and what is said of it."""

    source: str
    alternative: str
    caption: str
    detail: str


@dataclass(frozen=True, slots=True)
class Pictures:
    """Payload: the pictures, most confident error first."""

    lead: str
    pictures: tuple[Picture, ...]


def build(facts: Facts) -> Pictures | None:
    """Payload of the section; None where no pictures were asked for."""
    if facts.images is None or not facts.images.images:
        return None
    shown = len(facts.images.images)
    lead = (
        f"The {numbers.plural(shown, 'most confident error')} of {numbers.count(facts.images.errors)}. "
        "They are chosen for being wrong: they say nothing about how often the model errs."
    )
    return Pictures(lead, tuple(_picture(image) for image in facts.images.images))


def _picture(image: WorstImage) -> Picture:
    if not image.png.startswith(PNG):
        raise ValueError("a picture of the report is a PNG")
    source = f"data:image/png;base64,{base64.b64encode(image.png).decode('ascii')}"
    sure = "" if image.score is None else f", score {numbers.decimal(image.score)}"
    caption = f"“{image.label}” taken for “{image.predicted}”{sure}"
    detail = ", ".join(f"{attribute} = {level}" for attribute, level in image.attributes.items())
    return Picture(source, f"Image with label {image.label}, taken for {image.predicted}", caption, detail)


SECTION = Section("worst_images", "Worst errors", "The most confident errors as pictures, opt-in.", build)
