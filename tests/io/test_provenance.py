"""Provenance says what was installed without importing it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from imgid_audit.io.provenance import PACKAGES, git_commit, provenance

ROOT = Path(__file__).parents[2]


def test_versions_and_hash() -> None:
    facts = provenance()
    assert facts["versions"]["numpy"] == version("numpy")
    assert facts["versions"]["python"] == sys.version.split()[0]
    assert re.fullmatch("[0-9a-f]{64}", facts["hashes"]["code"])
    assert facts == provenance()
    json.dumps(facts)


def test_every_dependency_is_listed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.match(r"[\w-]+", line).group() for line in project["dependencies"]}  # type: ignore[union-attr]
    assert wanted <= set(PACKAGES)
    assert list(PACKAGES) == sorted(PACKAGES)


def test_nothing_is_imported() -> None:
    script = (
        "import sys; from imgid_audit.io.provenance import provenance; provenance()\n"
        "assert not {'torch', 'pandas', 'scipy', 'matplotlib', 'pyarrow'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_code_hash_follows_the_code(tmp_path: Path) -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from imgid_audit.io.provenance import code_hash; print(code_hash())"
    )

    def hash_of(change: str) -> str:
        package = tmp_path / "imgid_audit"
        for path in (ROOT / "imgid_audit").rglob("*.py"):
            copy = package / path.relative_to(ROOT / "imgid_audit")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        (package / "core" / "task.py").open("a").write(change)
        run = [sys.executable, "-P", "-c", script, str(tmp_path)]
        return subprocess.run(run, check=True, capture_output=True, text=True).stdout.strip()

    assert hash_of("") != hash_of("# changed\n")


class TestGitCommit:
    HEAD = "0123456789abcdef0123456789abcdef01234567"

    @pytest.fixture
    def git(self, tmp_path: Path) -> Path:
        folder = tmp_path / "repo" / ".git"
        (folder / "refs" / "heads").mkdir(parents=True)
        (tmp_path / "repo" / "configs").mkdir()
        (folder / "HEAD").write_text("ref: refs/heads/main\n")
        return folder

    def test_loose(self, git: Path) -> None:
        (git / "refs" / "heads" / "main").write_text(self.HEAD + "\n")
        assert git_commit(git.parent / "configs") == self.HEAD

    def test_packed(self, git: Path) -> None:
        (git / "packed-refs").write_text(
            f"# pack-refs\n{'f' * 40} refs/heads/other-main\n{self.HEAD} refs/heads/main\n"
        )
        assert git_commit(git.parent) == self.HEAD

    def test_detached(self, git: Path) -> None:
        (git / "HEAD").write_text(self.HEAD + "\n")
        assert git_commit(git.parent) == self.HEAD

    def test_worktree(self, git: Path, tmp_path: Path) -> None:
        (git / "refs" / "heads" / "topic").write_text(self.HEAD)
        own = git / "worktrees" / "w"
        own.mkdir(parents=True)
        (own / "HEAD").write_text("ref: refs/heads/topic")
        (own / "commondir").write_text("../..\n")
        (tmp_path / "w").mkdir()
        (tmp_path / "w" / ".git").write_text(f"gitdir: {own}\n")
        assert git_commit(tmp_path / "w") == self.HEAD

    def test_none(self, git: Path) -> None:
        assert git_commit(git.parent) is None, "a branch without a commit"
