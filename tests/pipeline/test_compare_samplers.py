"""Samplers through the whole comparison: on rows, on embeddings, on pixels, and what is not run with its reason."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

import imgid_audit as ia
from imgid_audit import pipeline
from tests.tiny import tiny_config, write_tiny

METHODS: list[Any] = [
    "sqrt_sampling",
    "smote",
    {"name": "smote", "params": {"space": "pixels"}, "label": "pixels"},
    {"name": "imblearn", "params": {"sampler": "NearMiss"}, "label": "near"},
    {"name": "imblearn", "params": {"sampler": "TomekLinks"}, "with": ["oversample"], "label": "cleaned"},
    {"name": "augment", "params": {"hflip": 0.5, "mix": "mixup", "views": 2}, "with": ["smote"], "label": "views"},
    {"name": "imblearn", "params": {"sampler": "KMeansSMOTE", "params": {"cluster_balance_threshold": 1e6}}},
]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The methods above on the tiny data set, one label of which is thinned to one row in three."""
    folder = tmp_path_factory.mktemp("tiny")
    table = write_tiny(folder, rows=200)
    header, *lines = table.read_text().splitlines()
    thinned = [line for row, line in enumerate(lines) if row % 2 or row % 3 == 0]  # even rows are `left`
    table.write_text("\n".join([header, *thinned]) + "\n")
    block = {
        "methods": METHODS,
        "seeds": 2,
        "trials": 2,
        "primary": {"metric": "accuracy"},
        "head": {"epochs": 5},
    }
    train = {"epochs": 1, "lr": 0.01, "batch_size": 16, "groups": ["device"]}
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(tiny_config(mitigations=block, train=train)))
    pipeline.compare(ia.load_config(path), out=folder / "run")
    found: dict[str, Any] = json.loads((folder / "run" / "comparison.json").read_text())
    return {one["name"]: one for one in found["methods"]}


def test_all_run_but_the_one_whose_data_do_not_allow_it(compared: dict[str, Any]) -> None:
    assert {name: one["status"] for name, one in compared.items() if one["status"] != "ran"} == {"imblearn": "not_run"}
    assert "KMeansSMOTE cannot resample these rows" in compared["imblearn"]["reason"]


def test_new_pictures_and_views_cost_passes_of_the_backbone_and_new_embeddings_none(compared: dict[str, Any]) -> None:
    seen = {name: one["images_seen"] for name, one in compared.items()}
    assert seen["smote"] == seen["near"] == seen["cleaned"] == seen["baseline"] == seen["sqrt_sampling"]
    # SMOTE makes as many points of either kind, and every point is seen once in each of five epochs.
    made = (compared["smote"]["rows_seen"] - compared["baseline"]["rows_seen"]) // 5
    assert made > 0
    assert seen["pixels"] - seen["baseline"] == made
    rows = compared["baseline"]["rows_seen"] // 5
    assert seen["views"] - seen["baseline"] == 2 * rows
    assert compared["near"]["rows_seen"] < compared["baseline"]["rows_seen"]
    assert compared["sqrt_sampling"]["rows_seen"] == compared["baseline"]["rows_seen"]


def test_pixels_come_with_their_warning(compared: dict[str, Any]) -> None:
    assert any("no image that a camera could take" in note for note in compared["pixels"]["notes"])
    assert compared["smote"]["notes"] == []
