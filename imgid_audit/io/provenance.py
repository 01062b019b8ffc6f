"""With what an audit was made: versions, platform, and a hash of our own code."""

from __future__ import annotations

import hashlib
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = (
    "fairlearn",
    "imbalanced-learn",
    "imgid-audit",
    "jinja2",
    "numpy",
    "optuna",
    "pandas",
    "pillow",
    "pyarrow",
    "pydantic",
    "pyyaml",
    "rich",
    "safetensors",
    "scikit-learn",
    "scipy",
    "sqlalchemy",
    "timm",
    "torch",
    "torchmetrics",
    "torchvision",
    "typer",
    "weasyprint",
)


def provenance() -> dict[str, Any]:
    """Plain JSON values: ``versions`` by package name, ``platform``, and ``hashes`` with that of the code.

    Versions come from the installed metadata: nothing is imported. A package that is absent is left out.
    """
    return {
        "versions": {"python": platform.python_version(), **_versions()},
        "platform": {"system": platform.system(), "machine": platform.machine()},
        "hashes": {"code": code_hash()},
    }


@cache
def code_hash() -> str:
    """sha256 over the names and bytes of this package's Python files."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(package.rglob("*.py"), key=lambda path: path.relative_to(package).as_posix()):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(package).as_posix()} {content}\n".encode())
    return digest.hexdigest()


def git_commit(folder: Path) -> str | None:
    """The commit that is checked out around `folder`, read from ``.git``; None where there is none.

    It does not say whether files have been changed since.
    """
    for parent in (folder.absolute(), *folder.absolute().parents):
        marker = parent / ".git"
        if marker.exists():
            return _head_of(marker)
    return None


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _head_of(marker: Path) -> str | None:
    """Follows a worktree's pointer file, HEAD, and a loose or packed reference."""
    try:
        git = marker
        if marker.is_file():
            git = marker.parent / marker.read_text(encoding="utf-8").removeprefix("gitdir:").strip()
        head = (git / "HEAD").read_text(encoding="utf-8").strip()
        if not head.startswith("ref:"):
            return head
        name = head.removeprefix("ref:").strip()
        shared = git / "commondir"
        common = git / shared.read_text(encoding="utf-8").strip() if shared.is_file() else git
        for base in (git, common):
            if (base / name).is_file():
                return (base / name).read_text(encoding="utf-8").strip()
        packed = (common / "packed-refs").read_text(encoding="utf-8").splitlines()
        return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)
    except (OSError, UnicodeDecodeError):
        return None
