"""A first look finds the roles of columns, and proposes nothing that would be refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from imgid_audit.io.inspect_table import inspect_table
from imgid_audit.io.manifest import read_manifest
from imgid_audit.io.settings import AttributeSettings, DataSettings

DATASETS = Path(__file__).parents[3] / "shared" / "datasets"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    n = 120
    frame = pd.DataFrame(
        {
            "row_id": np.arange(n),
            "File": [f"x/{i}.PNG" for i in range(n)],
            "diagnosis": rng.choice(["mel", "nev"], n),
            "patient_id": [f"p{i // 3}" for i in range(n)],
            "partition": rng.choice(["train", "val", "test"], n),
            "notes": [f"free text {i}" for i in range(n)],
            "sex": rng.choice(["F", "M", None], n),
            "age": [*rng.integers(20, 80, n - 1), None],
            "constant": "x",
            "country": rng.choice([f"c{i}" for i in range(15)], n),
            "measure": rng.random(n),
        }
    )
    frame["label_text"] = frame.diagnosis.map({"mel": "Melanoma", "nev": "Nevus"})
    frame.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def test_roles(table: Path) -> None:
    guess = inspect_table(table)
    roles = (guess.image, guess.label, guess.subject, guess.split, guess.id)
    assert roles == ("File", "diagnosis", "patient_id", "partition", "row_id")
    assert guess.labels == ("mel", "nev")
    assert [attribute.name for attribute in guess.attributes] == ["sex", "age", "country"]
    sex, age, country = guess.attributes
    assert (sex.levels, sex.bins) == (("F", "M"), None)
    assert sex.missing > 0
    assert age.bins is not None
    assert (age.missing, age.bins[0] <= 20, age.bins[-1] >= 79) == (1, True, True)
    assert country.min_count is not None
    assert {"notes", "constant", "measure", "label_text"} <= set(guess.left)
    assert guess.rows == 120
    assert not guess.predicted


def read_as_guessed(path: Path) -> None:
    guess = inspect_table(path)
    settings = DataSettings(
        manifest=path.name,
        image=guess.image or "image",
        label=guess.label or "label",
        subject=guess.subject,
        split={"test": 0.4},
        attributes={a.name: AttributeSettings(bins=a.bins, min_count=a.min_count) for a in guess.attributes},
    )
    read_manifest(settings, path.parent, None, need_images=False)


def test_what_is_proposed_is_accepted(table: Path) -> None:
    read_as_guessed(table)


@pytest.mark.parametrize("name", ["covid_cxr", "qmnist_writers"])
def test_real_tables(name: str) -> None:
    path = DATASETS / name / "metadata.csv"
    if not path.is_file():
        pytest.skip("../shared/datasets is absent")
    guess = inspect_table(path)
    assert (guess.image, guess.label) == ("image", "label")
    assert guess.subject in {"subject_id", "writer_id"}
    assert {"sex", "age", "view"} <= {a.name for a in guess.attributes} or guess.split == "split"
    read_as_guessed(path)


def test_predictions(tmp_path: Path) -> None:
    (tmp_path / "p.csv").write_text(
        "id,label,predicted,score:a,score:b,race\n1,a,a,.5,.5,x\n2,b,a,.5,.5,y\n3,a,a,.5,.5,x\n4,b,b,.5,.5,y\n"
    )
    guess = inspect_table(tmp_path / "p.csv")
    assert guess.predicted
    assert guess.scores == ("a", "b")
    assert (guess.image, guess.id, guess.label) == (None, "id", "label")


def test_tables_with_nothing_to_find(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\n")
    guess = inspect_table(tmp_path / "t.csv")
    assert (guess.rows, guess.image, guess.label, guess.attributes) == (0, None, None, ())


def test_a_tree(tmp_path: Path) -> None:
    for name in ("cat/a.png", "dog/b.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    guess = inspect_table(tmp_path)
    assert (guess.image, guess.label, guess.labels) == ("image", "label", ("cat", "dog"))
