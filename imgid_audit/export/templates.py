"""Templates: one environment, escaping always on, an unknown name always an error."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from imgid_audit.report import Report

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Controls that are not seen but change what is: they reorder a line, end it, or cannot be encoded."""

LONGEST_WORD = 20
"""Letters of a word that is never broken in a table on paper."""

PIECE = 10
"""Letters between the places where a part of a longer word may break that is itself too long."""

PARTS = re.compile(r"(?<=[.,;:/_=+-])(?=[^.,;:/_=+-])")
"""Where a longer word breaks first: behind what joins its parts, as in ``fine_tune.backbone_lr``."""

PACKAGE = Path(__file__).resolve().parents[1]


def template_folder() -> Path:
    """The package's own templates where it was built with them (a wheel), else the checkout's."""
    inside = PACKAGE / "templates"
    return inside if inside.is_dir() else PACKAGE.parent / "templates"


@cache
def environment() -> Environment:
    """The one environment. `select_autoescape` would leave ``.html.j2`` unescaped, so it is not used."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    made = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=FileSystemLoader(template_folder()),
        finalize=visible,
        auto_reload=False,
    )
    made.filters["breakable"] = breakable
    return made


def visible(value: object) -> object:
    """Text with its unseen controls spelt out, ``[U+202E]``: a name cannot rewrite the line that it stands in."""
    if not isinstance(value, str) or UNSEEN.search(value) is None:
        return value
    return UNSEEN.sub(lambda found: f"[U+{ord(found[0]):04X}]", value)


def _pieces(part: str) -> list[str]:
    return [part[i : i + PIECE] for i in range(0, len(part), PIECE)] if len(part) > LONGEST_WORD else [part]


def breakable(text: str) -> Markup:
    """Text for paper, escaped: words too long for a column may break between their parts, all others nowhere.

    A part that is too long by itself, as a hash, breaks every few letters.
    """
    from markupsafe import Markup, escape

    def broken(word: str) -> Markup:
        parts = PARTS.split(word) if len(word) > LONGEST_WORD else [word]
        return Markup("<wbr>").join(escape(visible(piece)) for part in parts for piece in _pieces(part))

    return Markup("").join(broken(word) for word in re.split(r"(\s+)", text))


def content_security_policy() -> str:
    """The page's policy: nothing from anywhere; its own style and script by hash; pictures as data alone."""
    style, script = (_digest(environment().get_template(name).render()) for name in ("report.css", "report.js"))
    return (
        f"default-src 'none'; style-src '{style}'; script-src '{script}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode('ascii')}"


def render(report: Report, medium: Literal["screen", "paper"]) -> str:
    """The document for a browser (with policy, script and contents) or for paper (without)."""
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            medium=medium,
            policy=content_security_policy() if medium == "screen" else "",
            stamp=report.epoch.strftime("%Y-%m-%dT%H:%M:%SZ"),
        )
    )
