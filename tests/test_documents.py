"""What the documents show works: configs validate, commands exist, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import imgid_audit as ia
from imgid_audit.core.errors import InputError

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")]
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL)


def test_the_readme_config_is_valid_and_its_predictions_block_fits_in():
    full, training, remedies, brought = (yaml.safe_load(block) for block in blocks("yaml"))
    assert ia.load_config(full).policy.rules
    assert ia.load_config({**full, **training}).train.search is not None
    assert ia.load_config({**full, **remedies}).mitigations is not None
    without = {key: value for key, value in full.items() if key not in ("model", "operating_point")}
    assert ia.load_config({**without, **brought}).predictions is not None


def test_the_config_of_the_training_document_is_valid():
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    shared = {"task": {"type": "multiclass"}, "data": {"manifest": "m.csv", "image": "image", "label": "label"}}
    attributes = {"split": {"val": 0.2, "test": 0.4}, "attributes": {"sex": {}}}
    config = {"name": "x", **shared, "data": {**shared["data"], **attributes}, "model": {"architecture": "resnet18"}}
    train = ia.load_config({**config, **yaml.safe_load(block)}).train
    assert None not in (train.search, train.ladder, train.data_ladder, train.augment_effect, train.fine_tune)


def test_the_readme_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (block,) = blocks("python")
    rows = [f"r{i},{'yes' if i % 3 else 'no'},{'yes' if i % 2 else 'no'},{'ab'[i % 4 < 2]}" for i in range(80)]
    (tmp_path / "predictions.csv").write_text("id,label,predicted,race\n" + "\n".join(rows) + "\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "audit-folder" / "report.pdf").exists()


def test_every_command_that_the_readme_names_exists():
    help_text = subprocess.run(
        [sys.executable, "-m", "imgid_audit.cli", "--help"], capture_output=True, text=True, check=True
    ).stdout
    named = set(re.findall(r"imgid-audit ([a-z]+)", "\n".join(blocks("sh"))))
    assert {"init", "check", "run"} <= named
    assert all(re.search(rf"^\s+{command}\s", help_text, flags=re.MULTILINE) for command in named)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_to_files(document: Path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", document.read_text(encoding="utf-8"))
    assert all((document.parent / link).exists() for link in links), links


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_example_configs_are_valid_and_explained(path: Path):
    try:
        ia.load_config(path)
    except InputError as error:
        pytest.fail(str(error))
    assert (path.parent / "README.md").read_text(encoding="utf-8").startswith("# ")


def test_there_are_the_four_examples():
    assert sorted({path.parent.name for path in EXAMPLES}) == [
        "covid_cxr",
        "digits_devices",
        "predictions_only",
        "qmnist_writers",
    ]
