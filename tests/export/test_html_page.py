"""The page: safe with any text, whole without a network, readable by people and by machines."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from imgid_audit.core.result import AuditResult
from imgid_audit.export import templates
from imgid_audit.export.html_page import render_html
from imgid_audit.export.templates import breakable, content_security_policy, environment, template_folder, visible
from imgid_audit.report import WorstImage, WorstImages, build
from tests.report import comparison_factory, factory, fit_factory

VOID = {"meta", "link", "img", "br", "hr", "input"}
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


class Page(HTMLParser):
    """Tags with their attributes, the text of each, and whether every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.text: list[tuple[str, str]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {key: value or "" for key, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append((self.open[-1] if self.open else "", data))

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def words(self) -> str:
        return "".join(data for where, data in self.text if where not in ("style", "script"))


@cache
def rendered(kind: str) -> str:
    results = {
        "audit": factory.audit, "hostile": factory.hostile, "binary": factory.binary, "large": factory.large,
        "compared": comparison_factory.compared, "hostile_compared": comparison_factory.hostile,
        "trained": fit_factory.trained, "hostile_trained": fit_factory.hostile,
    }  # fmt: skip
    return page(results[kind]())


def page(result: AuditResult, images: WorstImages | None = None) -> str:
    return render_html(build(result, epoch=factory.EPOCH, images=images)).decode()


@pytest.mark.parametrize(
    "kind", ["audit", "hostile", "binary", "large", "compared", "hostile_compared", "trained", "hostile_trained"]
)
def test_the_page_is_well_formed_and_asks_for_nothing(kind: str) -> None:
    text = rendered(kind)
    found = Page(text)
    assert found.open == []
    assert text.startswith("<!DOCTYPE html>")
    tags = {tag for tag, _ in found.tags}
    assert not tags & {"iframe", "object", "embed", "form", "base", "audio", "video", "source", "foreignobject", "use"}
    for tag, attributes in found.tags:
        for key, value in attributes.items():
            assert not key.startswith("on"), (tag, key)
            assert key not in ("style", "srcset", "xlink:href", "action", "formaction", "ping"), (tag, key)
            if key in ("href", "src"):
                assert value.startswith(("#", "data:image/png;base64,")) or value == "data:,", (tag, value)
    (style,) = re.findall(r"<style>(.*?)</style>", text, re.DOTALL)
    assert "@import" not in style
    assert "url(" not in style


@pytest.mark.parametrize("kind", ["audit", "hostile", "hostile_compared", "trained", "hostile_trained"])
def test_the_policy_allows_the_pages_own_style_and_script_and_no_other(kind: str) -> None:
    text = rendered(kind)
    (policy,) = [m["content"] for m in Page(text).all("meta") if m.get("http-equiv") == "Content-Security-Policy"]
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    assert directives["base-uri"] == directives["form-action"] == "'none'"
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        (content,) = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert directives[directive] == f"'sha256-{digest}'"
    assert "unsafe" not in policy
    assert text.index("Content-Security-Policy") < text.index("<style>")


@pytest.mark.parametrize("kind", ["hostile", "hostile_compared", "hostile_trained"])
def test_hostile_texts_are_shown_and_never_run(kind: str) -> None:
    text = rendered(kind)
    assert text.count("<script") == 1
    assert "<img" not in text
    words = Page(text).words()
    for hostile in factory.HOSTILE:
        assert str(visible(hostile)) in words, hostile
    assert "{{ 7 * 7 }}" in words
    assert "\u202e" not in text


def test_unseen_controls_are_spelt_out() -> None:
    assert visible("M\u202eolleh") == "M[U+202E]olleh"
    assert visible("a\x00b\ud800") == "a[U+0000]b[U+D800]"
    assert visible("two\nlines\tand 👩‍🔬") == "two\nlines\tand 👩‍🔬"
    assert visible(3) == 3


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nobody.set_this }}").render()
    with pytest.raises(UndefinedError):
        environment().get_template("sections/data.html.j2").render(payload=object())


def test_every_template_escapes_and_none_is_told_not_to() -> None:
    assert environment().autoescape is True
    for path in template_folder().rglob("*.j2"):
        source = path.read_text(encoding="utf-8")
        assert not re.search(r"\|\s*safe|autoescape|Markup", source), path


@pytest.mark.parametrize("kind", ["audit", "binary", "compared"])
def test_tables_have_captions_scopes_and_rows_of_one_width(kind: str) -> None:
    text = rendered(kind)
    tables = re.findall(r"<table.*?</table>", text, re.DOTALL)
    assert len(tables) > 20
    for table in tables:
        found = Page(table)
        assert len(found.all("caption")) == 1
        assert all(head.get("scope") in ("col", "row") for head in found.all("th"))
        widths = {len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)}
        assert len(widths) == 1


@pytest.mark.parametrize("kind", ["audit", "compared"])
def test_landmarks_headings_and_the_skip_link(kind: str) -> None:
    text = rendered(kind)
    found = Page(text)
    for tag in ("header", "nav", "main", "footer", "h1"):
        assert len(found.all(tag)) == 1, tag
    assert found.all("html") == [{"lang": "en", "class": "screen"}]
    ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    for link in found.all("a"):
        assert link["href"].removeprefix("#") in ids
    levels = [int(tag[1]) for tag, _ in found.tags if re.fullmatch(r"h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert found.all("a")[0]["class"] == "skip"


@pytest.mark.parametrize("kind", ["audit", "compared"])
def test_every_drawing_has_words_or_is_hidden_from_readers(kind: str) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", rendered(kind), re.DOTALL):
        assert 'aria-hidden="true"' in drawing or ('role="img"' in drawing and "<title>" in drawing)
        assert "nan" not in drawing.lower()


def test_pictures_are_carried_as_data() -> None:
    images = WorstImages((WorstImage(PIXEL, "<b>", '"onerror=', 0.98, {"device": "<i>"}),), 9)
    text = page(factory.audit(), images)
    (image,) = Page(text).all("img")
    assert base64.b64decode(image["src"].split(",")[1]) == PIXEL
    assert image["alt"] == 'Image with label <b>, taken for "onerror='


def test_the_same_report_gives_the_same_bytes() -> None:
    assert page(factory.audit()) == page(factory.audit())


def test_a_lone_surrogate_does_not_stop_the_page() -> None:
    result = factory.audit(factory.Plan(name="bad \ud800 name"))
    assert "bad [U+D800] name" in page(result)


def test_a_large_audit_stays_small() -> None:
    assert len(rendered("large")) < 2_000_000


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """WCAG 2.2, contrast ratio."""
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_a_contrast_of_4_5_in_both_schemes(scheme: str) -> None:
    sheet = (template_folder() / "report.css").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", sheet, re.DOTALL)
    colours = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", blocks[0 if scheme == "light" else 1]))
    for ground in ("paper", "wash"):
        for ink in ("ink", "muted", "accent"):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for status in ("good", "bad", "open", "off"):
        for ink in (status, "ink"):
            assert contrast(colours[ink], colours[f"{status}-wash"]) >= 4.5, (ink, status)
    for mark in ("accent", "count", "ref"):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


def test_heat_cells_have_a_contrast_of_4_5() -> None:
    sheet = (template_folder() / "report.css").read_text(encoding="utf-8")
    steps = re.findall(r"\.h\d \{ background: (#[0-9a-f]{6}); color: (#[0-9a-f]{6}); \}", sheet)
    assert len(steps) == 9
    assert all(contrast(ground, ink) >= 4.5 for ground, ink in steps)
    shades = [luminance(ground) for ground, _ in steps]
    assert shades == sorted(shades, reverse=True)


def test_the_policy_is_one_line_of_known_directives() -> None:
    assert re.fullmatch(r"[a-z\-' 0-9A-Z+/=:;]+", content_security_policy())


def test_templates_are_the_packages_own_where_it_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel carries them inside the package; an editable install reads the checkout's."""
    package = tmp_path / "imgid_audit"
    package.mkdir()
    monkeypatch.setattr(templates, "PACKAGE", package)
    assert template_folder() == tmp_path / "templates"
    (package / "templates").mkdir()
    assert template_folder() == package / "templates"


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("fine_tune.backbone_lr 0.3", ["fine_", "tune.", "backbone_", "lr 0.3"]),
        ("fine_tune.epochs", ["fine_tune.epochs"]),
        ("ab" * 12, ["ab" * 5, "ab" * 5, "ab" * 2]),
        ("runs/" + "cd" * 15, ["runs/", "cd" * 5, "cd" * 5, "cd" * 5]),
        ("<b>.verylongword.again", ["&lt;b&gt;.", "verylongword.", "again"]),
        ("", [""]),
    ],
)
def test_long_words_break_behind_what_joins_their_parts(text: str, pieces: list[str]) -> None:
    assert str(breakable(text)).split("<wbr>") == pieces
