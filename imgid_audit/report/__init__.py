"""The result as payloads: facts, then text, then one template a section."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from imgid_audit import __version__
from imgid_audit.core.registry import Registry
from imgid_audit.core.result import AuditResult
from imgid_audit.report import numbers
from imgid_audit.report.facts import Facts, WorstImage, WorstImages
from imgid_audit.report.published import publishable
from imgid_audit.report.section import Section
from imgid_audit.report.sections import (
    calibration,
    classes,
    data,
    decisions,
    findings,
    groups,
    intersections,
    limits,
    method,
    mitigations,
    overall,
    provenance,
    training,
    verdicts,
    worst_images,
)

__all__ = ["SECTIONS", "Part", "Report", "WorstImage", "WorstImages", "build", "publishable"]

SECTIONS: Registry[Section] = Registry("section")
SECTIONS.register(verdicts.SECTION)
SECTIONS.register(data.SECTION)
SECTIONS.register(overall.SECTION)
SECTIONS.register(groups.SECTION)
SECTIONS.register(classes.SECTION)
SECTIONS.register(intersections.SECTION)
SECTIONS.register(decisions.SECTION)
SECTIONS.register(calibration.SECTION)
SECTIONS.register(worst_images.SECTION)
SECTIONS.register(findings.SECTION)
SECTIONS.register(training.SECTION)
SECTIONS.register(mitigations.SECTION)
SECTIONS.register(limits.SECTION)
SECTIONS.register(method.SECTION)
SECTIONS.register(provenance.SECTION)

SHORT_NAME = 70
"""Characters of the audit's name that fit a running head."""


@dataclass(frozen=True, slots=True)
class Part:
    """A section that this report has: its payload, and the template that places it."""

    name: str
    title: str
    template: str
    payload: object


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a renderer places; two renderers given one report say the same.

    `epoch` is the date that the report bears, in UTC; no other clock is read.
    """

    name: str
    short_name: str
    headline: str
    date: str
    epoch: datetime
    generator: str
    parts: tuple[Part, ...]


def build(result: AuditResult, *, epoch: datetime, images: WorstImages | None = None) -> Report:
    """Turn a result into a report, of what may be published of it.

    Pictures of single rows are left out where small cells are hidden: each is a cell of one.
    `epoch` must carry a time zone; it is the date of SOURCE_DATE_EPOCH, else of the start of the run.
    Raises ValueError without one.
    """
    if epoch.tzinfo is None:
        raise ValueError("the epoch of a report needs a time zone")
    moment = epoch.astimezone(UTC).replace(microsecond=0)
    result = publishable(result)
    facts = Facts.of(result, moment, images if result.privacy is None else None)
    built = ((section, section.build(facts)) for section in SECTIONS)
    parts = tuple(Part(s.name, s.title, s.template, payload) for s, payload in built if payload is not None)
    page_one = verdicts.build(facts)
    short = result.name if len(result.name) <= SHORT_NAME else f"{result.name[: SHORT_NAME - 1]}…"
    return Report(
        name=result.name,
        short_name=short,
        headline=page_one.headline,
        date=numbers.date(moment),
        epoch=moment,
        generator=f"imgid-audit {__version__}",
        parts=parts,
    )
