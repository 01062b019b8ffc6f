"""The embedded example: the same bytes every time, and planted in it what the audit must find."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgid_audit import demo
from imgid_audit.config import load_config

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_devices" / "audit.yaml"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.write_demo(tmp_path_factory.mktemp("demo")).parent


@pytest.fixture(scope="module")
def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "metadata.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_bytes_are_the_same_every_time(folder: Path, tmp_path: Path) -> None:
    demo.write_demo(tmp_path)
    assert hashes(tmp_path) == hashes(folder)
    demo.write_demo(tmp_path)
    assert hashes(tmp_path) == hashes(folder)


def test_images_are_what_the_table_says(folder: Path, rows: list[dict[str, str]]) -> None:
    assert sorted(row["image"] for row in rows) == sorted(f"images/{p.name}" for p in (folder / "images").iterdir())
    for row in rows[::100]:
        image = Image.open(folder / row["image"])
        assert (image.mode, image.size, image.info) == ("L", (32, 32), {})


def test_labels_are_those_of_scikit_learn(rows: list[dict[str, str]]) -> None:
    from sklearn.datasets import load_digits

    target = load_digits().target
    assert all(int(row["digit"]) == target[int(row["source_index"])] for row in rows)
    assert len({row["source_index"] for row in rows}) == len(rows) == 1422


def test_simulation_is_said_wherever_the_data_goes(folder: Path, rows: list[dict[str, str]]) -> None:
    assert {row["note"] for row in rows} == {"device and site are simulated"}
    assert "SIMULATED" in (folder / "README.txt").read_text(encoding="utf-8")
    config = load_config(folder / "audit.yaml")
    assert any("simulated" in note for note in config.notes)
    assert "simulated" in EXAMPLE.with_name("README.md").read_text(encoding="utf-8")


def test_devices_and_digits_are_unequal_and_sites_go_along(rows: list[dict[str, str]]) -> None:
    devices = Counter(row["device"] for row in rows)
    assert devices["scanner"] > devices["copier"] > devices["handheld"] > 200
    digits = Counter(row["digit"] for row in rows)
    assert digits["0"] > 1.7 * digits["9"]
    both = Counter((row["device"], row["site"]) for row in rows)
    assert both["handheld", "south"] > 0.7 * devices["handheld"]
    assert len(both) == 9, "confounded, not identical: every device is somewhere at every site"
    assert min(both.values()) >= 10


def test_the_handheld_is_the_noisy_one(folder: Path, rows: list[dict[str, str]]) -> None:
    def noise(device: str) -> float:
        """Standard deviation of the paper, where no ink is: the two top rows of pixels."""
        images = [np.asarray(Image.open(folder / row["image"]))[:2] for row in rows if row["device"] == device]
        return float(np.std(np.stack(images)))

    assert noise("handheld") > 4 * noise("copier") > 4 * noise("scanner")


def test_the_example_is_what_the_demo_runs() -> None:
    assert EXAMPLE.read_text(encoding="utf-8") == demo.CONFIG


def test_the_config_reads_its_own_folder(folder: Path) -> None:
    from imgid_audit.io.manifest import read_manifest

    config = load_config(folder / "audit.yaml")
    read = read_manifest(config.data, config.folder, config.task.labels, need_images=True)
    assert len(read.manifest) == 1422
    assert [factor.name for factor in read.manifest.attributes] == ["device", "site"]
