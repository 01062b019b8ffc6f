"""A tiny planted world for whole-pipeline tests: images that a network learns in a second.

Class is the side of a bright bar; rows of the `night` device are dark and noisy, so that a model is
worse on them. Two images a subject.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

LABELS = ("left", "right")


def write_tiny(folder: Path, rows: int = 120, seed: int = 0, side: int = 16) -> Path:
    """Write images and ``metadata.csv``; the path of the latter."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    lines = ["image,label,patient,device,sex,age"]
    for row in range(rows):
        label = row % 2
        device = "night" if row % 5 == 0 else "day"
        pixels = rng.normal(120, 12, (side, side))
        bar = slice(0, side // 4) if label == 0 else slice(3 * side // 4, side)
        pixels[:, bar] += 90 if device == "day" else 8
        name = f"images/{row:03d}.png"
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / name)
        sex = ("F", "M", "")[row % 3]
        lines.append(f"{name},{LABELS[label]},p{row // 4},{device},{sex},{20 + row % 60}")
    path = folder / "metadata.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def tiny_config(**changes: Any) -> dict[str, Any]:
    """A config for the tiny world, trained for one epoch; `changes` replace whole blocks."""
    config: dict[str, Any] = {
        "name": "tiny",
        "task": {"type": "binary", "positive": "right", "labels": ["left", "right"]},
        "data": {
            "manifest": "metadata.csv",
            "subject": "patient",
            "split": {"val": 0.2, "test": 0.4, "seed": 0},
            "attributes": {"device": {}, "sex": {}, "age": {"bins": [0, 40, 60, 100]}},
            "intersections": [["device", "sex"]],
        },
        "model": {"architecture": "smallcnn", "input": {"size": 16}},
        "train": {"epochs": 2, "lr": 0.01, "batch_size": 16},
        "predict": {"shard_rows": 32, "device": "cpu"},
        "metrics": ["accuracy", "recall", "auroc", "ece"],
        "intervals": {"draws": 50},
        "policy": {"rules": [{"id": "gap", "metric": "recall", "across": "device", "max_gap": 0.2}]},
        "report": {"formats": ["json"]},
    }
    return {**config, **changes}


def predictions_table(folder: Path, rows: int = 300, seed: int = 0, *, scores: bool = True) -> Path:
    """A CSV of binary predictions with attributes and subjects, worse for level `b` of `group`."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, rows)
    group = np.where(rng.random(rows) < 0.4, "b", "a")
    quality = np.where(group == "a", 1.5, 0.6)
    score = 1 / (1 + np.exp(-((2 * label - 1) * quality + rng.normal(0, 1, rows))))
    lines = ["id,label,subject,group,site" + (",score:yes" if scores else ",predicted")]
    for i in range(rows):
        answer = f"{score[i]:.6f}" if scores else ("yes" if score[i] >= 0.5 else "no")
        lines.append(f"r{i},{'yes' if label[i] else 'no'},s{i // 3},{group[i]},{'xyz'[i % 3]},{answer}")
    path = folder / "predictions.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def predictions_config(**changes: Any) -> dict[str, Any]:
    """A config for `predictions_table`; `changes` replace whole blocks."""
    config: dict[str, Any] = {
        "name": "brought",
        "task": {"type": "binary", "positive": "yes", "labels": ["no", "yes"]},
        "predictions": {"table": "predictions.csv"},
        "data": {"subject": "subject", "attributes": {"group": {}, "site": {}}, "intersections": [["group", "site"]]},
        "metrics": ["accuracy", "recall", "precision", "auroc", "ece"],
        "intervals": {"draws": 100},
        "policy": {"rules": [{"id": "gap", "metric": "recall", "across": "group", "max_gap": 0.1}]},
        "report": {"formats": ["json"]},
    }
    return {**config, **changes}
