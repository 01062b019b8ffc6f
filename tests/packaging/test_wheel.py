"""The wheel, built and installed apart from the checkout, renders a report with its own templates."""

from __future__ import annotations

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from tests.tiny import predictions_config, predictions_table

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_templates_and_schema_and_no_tests(wheel: Path):
    names = zipfile.ZipFile(wheel).namelist()
    templates = {
        f"imgid_audit/templates/{p.relative_to(ROOT / 'templates')}" for p in (ROOT / "templates").rglob("*.*")
    }
    assert templates <= set(names)
    assert "imgid_audit/export/audit.schema.json" in names
    assert not [name for name in names if name.startswith(("tests/", "examples/", "benchmarks/"))]


def test_installed_apart_from_the_checkout_it_renders_a_report(wheel: Path, tmp_path: Path):
    # The environment borrows the heavy dependencies, but not the package, from this one.
    home = tmp_path / "venv"
    venv.create(home, with_pip=False)
    (site,) = home.glob("lib/python*/site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    borrowed = [path for path in sys.path if path.endswith("site-packages")]
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    work = tmp_path / "work"
    work.mkdir()
    predictions_table(work)
    import yaml

    (work / "audit.yaml").write_text(yaml.safe_dump(predictions_config(report={"formats": ["html", "pdf", "json"]})))
    script = (
        "import imgid_audit, sys; from pathlib import Path\n"
        "assert Path(imgid_audit.__file__).is_relative_to(sys.prefix), imgid_audit.__file__\n"
        "sys.argv = ['imgid-audit', 'run', 'audit.yaml', '--out', 'run']\n"
        "from imgid_audit.cli import main; main()\n"
    )
    done = subprocess.run(
        [home / "bin" / "python", "-c", script], cwd=work, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert (work / "run" / "report.pdf").read_bytes().startswith(b"%PDF")
    assert "verdict" in (work / "run" / "report.html").read_text().lower()
