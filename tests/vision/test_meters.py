"""Meters against scikit-learn and plain counting; a ratio over nothing is None."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, recall_score

from imgid_audit.vision.meters import Meters


def test_streamed_equals_whole() -> None:
    rng = np.random.default_rng(0)
    label, predicted, group = rng.integers(0, 4, 500), rng.integers(0, 4, 500), rng.integers(0, 3, 500)
    losses = rng.random(500)
    meters = Meters(4, 3)
    for part in np.array_split(np.arange(500), 7):
        values = (torch.from_numpy(column[part]) for column in (predicted, label, group))
        meters.update(*values, loss=torch.from_numpy(losses[part]))
    assert meters.rows == 500
    assert meters.accuracy == pytest.approx(accuracy_score(label, predicted), abs=1e-12)
    assert meters.class_accuracy == pytest.approx(recall_score(label, predicted, average=None), abs=1e-12)
    by_group = [float((label == predicted)[group == g].mean()) for g in range(3)]
    assert meters.group_accuracy == pytest.approx(by_group, abs=1e-12)
    assert meters.loss == pytest.approx(losses.mean(), abs=1e-6)


def test_nothing_seen_is_none_and_not_zero() -> None:
    meters = Meters(3, 2)
    assert (meters.rows, meters.accuracy, meters.loss, meters.class_accuracy) == (0, None, None, ())
    meters.update(torch.tensor([0, 1]), torch.tensor([0, 0]), torch.tensor([1, 1]))
    assert meters.class_accuracy == (0.5, None, None)
    assert meters.group_accuracy == (None, 0.5)
