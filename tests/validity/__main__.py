"""`make validity`: the whole simulation study, written as docs/validity.md."""

from __future__ import annotations

import platform
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

TARGET = Path(__file__).parents[2] / "docs" / "validity.md"
STUDIES = (
    ("coverage", "Coverage of rates and of their differences"),
    ("errors", "Error rates of rules, with the truth exactly at the tolerance"),
    ("power", "Power, and how many more subjects"),
    ("composites", "Coverage of AUROC, balanced accuracy and macro means"),
    ("scores", "Score metrics at low prevalence: coverage and rules at their tolerance"),
    ("calibration", "Coverage of the calibration error"),
    ("paired", "Changes between two runs"),
    ("mitigations", "Comparisons of mitigations"),
    ("fit", "Over- and underfitting, planted"),
)
INTRODUCTION = """# What the verdicts are worth

The simulation study behind the intervals and the verdicts. Made by `make validity`, which runs
`tests/validity/`; the cells were fixed before the study was run, every number below is the product's
own code on simulated data, and a short version of it is part of `make test`. Nominal level: 95 %.
Shares have the Monte-Carlo standard error that stands beside them, or that of a share of so many draws.
"""


def study(name: str) -> str:
    """What one study prints."""
    command = [sys.executable, "-W", "ignore", "-m", f"tests.validity.{name}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def page(found: Sequence[str]) -> str:
    """The page of the studies' outputs, in the order of `STUDIES`."""
    parts = [INTRODUCTION]
    for (name, title), text in zip(STUDIES, found, strict=True):
        parts.append(f"## {title}\n\n`python -m tests.validity.{name}`\n\n{text}\n")
    versions = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    parts.append(f"Python {platform.python_version()}, {versions}.\n")
    return "\n".join(parts)


def main() -> None:
    """Run the studies, two at a time, and write the page."""
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(study, [name for name, _ in STUDIES]))
    TARGET.write_text(page(found), encoding="utf-8")
    print(TARGET)


if __name__ == "__main__":
    main()
