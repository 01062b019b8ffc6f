"""Each benchmark keeps its own section of BENCHMARKS.md."""

from __future__ import annotations

import importlib.util
import platform
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmarks_record", PROJECT / "benchmarks" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def test_a_section_is_replaced_and_others_stay(tmp_path: Path, module: ModuleType) -> None:
    path = tmp_path / "BENCHMARKS.md"
    module.record("a.py", "First", ("what", "ratio"), [["x", "1.00x"]], path=path)
    module.record("b.py", "Second", ("what", "ratio"), [["y", "2.00x"]], "A note.", path=path)
    before = path.read_text()
    module.record("a.py", "First", ("what", "ratio"), [[r"x\1", "3.00x"]], path=path)
    after = path.read_text()
    assert after == before.replace("| x | 1.00x |", r"| x\1 | 3.00x |")
    assert after.index("## First") < after.index("## Second")
    assert after.count("A note.") == 1


def test_conditions_name_versions_and_no_host(module: ModuleType) -> None:
    text = module.conditions()
    assert platform.python_version() in text
    assert "numpy" in text
    assert "cores" in text
    assert platform.node() not in text


def test_every_benchmark_records_its_section() -> None:
    scripts = sorted((PROJECT / "benchmarks").glob("bench_*.py"))
    assert scripts
    for script in scripts:
        assert f'"benchmarks/{script.name}"' in script.read_text(), f"{script.name} does not record what it measures"
