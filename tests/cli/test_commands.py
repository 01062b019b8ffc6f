"""The command line as users start it: usage, help, what is loaded, lists, init."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from imgid_audit import __version__
from imgid_audit.cli import app
from imgid_audit.config import load_config
from imgid_audit.core.progress import SILENT

COMMANDS = (
    "demo", "init", "check", "run", "train", "search", "predict", "evaluate", "compare", "report", "gate", "history",
    "diff", "list",
)  # fmt: skip
LATER = ("export", "verify")
HEAVY = (
    "torch", "torchvision", "torchmetrics", "pandas", "matplotlib", "sklearn", "scipy", "numpy", "pydantic", "yaml",
    "weasyprint", "jinja2", "fairlearn", "imblearn", "pyarrow", "rich",
)  # fmt: skip


def invoke(*args: object) -> Any:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def modules_of(*args: str) -> set[str]:
    """What is loaded when `imgid-audit` has done its work with these arguments."""
    code = (
        "import atexit, sys; atexit.register(lambda: print(*sys.modules, file=sys.stderr));"
        "from imgid_audit.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize("args", [("--help",), ("run", "--help"), ("--version",)])
def test_help_loads_nothing_heavy(args: tuple[str, ...]) -> None:
    loaded = modules_of(*args)
    assert "imgid_audit.cli.commands" in loaded
    assert not (loaded & set(HEAVY)) - {"pydantic"}, "typer itself loads pydantic for a command's parameters"
    assert not {
        name for name in loaded if name.startswith("imgid_audit.") and name.split(".")[1] not in {"cli", "core"}
    }


def test_help_names_every_command_and_exit_code() -> None:
    text = invoke("--help").stdout
    listed = {line.split()[0] for line in text.partition("Commands:")[2].splitlines() if line.startswith("  ") and line}
    assert set(COMMANDS) <= listed
    assert not set(LATER) & listed
    for code in ("0 done", "1 done", "2 bad usage", "3 stopped", "4 an internal error"):
        assert code in " ".join(text.split())


def test_no_summary_of_a_command_is_cut_off() -> None:
    listed = invoke("--help").stdout.partition("Commands:")[2]
    assert "..." not in listed
    assert "…" not in listed


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    done = invoke(command, "--help")
    assert done.exit_code == 0
    assert "Usage:" in done.stdout


@pytest.mark.parametrize(
    "args",
    [(command,) for command in LATER]
    + [
        ("run",),
        ("run", "a", "b"),
        ("run", "a", "--nonsense"),
        ("list", "models"),
        ("init",),
        ("gate",),
        ("frobnicate",),
    ],
)
def test_wrong_usage_exits_2(args: tuple[str, ...]) -> None:
    done = invoke(*args)
    assert done.exit_code == 2
    assert done.stdout == ""


def test_version() -> None:
    assert invoke("--version").stdout == f"imgid-audit {__version__}\n"


def test_lists_come_from_the_registries() -> None:
    from imgid_audit.checks import CHECKS
    from imgid_audit.export import FORMATS
    from imgid_audit.metrics import METRICS
    from imgid_audit.mitigations import MITIGATIONS
    from imgid_audit.report import SECTIONS

    registries = {
        "metrics": METRICS, "mitigations": MITIGATIONS, "checks": CHECKS, "sections": SECTIONS, "formats": FORMATS,
    }  # fmt: skip
    for kind, registry in registries.items():
        lines = [line for line in invoke("list", kind).stdout.splitlines() if not line.startswith(" ")]
        assert [line.split()[0] for line in lines] == list(registry.names)
        assert all(len(line.split()) > 1 for line in lines)
        told = json.loads(invoke("list", kind, "--json").stdout)
        assert [entry["name"] for entry in told] == list(registry.names)


def test_mitigations_say_where_they_act_what_they_need_and_how_they_are_set() -> None:
    from imgid_audit.mitigations import MITIGATIONS

    told = {entry["name"]: entry for entry in json.loads(invoke("list", "mitigations", "--json").stdout)}
    dro = told["group_dro"]
    assert (dro["acts_on"], dro["needs"]) == (["loss"], ["class labels", "group labels in training"])
    eta = next(one for one in dro["parameters"] if one["name"] == "eta")
    assert (eta["default"], eta["required"]) == (0.01, False)
    assert told["smote"]["scopes"] == ["head"]
    assert told["dfr"]["uses_adjust"]
    assert told["group_thresholds"]["excludes"] == ["cost_matrix"]
    assert told["augment"]["acts_on"] == ["augmentation"]
    assert told["imblearn"]["acts_on"] is None, "the sampler decides"
    assert [one["name"] for one in told["imblearn"]["parameters"] if one["required"]] == ["sampler"]
    for method in MITIGATIONS:
        entry = told[method.name]
        assert entry["source"] == method.source
        assert {one["name"] for one in entry["parameters"]} == {
            field.alias or name for name, field in method.Params.model_fields.items()
        }
    lines = invoke("list", "mitigations").stdout
    for said in ("acts on: loss; needs: class labels, group labels in training", "scope: head\n", "rows set aside",
                 "; not with cost_matrix", "gamma (2.0)", "sampler (required)", "source: Lin et al."):  # fmt: skip
        assert said in lines


@pytest.mark.skipif(os.name == "nt", reason="POSIX pipes")
def test_a_reader_that_leaves_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "imgid_audit.cli", "list", "metrics"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


def table(folder: Path, header: list[str], rows: list[list[str]]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "metadata.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def images(folder: Path, count: int) -> list[str]:
    from PIL import Image

    (folder / "images").mkdir(parents=True)
    names = [f"images/{index}.png" for index in range(count)]
    for name in names:
        Image.new("L", (8, 8)).save(folder / name)
    return names


HOSTILE = ["NO", "1.0", "2020-01-01", "a: b", "#x", "'", '"', "{}", "[x]", "a,b", "é\u2028", "null", "x\ny", "-", "@"]


def test_init_writes_what_check_accepts(tmp_path: Path) -> None:
    names = images(tmp_path, 60)
    labels = ["NO", "yes"]
    rows = [
        [name, labels[i % 2], f"p{i // 3}", HOSTILE[(i // 4) % 15], str(20 + i // 2)] for i, name in enumerate(names)
    ]
    path = table(tmp_path, ["image", "label", "patient_id", "device: #1", "age"], rows)
    done = invoke("init", tmp_path, "--manifest", path)
    assert done.exit_code == 0, done.stderr
    assert done.stdout == f"{tmp_path / 'audit.yaml'}\n"
    config = load_config(tmp_path / "audit.yaml")
    assert config.task.labels == ("NO", "yes")
    assert config.task.positive == "yes"
    assert config.data.subject == "patient_id"
    assert list(config.data.attributes) == ["device: #1", "age"]
    assert config.data.attributes["age"].bins is not None
    checked = invoke("check", tmp_path / "audit.yaml")
    assert checked.exit_code == 0, checked.stderr
    assert "20 subjects" in checked.stdout


def test_init_for_predictions_and_for_a_tree(tmp_path: Path) -> None:
    rows = [[str(i), "ab"[i % 2], "ab"[i % 3 % 2], "fm"[i // 2 % 2]] for i in range(40)]
    path = table(tmp_path / "p", ["id", "label", "predicted", "sex"], rows)
    assert invoke("init", tmp_path / "out", "--manifest", path).exit_code == 0
    assert load_config(tmp_path / "out" / "audit.yaml").predictions is not None
    assert invoke("check", tmp_path / "out" / "audit.yaml").exit_code == 0
    for index, name in enumerate(images(tmp_path / "flat", 30)):
        target = tmp_path / "tree" / "abc"[index % 3] / f"{index}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "flat" / name).rename(target)
    done = invoke("init", tmp_path / "out2", "--manifest", tmp_path / "tree")
    assert done.exit_code == 0, done.stderr
    assert load_config(tmp_path / "out2" / "audit.yaml").task.labels == ("a", "b", "c")
    assert invoke("check", tmp_path / "out2" / "audit.yaml").exit_code == 0


@pytest.mark.parametrize(
    ("levels", "split"),
    [
        (("train", "test"), "{column: split, val: 0.2, seed: 0}"),
        (("train", "val", "test"), "split\n"),
        (("test", "val"), "{val: 0.2, test: 0.4, seed: 0}"),
    ],
)
def test_init_takes_ready_splits_where_they_serve(levels: tuple[str, ...], split: str, tmp_path: Path) -> None:
    rows = [[name, "ab"[i % 2], levels[i % len(levels)]] for i, name in enumerate(images(tmp_path, 30))]
    path = table(tmp_path, ["image", "label", "split"], rows)
    assert invoke("init", tmp_path, "--manifest", path).exit_code == 0
    assert f"split: {split}" in (tmp_path / "audit.yaml").read_text(encoding="utf-8")
    assert invoke("check", tmp_path / "audit.yaml").exit_code == 0


def test_init_never_overwrites(tmp_path: Path) -> None:
    path = table(tmp_path, ["image", "label"], [[name, "ab"[i % 2]] for i, name in enumerate(images(tmp_path, 9))])
    (tmp_path / "audit.yaml").write_text("mine")
    done = invoke("init", tmp_path, "--manifest", path)
    assert done.exit_code == 2
    assert "is there already" in done.stderr
    assert (tmp_path / "audit.yaml").read_text() == "mine"


def test_init_says_what_it_cannot_find(tmp_path: Path) -> None:
    path = table(tmp_path, ["a", "b"], [["1", "2"], ["3", "4"]])
    done = invoke("init", tmp_path, "--manifest", path)
    assert done.exit_code == 2
    assert "no column that looks like a label" in done.stderr
    assert "no column that looks like image paths" in done.stderr
    assert "columns are a, b" in done.stderr
    assert invoke("init", tmp_path, "--manifest", tmp_path / "none.csv").exit_code == 2
    assert not (tmp_path / "audit.yaml").exists()


def test_the_silent_listener_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    SILENT.step("a")
    SILENT.update(1, 2, "b")
    assert capsys.readouterr() == ("", "")
