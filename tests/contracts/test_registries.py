"""Every registered plugin says what it is, and the command line lists it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from imgid_audit.checks import CHECKS
from imgid_audit.core.errors import InputError
from imgid_audit.core.registry import Registry
from imgid_audit.export import FORMATS
from imgid_audit.metrics import METRICS
from imgid_audit.mitigations import MITIGATIONS
from imgid_audit.mitigations.base import Mitigation, Need, Place, Scope
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


PARAMS = {"imblearn": {"sampler": "NearMiss"}, "augment": {"hflip": 0.5}}
"""Parameters of methods that have none by default."""


@pytest.mark.parametrize("method", MITIGATIONS, ids=lambda method: method.name)
def test_a_mitigation_declares_what_it_is(method: Mitigation):
    params = method.Params.model_validate(PARAMS.get(method.name, {}))
    assert method.source
    assert set(method.acts_on(params)) <= set(get_args(Place))
    assert method.acts_on(params) or method.name == "baseline"
    assert method.needs(params)
    assert method.needs(params) <= set(get_args(Need))
    assert isinstance(method.shifts_prior(params), bool)
    assert method.scopes
    assert set(method.scopes) <= set(get_args(Scope))
    assert set(method.excludes) <= set(MITIGATIONS.names)
    warning = method.warning(params) if callable(method.warning) else method.warning
    assert "\n" not in warning


@pytest.mark.parametrize("method", MITIGATIONS, ids=lambda method: method.name)
def test_what_tuning_tries_is_allowed(method: Mitigation):
    given = PARAMS.get(method.name, {})
    for name, values in method.space.items():
        assert len(set(map(repr, values))) > 1, "one value is no choice"
        for value in values:
            params = method.Params.model_validate({**given, name: value})
            assert getattr(params, name) == value


@pytest.mark.parametrize("method", MITIGATIONS, ids=lambda method: method.name)
def test_every_parameter_of_a_mitigation_has_a_default_or_is_described(method: Mitigation):
    for name, field in method.Params.model_fields.items():
        assert field.description or not field.is_required(), name


def test_every_section_has_a_template_and_no_template_is_orphaned():
    have = {path.name for path in (TEMPLATES / "sections").glob("*.html.j2")}
    assert {Path(section.template).name for section in SECTIONS} == have


@pytest.mark.parametrize("package", ["metrics", "mitigations", "checks", "report", "export", "config"])
def test_a_package_is_imported_without_its_heavy_libraries(package: str):
    script = f"import sys, imgid_audit.{package}\nfound = set({HEAVY}) & set(sys.modules)\nassert not found, found\n"
    subprocess.run([sys.executable, "-c", script], check=True)
