"""The `report:` block of a config."""

from __future__ import annotations

from pydantic import Field

from imgid_audit.io.settings import Settings


class ReportSettings(Settings):
    """Which files are written and what they hold."""

    formats: tuple[str, ...] = Field(("html", "pdf", "json", "csv"), description="registered formats")
    worst_images: int = Field(0, ge=0, le=100, description="how many worst errors to show as pictures; 0: none")
