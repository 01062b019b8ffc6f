"""Progress: bars on a terminal alone."""

from __future__ import annotations

import io

import pytest

from imgid_audit.cli.terminal import needed_text, progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def work(quiet: bool) -> None:
    with progress(quiet) as listener:
        listener.step("train")
        listener.update(1, 4, "loss [0.5]")
        listener.step("predict")
        listener.update(4, 4)


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    work(quiet=False)
    text = terminal.getvalue()
    assert "\x1b[" in text
    assert "train: done" in text
    assert "predict: done" in text


def test_lines_elsewhere(capsys: pytest.CaptureFixture[str]) -> None:
    work(quiet=False)
    assert capsys.readouterr() == ("", "train\npredict\n")


def test_nothing_when_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    work(quiet=True)
    assert terminal.getvalue() == ""


def test_what_is_needed_is_told_with_its_unit() -> None:
    assert needed_text({"F": 40, "M": 1}, {"F": (25, 90)}, "subject") == (
        "to settle it: 40 (25 to 90) more subjects of F, 1 more subject of M"
    )
    assert needed_text({"F": 7}, {"F": (7, None)}, "image") == "to settle it: 7 (7 or more) more images of F"
