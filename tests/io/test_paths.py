"""Paths of a table never lead out of the data root."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgid_audit.io.paths import OutsideError, resolve_inside


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.png").touch()
    (tmp_path / "secret.png").touch()
    (tmp_path / "root-beside").mkdir()
    return folder


@pytest.mark.parametrize("text", ["a.png", "sub/../a.png", "./a.png", "sub/not there.png", "ünï ⁂.png"])
def test_inside(root: Path, text: str) -> None:
    assert resolve_inside(root, text) == (root / text).resolve()


def test_absolute_path_below_the_root_is_inside(root: Path) -> None:
    assert resolve_inside(root, str(root / "a.png")) == root.resolve() / "a.png"


@pytest.mark.parametrize("text", ["../secret.png", "sub/../../secret.png", "/etc/passwd", "../root-beside/x.png"])
def test_escape_is_refused(root: Path, text: str) -> None:
    with pytest.raises(OutsideError, match="leads outside the data root"):
        resolve_inside(root, text)


def test_symbolic_link_out_is_refused_and_link_inside_followed(root: Path) -> None:
    (root / "out.png").symlink_to(root.parent / "secret.png")
    (root / "folder").symlink_to(root.parent)
    (root / "in.png").symlink_to(root / "a.png")
    for text in ("out.png", "folder/secret.png"):
        with pytest.raises(OutsideError, match="leads outside"):
            resolve_inside(root, text)
    assert resolve_inside(root, "in.png") == (root / "a.png").resolve()


def test_root_may_itself_be_a_link(root: Path) -> None:
    (root.parent / "alias").symlink_to(root)
    assert resolve_inside(root.parent / "alias", "a.png") == (root / "a.png").resolve()


@pytest.mark.parametrize(("text", "reason"), [("", "empty"), ("  ", "empty"), ("a\0.png", "NUL"), ("loop", "loop")])
def test_malformed(root: Path, text: str, reason: str) -> None:
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(OutsideError, match=reason):
        resolve_inside(root, text)
