"""What a section of the report is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from imgid_audit.report.facts import Facts


@dataclass(frozen=True, slots=True)
class Section:
    """A registered section: `build` turns facts into a payload that `template` places.

    `build` returns None where the audit has nothing of the kind; the section is then left out.
    """

    name: str
    title: str
    summary: str
    build: Callable[[Facts], object | None]

    @property
    def template(self) -> str:
        """Path below the folder of templates."""
        return f"sections/{self.name}.html.j2"
