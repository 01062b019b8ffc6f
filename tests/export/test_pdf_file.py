"""The PDF: tagged, bookmarked, the same bytes every time, and made without asking for anything."""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
from collections.abc import Callable
from functools import cache

import pikepdf
import pytest

from imgid_audit.core.result import AuditResult
from imgid_audit.export.pdf_file import FetchRefusedError, pdf_of, render_pdf
from imgid_audit.report import WorstImage, WorstImages, build
from tests.report import comparison_factory, factory, fit_factory

SMALL = factory.Plan(
    labels=("other", "covid19"),
    positive="covid19",
    name="covid-cxr",
    attributes={"device": factory.DEVICES, "sex": factory.SEXES},
    metrics=("accuracy", "recall", "ece"),
)
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def render(plan: factory.Plan = SMALL) -> bytes:
    images = WorstImages((WorstImage(PNG, "other", "covid19", 0.98, {"device": "handheld"}),), 9)
    return render_pdf(build(factory.audit(plan), epoch=factory.EPOCH, images=images))


@cache
def document() -> bytes:
    return render()


@cache
def text() -> str:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: the text of the PDF was not checked")
    run = subprocess.run(["pdftotext", "-layout", "-", "-"], input=document(), capture_output=True, check=True)
    return " ".join(run.stdout.decode().replace("\xa0", " ").replace("\u202f", " ").split())


def test_the_same_report_gives_the_same_bytes() -> None:
    assert render() == document()


def test_another_epoch_gives_another_date_and_nothing_reads_the_clock() -> None:
    with pikepdf.open(io.BytesIO(document())) as pdf:
        assert str(pdf.docinfo["/CreationDate"]).startswith("D:20261123140500")
        assert str(pdf.docinfo["/ModDate"]).startswith("D:20261123140500")


def test_title_language_tags_and_bookmarks() -> None:
    with pikepdf.open(io.BytesIO(document())) as pdf:
        assert str(pdf.docinfo["/Title"]) == "covid-cxr · bias audit"
        assert str(pdf.Root.Lang) == "en"
        assert bool(pdf.Root.MarkInfo.Marked)
        assert "/StructTreeRoot" in pdf.Root
        with pdf.open_outline() as outline:
            titles = [item.title for item in outline.root]
    assert titles[:3] == ["Verdicts", "Data", "Overall performance"]
    assert titles[-1] == "Provenance"


def test_fonts_are_embedded_and_nothing_runs_or_leaves() -> None:
    with pikepdf.open(io.BytesIO(document())) as pdf:
        assert "/OpenAction" not in pdf.Root
        assert "/AA" not in pdf.Root
        for value in pdf.objects:
            if not isinstance(value, pikepdf.Dictionary):
                continue
            assert value.get("/S") not in (pikepdf.Name.URI, pikepdf.Name.JavaScript, pikepdf.Name.Launch)
            assert "/JS" not in value
            if value.get("/Type") == pikepdf.Name.FontDescriptor:
                assert any(key in value for key in ("/FontFile", "/FontFile2", "/FontFile3"))


def test_verdicts_facts_and_page_numbers_are_in_the_text() -> None:
    for said in (
        "The policy is not met",
        "The gap in accuracy between groups of device is at most 10 points.",
        "Acquisition devices in this data are simulated.",
        "What was audited",
        "The widest gaps",
        "page 1 of ",
        "page 2 of ",
        "23 November 2026, 14:05 UTC",
        "“other” taken for “covid19”",
    ):
        assert said in text(), said


def test_page_one_has_verdicts_what_was_audited_and_three_gaps() -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: the first page was not checked")
    run = subprocess.run(["pdftotext", "-l", "1", "-", "-"], input=document(), capture_output=True, check=True)
    first = run.stdout.decode()
    assert first.count("95 % interval") == 3
    for said in ("Broken", "Inconclusive", "Met", "Not evaluated", "Weights", "9f" * 16, "The widest gaps"):
        assert said in first, said


def test_nothing_leaves_the_page() -> None:
    """Every glyph stands within its page, also with names of 180 letters without a blank."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: clipping was not checked")
    levels = {factory.LONG: (80, 0.9), "W" * 90: (70, 0.8), **factory.DEVICES}
    plan = factory.Plan(
        labels=("other", factory.LONG), positive=factory.LONG, name=factory.LONG, metrics=("accuracy", "recall"),
        attributes={factory.LONG: levels, "sex": factory.SEXES}, intersections=((factory.LONG, "sex"),),
    )  # fmt: skip
    run = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=render(plan), capture_output=True, check=True)
    pages = re.split(r"<page ", run.stdout.decode())[1:]
    assert len(pages) > 3
    for page in pages:
        width, height = (float(x) for x in re.findall(r'(?:width|height)="([\d.]+)"', page)[:2])
        for box in re.findall(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)"', page):
            left, top, right, bottom = (float(x) for x in box)
            assert 40 <= left <= right <= width - 40
            assert 20 <= top <= bottom <= height - 20


def test_words_are_broken_only_where_they_are_long() -> None:
    """On paper a first column is narrow: `south` and `undefined` stand whole, a name of 40 letters need not."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: broken words were not looked for")
    long = "a_level_that_is_longer_than_twenty_letters"
    cameras = {"camera": (260, 0.95), "interdisciplinary": (180, 0.91), long: (70, 0.74), "(missing)": (9, 0.9)}
    regions = {"south": (250, 0.9), "north": (260, 0.92), "nowhere": (0, 0.0)}
    plan = factory.Plan(
        labels=("other", "covid19"), positive="covid19", name="x",
        metrics=(*factory.RATES, *factory.SCORED), attributes={"maker": cameras, "region": regions},
        intersections=(("maker", "region"),),
    )  # fmt: skip
    run = subprocess.run(["pdftotext", "-layout", "-", "-"], input=render(plan), capture_output=True, check=True)
    words = set(run.stdout.decode().split())
    assert {"south", "camera", "interdisciplinary", "undefined", "nowhere"} <= words
    whole = ("south", "north", "nowhere", "camera", "interdisciplinary", "undefined", "(missing)")
    beginnings = {word[:cut] for word in whole for cut in range(4, len(word))}
    assert not words & beginnings


@pytest.mark.parametrize(
    "markup",
    [
        '<img src="http://evil.example/a.png">',
        '<img src="file:///etc/passwd">',
        '<img src="picture.png">',
        '<link rel="stylesheet" href="http://evil.example/a.css">',
        '<link rel="attachment" href="file:///etc/passwd">',
        "<style>@import url(http://evil.example/a.css);</style>",
        "<style>@font-face { font-family: x; src: url(http://evil.example/x.woff) } p { font-family: x }</style>",
        '<p style="background: url(http://evil.example/a.png)">x</p>',
        '<svg width="10" height="10"><image href="http://evil.example/a.png" width="10" height="10"/></svg>',
        '<img src="data:image/svg+xml;base64,PHN2Zy8+">',
        '<object data="http://evil.example/a.png"></object>',
    ],
)
def test_a_document_that_asks_for_an_address_is_refused(markup: str) -> None:
    with pytest.raises(FetchRefusedError, match="fetches nothing"):
        pdf_of(f"<!DOCTYPE html><html><head></head><body>{markup}<p>text</p></body></html>")


def test_a_picture_that_the_document_carries_is_shown() -> None:
    source = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
    with pikepdf.open(io.BytesIO(pdf_of(f'<html lang="en"><body><img src="{source}" alt="x"></body></html>'))) as pdf:
        assert len(pdf.pages[0].get_images()) == 1


@pytest.mark.parametrize(
    ("make", "title"),
    [
        (comparison_factory.compared, "What helps"),
        (comparison_factory.hostile, "What helps"),
        (fit_factory.trained, "How it was trained"),
        (fit_factory.hostile, "How it was trained"),
    ],
)
@pytest.mark.slow
def test_a_long_section_stays_on_its_pages_and_is_in_the_bookmarks(make: Callable[[], AuditResult], title: str) -> None:
    """Every glyph within its page, every figure with words, methods of 300 letters too."""
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext (poppler-utils) is not installed: clipping was not checked")
    data = render_pdf(build(make(), epoch=factory.EPOCH))
    run = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=data, capture_output=True, check=True)
    for page in re.split(r"<page ", run.stdout.decode())[1:]:
        width, height = (float(x) for x in re.findall(r'(?:width|height)="([\d.]+)"', page)[:2])
        for box in re.findall(r'<word xMin="([\d.-]+)" yMin="([\d.-]+)" xMax="([\d.-]+)" yMax="([\d.-]+)"', page):
            left, top, right, bottom = (float(x) for x in box)
            assert 40 <= left <= right <= width - 40
            assert 20 <= top <= bottom <= height - 20
    with pikepdf.open(io.BytesIO(data)) as pdf, pdf.open_outline() as outline:
        titles = [item.title for item in outline.root]
    assert title in titles


@pytest.mark.slow
def test_hostile_and_large_audits_render() -> None:
    for result in (factory.hostile(), factory.large()):
        assert render_pdf(build(result, epoch=factory.EPOCH)).startswith(b"%PDF-")
