"""The history page in a real browser: it fits, it asks for nothing, and nothing in it runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from imgid_audit.core.history import History, Project, RunRecord, Unread
from imgid_audit.export.history_page import render_history
from imgid_audit.report.past import build_history, record
from tests.browser.test_page import browser, opened, pytestmark  # noqa: F401
from tests.report import factory

if TYPE_CHECKING:
    from playwright.sync_api import Browser

START = datetime(2026, 1, 1, 2, tzinfo=UTC)


def runs(count: int, *, hostile: bool = False) -> tuple[RunRecord, ...]:
    made = factory.hostile() if hostile else factory.binary()
    place = factory.LONG if hostile else "covid-cxr"
    first = record(replace(made, run={"epoch": START.isoformat()}), place)
    return tuple(replace(first, place=f"{place}/{i:012x}", epoch=START + timedelta(days=i)) for i in range(count))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    unread = (Unread(factory.HOSTILE[0], factory.HOSTILE[2]), Unread(factory.LONG, factory.LONG))
    wild = runs(3, hostile=True)
    found = History((Project(wild[0].name, wild), Project("covid-cxr", runs(40))), unread)
    path = tmp_path_factory.mktemp("history") / "history.html"
    path.write_bytes(render_history(build_history(found)))
    return path


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_it_fits_asks_for_nothing_and_nothing_runs(browser: Browser, page: Path, width: int) -> None:  # noqa: F811
    shown, heard = opened(browser, page, width)
    assert heard == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    for summary in shown.locator("summary").all()[:3]:
        summary.click()
    assert shown.evaluate("document.documentElement.scrollWidth") <= width


def test_points_stand_where_their_values_are(browser: Browser, page: Path) -> None:  # noqa: F811
    shown, _ = opened(browser, page)
    drawing = shown.locator("#project-2 svg.trend").first
    box = drawing.bounding_box()
    assert box is not None
    places = [mark.bounding_box() for mark in drawing.locator(".mark > path, .mark > circle:not(.waived)").all()]
    assert len(places) == 40
    middles = [place["x"] + place["width"] / 2 for place in places if place is not None]
    steps = [b - a for a, b in pairwise(middles)]
    assert max(steps) - min(steps) < 0.6, "at equal distances"
    assert box["x"] + 0.11 * box["width"] < middles[0] < middles[-1] < box["x"] + 0.97 * box["width"]


def test_runs_are_filtered_and_sorted(browser: Browser, page: Path) -> None:  # noqa: F811
    shown, _ = opened(browser, page)
    table = shown.locator("#project-2 .all table")
    first = table.locator("tbody tr").first.locator("th")
    assert first.inner_text() == "2026-02-09 02:00"
    table.locator("thead button").first.click()
    assert first.inner_text() == "2026-01-01 02:00"
