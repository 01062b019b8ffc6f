"""Every registered plugin says what it is, and the command line lists it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from imgid_audit.checks import CHECKS
from imgid_audit.core.errors import InputError
from imgid_audit.core.registry import Registry
from imgid_audit.export import FORMATS
from imgid_audit.metrics import METRICS
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.report import SECTIONS

REGISTRIES = {
    "metrics": METRICS,
    "mitigations": MITIGATIONS,
    "checks": CHECKS,
    "sections": SECTIONS,
    "formats": FORMATS,
}
HEAVY = ("torch", "torchvision", "torchmetrics", "sklearn", "imblearn", "fairlearn", "matplotlib", "weasyprint")
TEMPLATES = Path(__file__).parents[2] / "templates"


@pytest.mark.parametrize("name", REGISTRIES)
def test_plugins_have_names_and_one_line_summaries(name: str):
    assert len(REGISTRIES[name]) > 0
    for plugin in REGISTRIES[name]:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", plugin.name)
        assert plugin.summary
        assert "\n" not in plugin.summary


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_command_line_lists_them(name: str):
    done = subprocess.run(
        [sys.executable, "-m", "imgid_audit.cli", "list", name], capture_output=True, text=True, check=True
    )
    for plugin in REGISTRIES[name]:
        assert plugin.name in done.stdout


@pytest.mark.parametrize("name", REGISTRIES)
def test_a_misspelt_name_is_answered_with_the_nearest(name: str):
    registry = REGISTRIES[name]
    right = next(iter(registry)).name
    with pytest.raises(InputError, match=re.escape(repr(right))):
        registry[right + "x"]


def test_a_name_is_registered_once():
    class Plugin:
        name, summary = "p", "s"

    registry: Registry[Plugin] = Registry("plugin", (Plugin(),))
    with pytest.raises(ValueError, match="twice"):
        registry.register(Plugin())


def test_every_section_has_a_template_and_no_template_is_orphaned():
    have = {path.name for path in (TEMPLATES / "sections").glob("*.html.j2")}
    assert {Path(section.template).name for section in SECTIONS} == have


@pytest.mark.parametrize("package", ["metrics", "mitigations", "checks", "report", "export", "config"])
def test_a_package_is_imported_without_its_heavy_libraries(package: str):
    script = f"import sys, imgid_audit.{package}\nfound = set({HEAVY}) & set(sys.modules)\nassert not found, found\n"
    subprocess.run([sys.executable, "-c", script], check=True)
