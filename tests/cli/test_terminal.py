"""Progress: bars on a terminal alone."""

from __future__ import annotations

import io

import pytest

from imgid_audit.cli.terminal import progress


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
