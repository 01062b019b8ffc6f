"""A marked bird in every subject's id: it may fly in no file that is published, and in no log."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from imgid_audit import pipeline
from imgid_audit.config import load_config
from tests.pipeline.test_privacy import texts_of
from tests.tiny import predictions_config, predictions_table, tiny_config, write_tiny

CANARY = "QzxCanary"
FORMATS = ["html", "pdf", "json", "csv", "junit"]


def marked(table: Path, column: int) -> list[str]:
    """Put the bird into a column of a CSV; its rows."""
    header, *rows = table.read_text().splitlines()
    cells = [row.split(",") for row in rows]
    lines = [",".join([*row[:column], CANARY + row[column], *row[column + 1 :]]) for row in cells]
    table.write_text("\n".join([header, *lines]) + "\n")
    return lines


def cli(folder: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and all that was printed, to either stream."""
    done = subprocess.run(
        [sys.executable, "-m", "imgid_audit.cli", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def holds(text: str) -> bool:
    """Also where a PDF or a page breaks or spells it otherwise."""
    plain = re.sub(r"[\s\x00]+", "", text).lower()
    return CANARY.lower() in plain or CANARY.encode("utf-16-be").hex() in plain


def published_places(folder: Path) -> list[str]:
    """Names of published files, and of the config and provenance beside them, that hold the bird."""
    found = [name for name, text in texts_of(folder) if holds(text)]
    return found + [n for n in ("config.yaml", "provenance.json", "audit.json") if holds((folder / n).read_text())]


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("canary")
    marked(predictions_table(folder), 2)
    write_config(folder)
    return folder


def write_config(folder: Path, name: str = "audit.yaml", **changes: Any) -> Path:
    values = predictions_config(**{"report": {"formats": FORMATS}, **changes})
    (folder / name).write_text(yaml.safe_dump(values))
    return folder / name


def test_the_bird_is_found_where_it_is(brought: Path):
    assert holds((brought / "predictions.csv").read_text())
    assert holds("Qzx\nCan ary")


@pytest.mark.slow
def test_brought_predictions(brought: Path):
    for command in (
        ["check", "audit.yaml"],
        ["run", "audit.yaml", "--out", "run"],
        ["report", "audit.yaml", "--out", "run", "--json"],
        ["gate", "run", "--json", "--junit", "gate.xml"],
    ):
        code, printed = cli(brought, *command)
        assert code in (0, 1), printed
        assert not holds(printed), command
    assert published_places(brought / "run") == []
    assert not holds((brought / "gate.xml").read_text())
    assert holds_in_parquet(brought / "run" / "manifest.parquet"), "the private rows keep it"


def holds_in_parquet(path: Path) -> bool:
    import pandas as pd

    return bool(pd.read_parquet(path).astype(str).apply(lambda column: column.str.contains(CANARY)).any(axis=None))


@pytest.mark.slow
def test_a_model_that_trains_and_images_that_fail(tmp_path: Path):
    manifest = write_tiny(tmp_path, rows=80)
    header = manifest.read_text().splitlines()[0].split(",")
    marked(manifest, header.index("patient"))
    for name in ("003.png", "011.png"):
        (tmp_path / "images" / name).write_bytes(b"no image")
    config = tiny_config(
        report={"formats": FORMATS, "worst_images": 2}, predict={"device": "cpu", "max_failed": 0.5}, notes=["tiny"]
    )
    (tmp_path / "audit.yaml").write_text(yaml.safe_dump(config))
    code, printed = cli(tmp_path, "run", "audit.yaml", "--out", "run")
    assert code in (0, 1), printed
    assert not holds(printed)
    assert published_places(tmp_path / "run") == []
    strict = tiny_config(predict={"device": "cpu", "max_failed": 0.001})
    (tmp_path / "strict.yaml").write_text(yaml.safe_dump(strict))
    code, printed = cli(tmp_path, "run", "strict.yaml", "--out", "run")
    assert code == 3, printed
    assert not holds(printed)


def doubled(lines: list[str]) -> list[str]:
    return [*lines, lines[0]]


def another_label(lines: list[str]) -> list[str]:
    return [lines[0].replace(",yes,", ",maybe,").replace(",no,", ",maybe,"), *lines[1:]]


def bad_score(lines: list[str]) -> list[str]:
    return [f"{lines[0].rsplit(',', 1)[0]},1.5", *lines[1:]]


def short_row(lines: list[str]) -> list[str]:
    return [lines[0].rsplit(",", 2)[0], *lines[1:]]


def upper_case_twin(lines: list[str]) -> list[str]:
    return [lines[0].replace(CANARY, CANARY.upper()), *lines[1:]]


DATA = predictions_config()["data"]
ERRORS: dict[str, tuple[Callable[[list[str]], list[str]], dict[str, Any]]] = {
    "a row twice": (doubled, {}),
    "a label that is none": (another_label, {}),
    "a score beyond 1": (bad_score, {}),
    "a row that ends early": (short_row, {}),
    "one subject in two spellings": (upper_case_twin, {}),
    "subjects as ids": (list, {"data": {**DATA, "id": "subject"}}),
    "subjects as an attribute": (list, {"data": {**DATA, "attributes": {"subject": {}}}}),
    "subjects as labels": (list, {"data": {**DATA, "label": "subject"}}),
    "subjects in two splits": (list, {"data": {**DATA, "split": "site"}}),
    "subjects as splits": (list, {"data": {**DATA, "split": "subject"}}),
    "subjects as numbers": (list, {"data": {**DATA, "attributes": {"x": {"column": "subject", "bins": [0, 1]}}}}),
}


@pytest.mark.parametrize("what", ERRORS)
def test_no_error_names_a_subject(what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    table = predictions_table(tmp_path)
    if what == "subjects in two splits":
        names = dict(zip("xyz", ("train", "val", "test"), strict=True))
        rows = [row.split(",") for row in table.read_text().splitlines()]
        rows[1:] = [[*row[:4], names[row[4]], *row[5:]] for row in rows[1:]]
        table.write_text("\n".join(map(",".join, rows)) + "\n")
    lines = marked(table, 2)
    spoil, changes = ERRORS[what]
    header = table.read_text().splitlines()[0]
    table.write_text("\n".join([header, *spoil(lines)]) + "\n")
    said = ""
    try:
        config = load_config(predictions_config(**changes), folder=tmp_path)
        said = "\n".join(pipeline.check(config).lines)
        outcome = pipeline.run(config, out=tmp_path / "run")
        assert outcome.result is not None
        said += " ".join(outcome.result.notes) + str(outcome.result.data.reasons)
    except Exception as error:
        said += str(error)
    printed = capsys.readouterr()
    assert said
    assert not holds(said + printed.out + printed.err), said


def test_predictions_of_strangers_do_not_name_them(tmp_path: Path):
    """Ids that are subjects: one row a person."""
    rows = [f"{CANARY}{i},{'yes' if i % 2 else 'no'},a,x" for i in range(30)]
    (tmp_path / "rows.csv").write_text("\n".join(["subject,label,group,site", *rows]) + "\n")
    said = [f"{CANARY}{i},0.5" for i in (*range(30), 99, 7)]
    (tmp_path / "predictions.csv").write_text("\n".join(["subject,score:yes", *said]) + "\n")
    data = {**DATA, "manifest": "rows.csv", "id": "subject"}
    with pytest.raises(Exception, match="subject") as caught:
        pipeline.check(load_config(predictions_config(data=data), folder=tmp_path))
    assert not holds(str(caught.value)), str(caught.value)
