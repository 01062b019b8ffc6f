"""What was planted in the demo is found by a model that has nothing of ours: nearest neighbours."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from imgid_audit.checks import CHECKS, CheckContext
from imgid_audit.config import load_config
from imgid_audit.core.policy import EvaluationSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.task import Task
from imgid_audit.demo import write_demo
from imgid_audit.evaluation import evaluate
from imgid_audit.io.manifest import read_manifest


def test_the_weak_device_and_the_confounded_site_are_found(tmp_path: Path) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    config = load_config(write_demo(tmp_path))
    manifest = read_manifest(config.data, config.folder, config.task.labels, need_images=True).manifest
    with (tmp_path / "metadata.csv").open(encoding="utf-8", newline="") as file:
        names = [row["image"] for row in csv.DictReader(file)]
    pixels = np.stack([np.asarray(Image.open(tmp_path / name), dtype=np.float32).ravel() for name in names])
    train, test = manifest.rows("train"), manifest.rows("test")
    labels = manifest.label.codes
    predicted = KNeighborsClassifier(3).fit(pixels[train], labels[train]).predict(pixels[test])
    decisions = Decisions(
        Task("multiclass", manifest.label.levels),
        labels[test],
        predicted.astype(np.int32),
        None,
        None,
        tuple(factor.take(test) for factor in manifest.attributes),
    )
    policy = config.policy.policy()
    evaluation = evaluate(decisions, EvaluationSpec(("accuracy",), policy=policy))
    verdicts = {verdict.rule: verdict for verdict in evaluation.verdicts}
    gap = verdicts["device-gap"]
    assert gap.status == "fail"
    assert gap.worst is not None
    assert gap.worst.key == {"device": "handheld"}
    assert gap.low is not None
    assert gap.low > gap.tolerance
    check = CHECKS["D004"]
    outcome = check.run(CheckContext(decisions.task, manifest), check.Params())
    assert outcome.status == "finding"
    assert "device and site" in outcome.reason
    assert "label" not in outcome.reason
