"""The page in a real browser: sorting, filtering, the keyboard, widths, and no word to the outside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imgid_audit.export.html_page import render_html
from imgid_audit.report import build
from tests.report import comparison_factory, factory, fit_factory

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found: the page was NOT checked in a browser"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright import sync_api

    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pages")
    results = {
        "audit": factory.audit(), "hostile": factory.hostile(), "compared": comparison_factory.compared(),
        "hostile_compared": comparison_factory.hostile(), "trained": fit_factory.trained(),
        "hostile_trained": fit_factory.hostile(),
    }  # fmt: skip
    for name, result in results.items():
        (made / f"{name}.html").write_bytes(render_html(build(result, epoch=factory.EPOCH)))
    return made


def opened(browser: Browser, path: Path, width: int = 1280, **options: Any) -> tuple[Page, list[str]]:
    """A page, offline, and the list that gathers whatever it complains of or asks for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, offline=True, **options)
    page = context.new_page()
    heard: list[str] = []
    page.on("console", lambda message: heard.append(f"console {message.type}: {message.text}"))
    page.on("pageerror", lambda error: heard.append(f"error: {error}"))
    page.on("dialog", lambda dialog: heard.append(f"dialog: {dialog.message}"))
    page.on("request", lambda request: heard.append(f"request: {request.url}"))
    page.goto(path.as_uri())
    assert heard.pop(0) == f"request: {path.as_uri()}"
    return page, [text for text in heard if text != "request: data:,"]


FOREST = "table.forest:has(thead th:nth-child(5))"
"""A forest of groups: group, value, interval, n, ...; that of gaps has fewer columns."""


def column(page: Page, index: int) -> list[str]:
    cells = page.locator(FOREST).first.locator(f"tbody tr > :nth-child({index})")
    return [text.replace("\xa0", " ") for text in cells.all_text_contents()]


@pytest.mark.parametrize("name", ["audit", "hostile", "compared", "hostile_compared", "trained", "hostile_trained"])
@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_nothing_is_asked_for_nothing_complains_and_the_page_fits(
    browser: Browser, folder: Path, name: str, width: int
) -> None:
    page, heard = opened(browser, folder / f"{name}.html", width)
    assert heard == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.context.close()


def test_columns_sort_both_ways_with_the_undefined_last(browser: Browser, folder: Path) -> None:
    page, heard = opened(browser, folder / "audit.html")
    first = page.locator("section#groups .panel").nth(2).locator(FOREST).first
    head = first.locator("thead th").nth(1)
    assert head.get_attribute("aria-sort") is None

    def values() -> list[str]:
        return first.locator("tbody tr > :nth-child(2)").all_text_contents()

    before = values()
    assert before[-1] == "undefined"
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "ascending"
    up = values()
    head.locator("button").click()
    assert head.get_attribute("aria-sort") == "descending"
    down = values()
    assert sorted(before) == sorted(up) == sorted(down)
    assert up[-1] == down[-1] == "undefined"
    numbers = [float(text.split("\xa0")[0]) for text in down[:-1]]
    assert numbers == sorted(numbers, reverse=True)
    assert up[:-1] == down[:-1][::-1]
    first.locator("thead th").nth(0).locator("button").click()
    assert head.get_attribute("aria-sort") is None
    assert heard == []
    page.context.close()


def test_a_phone_shows_estimate_and_interval_without_scrolling(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "audit.html", 390)
    first = page.locator("section#groups").locator(FOREST).first
    for cell, title in ((2, "Estimate"), (3, "Interval")):
        assert first.locator(f"thead th:nth-child({cell})").inner_text() == title
        box = first.locator(f"tbody tr:first-child > :nth-child({cell})").bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= 390
    page.context.close()


def test_a_tablet_shows_gaps_with_their_drawing_without_scrolling(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "trained.html", 800)
    frame = page.locator("section#training .scroller:has(table.forest.compared)").first
    assert frame.evaluate("f => f.scrollWidth <= f.clientWidth")
    page.context.close()


def test_captions_stay_in_sight_where_their_table_scrolls(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "trained.html", 360)
    frame = page.locator("section#training .scroller:has(table.forest.compared)").first
    frame.evaluate("f => f.scrollTo(200, 0)")
    assert frame.evaluate("f => f.scrollLeft") > 100
    box = frame.locator("caption span").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
    page.context.close()


def test_counts_sort_as_numbers(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "audit.html")
    page.locator(FOREST).first.locator("thead th").nth(3).locator("button").click()
    counts = [int(text.replace("\u202f", "")) for text in column(page, 4)]
    assert counts == sorted(counts)
    page.context.close()


def test_rows_are_filtered_and_the_count_is_announced(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "audit.html")
    box = page.locator(".filter").first
    table = page.locator(".filter + .scroller table").first
    rows = table.locator("tbody tr")
    total = rows.count()
    label = rows.nth(1).locator("th").inner_text()
    box.locator("input").fill(label)
    shown = table.locator("tbody tr:not([hidden])")
    assert 1 <= shown.count() < total
    assert box.locator("[role=status]").inner_text() == f"{shown.count()} of {total} rows shown"
    page.emulate_media(media="print")
    assert table.locator("tbody tr").first.is_visible()
    assert table.locator("tbody tr[hidden]").first.is_visible(), "a filter must not take rows from the printed page"
    page.emulate_media(media="screen")
    box.locator("input").fill("")
    assert table.locator("tbody tr:not([hidden])").count() == total
    page.context.close()


def test_the_keyboard_reaches_and_works_everything(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "audit.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#verdicts"
    button = page.locator(FOREST).first.locator("thead th").nth(4).locator("button")
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator(FOREST).first.locator("thead th").nth(4).get_attribute("aria-sort") == "ascending"
    outline = button.evaluate("e => getComputedStyle(e).outlineStyle")
    assert outline != "none"
    page.locator("summary").first.focus()
    page.keyboard.press("Space")
    assert page.locator("details").first.get_attribute("open") is not None
    page.context.close()


def test_without_scripts_every_row_is_there_and_nothing_is_dead(browser: Browser, folder: Path) -> None:
    page, _ = opened(browser, folder / "audit.html", java_script_enabled=False)
    text = page.content()
    assert "<button" not in text
    assert 'class="filter"' not in text
    assert page.locator(FOREST).first.locator("tbody tr").first.is_visible()
    assert page.locator("tr[hidden]").count() == 0
    assert page.locator("main > section").count() >= 10
    page.context.close()


def test_hostile_names_run_nothing(browser: Browser, folder: Path) -> None:
    page, heard = opened(browser, folder / "hostile.html")
    page.wait_for_timeout(200)
    assert heard == []
    assert page.evaluate("document.scripts.length") == 1
    assert page.evaluate("document.images.length") == 0
    assert "<script>alert(1)</script>" in page.locator("h1").inner_text()
    page.context.close()


@pytest.mark.parametrize("name", ["audit", "compared"])
def test_a_frame_that_scrolls_can_be_reached_and_others_are_no_stops(browser: Browser, folder: Path, name: str) -> None:
    page, _ = opened(browser, folder / f"{name}.html", 360)
    wrong = page.evaluate(
        """() => Array.from(document.querySelectorAll('.scroller')).filter(
             f => f.offsetParent && (f.scrollWidth > f.clientWidth + 1) !== f.hasAttribute('tabindex')).length"""
    )
    assert wrong == 0
    page.context.close()


def test_shades_are_printed_with_their_text(browser: Browser, folder: Path) -> None:
    """White text on a shade that the printer leaves out would be lost."""
    page, _ = opened(browser, folder / "audit.html")
    page.emulate_media(media="print")
    assert page.locator("td.h6, td.h7, td.h8").first.evaluate("e => getComputedStyle(e).printColorAdjust") == "exact"
    page.context.close()


def test_dark_and_light_differ(browser: Browser, folder: Path) -> None:
    grounds = []
    for scheme in ("light", "dark"):
        page, heard = opened(browser, folder / "audit.html", color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
        strokes = page.locator("svg.strip .range").first.evaluate("e => getComputedStyle(e).stroke")
        grounds.append(strokes)
        assert heard == []
        page.context.close()
    assert grounds[0] != grounds[2]
    assert grounds[1] != grounds[3]
