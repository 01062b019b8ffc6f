"""The PDF: the same payloads on paper. Nothing is fetched; whatever asks for an address fails the render."""

from __future__ import annotations

import hashlib
import re

from imgid_audit.core.errors import AuditError
from imgid_audit.core.result import AuditResult
from imgid_audit.export.formats import Files, Format
from imgid_audit.export.templates import render
from imgid_audit.report import Report

NOWHERE = "nowhere://report/"
"""Base of relative addresses, so that they are recorded and refused like any other."""

PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]+")


class FetchRefusedError(AuditError):
    """The document asked for addresses; a report is made of what is in memory."""

    def __init__(self, addresses: tuple[str, ...]) -> None:
        shown = ", ".join(address[:200] for address in addresses)
        super().__init__(f"the report asks for {shown}: a report fetches nothing, so no PDF was written")
        self.addresses = addresses


def render_pdf(report: Report) -> bytes:
    """The PDF of a report; equal reports give equal bytes. Raises `FetchRefusedError`."""
    return pdf_of(render(report, "paper"))


def pdf_of(document: str) -> bytes:
    """A PDF of a document in which only pictures that it carries itself are loaded.

    WeasyPrint blocks a picture inside an SVG without an error, so every address that is asked for
    is recorded, and any but the document's own data fails the render.
    """
    from weasyprint import CSS, HTML
    from weasyprint.text.fonts import FontConfiguration
    from weasyprint.urls import URLFetcher, URLFetcherResponse

    own = frozenset(PICTURE.findall(document))
    asked: list[str] = []

    class Memory(URLFetcher):  # type: ignore[misc]
        def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
            if url in own:
                import base64

                picture = base64.b64decode(url.partition(",")[2])
                return URLFetcherResponse(url, body=picture, headers={"Content-Type": "image/png"})
            asked.append(url)
            return super().fetch(url, headers)

    fetcher = Memory(allowed_protocols=())
    fonts = FontConfiguration()
    sheet = CSS(string="", url_fetcher=fetcher, font_config=fonts)
    data: bytes = HTML(string=document, base_url=NOWHERE, url_fetcher=fetcher).write_pdf(
        stylesheets=[sheet],
        font_config=fonts,
        pdf_identifier=hashlib.sha256(document.encode("utf-8", "replace")).digest()[:16],
        pdf_tags=True,
    )
    if asked:
        raise FetchRefusedError(tuple(sorted(set(asked))))
    return data


def _files(_result: AuditResult, report: Report) -> Files:
    return {"report.pdf": render_pdf(report)}


FORMAT = Format("pdf", "The same report for paper and filing: report.pdf.", _files)
