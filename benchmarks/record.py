"""One table a benchmark in BENCHMARKS.md, with the machine, the versions and the date it was measured on.

A benchmark replaces its own section and leaves the others as they are.
"""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

PATH = Path(__file__).resolve().parent.parent / "BENCHMARKS.md"
LIBRARIES = ("numpy", "scipy", "pyarrow", "pandas")
HEADER = """# Benchmarks

Written by `make bench`: each section by the script that it names, on the machine that it names. Seconds
depend on the machine; ratios are of things measured side by side in one run, so these are what to compare.
"""


def record(
    script: str, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], note: str = "", path: Path = PATH
) -> None:
    """Replace the section of `script` with a table of `rows`, each as long as `columns`; a new one goes last."""
    lines = [f"## {title}", "", f"`{script}`, {conditions()}.", ""]
    lines += ["| " + " | ".join(cells) + " |" for cells in (columns, ["---"] * len(columns), *rows)]
    lines += ["", note] if note else []
    section = "\n".join([f"<!-- {script} -->", *lines, f"<!-- end {script} -->"])
    text = path.read_text(encoding="utf-8") if path.exists() else HEADER
    own = re.compile(rf"<!-- {re.escape(script)} -->.*?<!-- end {re.escape(script)} -->", re.DOTALL)
    text = own.sub(lambda _: section, text) if own.search(text) else f"{text.rstrip()}\n\n{section}\n"
    path.write_text(text, encoding="utf-8")


def conditions() -> str:
    """Date, processor, cores, memory and versions; nothing that names the machine."""
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{today}, {_processor()}, {os.cpu_count()} cores, {_memory()}, Python {platform.python_version()}, {versions}"
    )


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()


def _memory() -> str:
    try:
        size = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return "memory unknown"
    return f"{size / 2**30:.0f} GiB"


def verdict(met: bool) -> str:
    """What the last column of a table says."""
    return "yes" if met else "**no**"
