"""Planted worlds: embeddings in which the right sampler is known. It must win, and the wrong one must not."""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

import numpy as np
import pytest

from imgid_audit.mitigations import MITIGATIONS, find
from imgid_audit.mitigations.base import Ask
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import HeadSettings, MethodSettings
from imgid_audit.vision.treatment import HeadTask, Part

SEEDS = (0, 1, 2)
SETTINGS = HeadSettings(epochs=50, batch_size=64, lr=0.01)


def long_tail(seed: int, sizes: tuple[int, ...]) -> Part:
    """Three classes of unit clouds, 2 apart, in a plane among 8 dimensions: only how many there are differs."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(3), sizes).astype(np.int32)
    angle = 2 * np.pi * labels / 3
    centre = np.stack([np.cos(angle), np.sin(angle)], axis=1) * 2 / np.sqrt(3)
    points = rng.normal(size=(len(labels), 8))
    points[:, :2] += centre
    return Part(points.astype(np.float32), labels, None)


def spurious(seed: int, sizes: tuple[int, int]) -> Part:
    """Two equally frequent classes; the group goes along with the class (`sizes`: agreeing, disagreeing rows of a
    class) and is far easier to see. Groups: 0 and 1, balanced over all; the rare cells are class and group together."""
    rng = np.random.default_rng(seed)
    agree, disagree = sizes
    labels = np.repeat([0, 1], agree + disagree).astype(np.int32)
    groups = np.concatenate([np.repeat([0, 1], sizes), np.repeat([1, 0], sizes)]).astype(np.int32)
    points = rng.normal(size=(len(labels), 8))
    points[:, 0] += 2.0 * (2 * labels - 1) * 0.75
    points[:, 1] += 2.0 * (2 * groups - 1)
    return Part(points.astype(np.float32), labels, groups)


def worst(part: Part, codes: np.ndarray, predicted: np.ndarray) -> float:
    """Accuracy of the worst stratum."""
    right = np.bincount(codes, weights=predicted == part.labels) / np.bincount(codes)
    return float(right.min())


World = tuple[HeadTask, Part]


@cache
def world(name: Literal["tail", "shortcut"]) -> World:
    """Rows to train on and rows to judge on, where every stratum has as many."""
    if name == "tail":
        none = long_tail(2, (0, 0, 0))
        return HeadTask(long_tail(0, (900, 240, 24)), none, none, 3), long_tail(1, (1500, 1500, 1500))
    none = spurious(2, (0, 0))
    return HeadTask(spurious(0, (570, 30)), none, none, 2, 2), spurious(1, (1500, 1500))


@cache
def judged(name: Literal["tail", "shortcut"], method: str, **params: str) -> float:
    """Mean over seeds of the accuracy in the worst class, or the worst class within a group where there are groups."""
    from imgid_audit.vision.heads import train_head

    task, test = world(name)
    given: dict[str, Any] = dict(params)
    if method not in MITIGATIONS:
        method, given = "imblearn", {"sampler": method}
    remedy = Remedy.of(MethodSettings(name=method, params=given), find)
    treatment = remedy.treatment(Ask(tuple("abc"[: task.classes]), task.classes == 2, "head"))
    codes = test.labels if test.groups is None else test.groups * task.classes + test.labels
    found = []
    for seed in SEEDS:
        run = train_head(task, treatment, SETTINGS, seed, select="average")
        found.append(worst(test, codes, run.heads["declared"].logits(test.embeddings).argmax(axis=1)))
    return float(np.mean(found))


@pytest.mark.parametrize("method", ["oversample", "undersample", "smote", "RandomUnderSampler", "ADASYN", "SMOTETomek"])
def test_balancing_classes_wins_where_one_is_rare(method: str) -> None:
    assert judged("tail", method) > judged("tail", "baseline") + 0.3


def test_square_roots_stand_between() -> None:
    plain, root, equal = (judged("tail", name) for name in ("baseline", "sqrt_sampling", "oversample"))
    assert plain + 0.1 < root < equal - 0.1


def test_cleaning_borders_does_not_mend_a_rare_class() -> None:
    assert judged("tail", "TomekLinks") < judged("tail", "baseline") + 0.1


@pytest.mark.parametrize("name", ["oversample", "undersample", "smote"])
def test_balancing_cells_wins_over_a_shortcut_and_balancing_classes_does_not(name: str) -> None:
    plain = judged("shortcut", "baseline")
    assert judged("shortcut", name, by="class_and_group") > plain + 0.15
    assert abs(judged("shortcut", name, by="class") - plain) < 0.05


@pytest.mark.parametrize("name", ["oversample", "undersample"])
def test_balancing_groups_alone_does_not_help_where_they_are_equal_already(name: str) -> None:
    assert abs(judged("shortcut", name, by="group") - judged("shortcut", "baseline")) < 0.05
