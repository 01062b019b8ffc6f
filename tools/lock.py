"""Refresh constraints.txt: resolve the package with all its extras and pin what comes out.

Run by ``make lock``. Nothing is installed. Packages that torch itself pins for one platform
(its CUDA libraries and compiler) are left to torch, so that one file serves every system.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PLATFORM_BOUND = re.compile(r"^(nvidia|cuda|triton)")
HEADER = """\
# What the tests and the demo were run with. Refreshed by `make lock`; do not edit by hand.
# torch's platform libraries are pinned by torch itself.
"""


def resolve() -> dict[str, str]:
    """Name to version of everything that the package and its extras need."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        subprocess.run([*command, "--report", str(report), f"{ROOT}[test,timm]"], check=True)
        chosen = json.loads(report.read_text())["install"]
    return {item["metadata"]["name"].lower().replace("_", "-"): item["metadata"]["version"] for item in chosen}


def main() -> None:
    pins = [
        f"{name}=={version.split('+')[0]}"
        for name, version in sorted(resolve().items())
        if name != "imgid-audit" and not PLATFORM_BOUND.match(name)
    ]
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(pins) + "\n")
    print(f"constraints.txt: {len(pins)} packages")


if __name__ == "__main__":
    main()
