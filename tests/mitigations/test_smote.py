"""SMOTE: its law, its relatives against imbalanced-learn, its groups, and pixels by wish alone."""

from __future__ import annotations

from typing import Any

import imblearn.over_sampling
import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS, find, smote
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.vision.treatment import Part, Pictures

METHOD = MITIGATIONS["smote"]
ASK = Ask(("a", "b"), True, "head")


def rows(seed: int = 0) -> Part:
    """Two overlapping clouds of 150 and 30 rows in 5 dimensions, two groups that lie apart."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], [150, 30]).astype(np.int32)
    groups = (np.arange(180) % 2).astype(np.int32)
    points = rng.normal(size=(180, 5)) + labels[:, None] * 1.0 + groups[:, None] * np.array([8.0, 0, 0, 0, 0])
    return Part(points.astype(np.float32), labels, groups)


def points(part: Part, seed: int = 0, **params: Any) -> Part:
    treatment = METHOD.build(METHOD.Params(**params), ASK)
    assert treatment.points is not None
    return treatment.points(part, 2, seed)


@pytest.mark.parametrize("k", [1, 3, 5])
def test_new_points_lie_between_neighbours_of_their_class(k: int) -> None:
    part = rows()
    made = points(part, k_neighbors=k)
    assert np.bincount(made.labels).tolist() == [150, 150]
    assert np.array_equal(made.embeddings[:180], part.embeddings)
    rare = part.embeddings[part.labels == 1].astype(np.float64)
    near = NearestNeighbors(n_neighbors=k + 1).fit(rare).kneighbors(rare, return_distance=False)[:, 1:]
    start, end = np.repeat(rare, k, axis=0), rare[near.ravel()]
    new = made.embeddings[180:].astype(np.float64)
    assert (made.labels[180:] == 1).all()
    along = ((new[:, None] - start) * (end - start)).sum(-1) / ((end - start) ** 2).sum(-1)
    off = np.linalg.norm(new[:, None] - start - along[..., None] * (end - start), axis=-1)
    on_segment = (off < 1e-4) & (along > -1e-5) & (along < 1 + 1e-5)
    assert on_segment.any(axis=1).all()


@pytest.mark.parametrize(
    ("kind", "name"), [("smote", "SMOTE"), ("borderline", "BorderlineSMOTE"), ("svm", "SVMSMOTE"), ("adasyn", "ADASYN")]
)
def test_relatives_are_those_of_imbalanced_learn(kind: str, name: str) -> None:
    part = rows()
    parameter = "n_neighbors" if kind == "adasyn" else "k_neighbors"
    reference = getattr(imblearn.over_sampling, name)(random_state=11, **{parameter: 4})
    embeddings, labels = reference.fit_resample(part.embeddings, part.labels)
    made = points(part, seed=11, kind=kind, k_neighbors=4)
    assert np.array_equal(made.embeddings, embeddings.astype(np.float32))
    assert np.array_equal(made.labels, labels)
    assert len(made) > len(part)
    assert not np.array_equal(made.embeddings, points(part, seed=12, kind=kind, k_neighbors=4).embeddings)


def test_a_new_point_has_the_group_of_its_nearest_row() -> None:
    # The groups lie 8 apart: a new point's side tells its group, but for the few between the two.
    made = points(rows())
    assert made.groups is not None
    new, groups = made.embeddings[180:], made.groups[180:]
    clear = (new[:, 0] < 3) | (new[:, 0] > 7)
    assert clear.sum() > 80
    assert np.array_equal(groups[clear], (new[clear, 0] > 5).astype(np.int32))


def test_by_class_and_group_all_cells_become_equal_and_no_point_is_between_groups() -> None:
    made = points(rows(), by="class_and_group")
    assert made.groups is not None
    assert np.unique(made.groups * 2 + made.labels, return_counts=True)[1].tolist() == [75] * 4
    assert np.array_equal(made.groups[180:], (made.embeddings[180:, 0] > 5).astype(np.int32))


def test_without_groups_there_are_none() -> None:
    part = rows()
    assert points(Part(part.embeddings, part.labels, None)).groups is None
    with pytest.raises(InputError, match=r"needs `train\.groups`"):
        points(Part(part.embeddings, part.labels, None), by="class_and_group")


def test_classes_with_too_few_rows_are_refused_beforehand() -> None:
    def refused(labels: dict[str, int], **params: Any) -> list[str]:
        return list(METHOD.unmet(METHOD.Params(**params), ASK, Counts(labels, {}, {}, {}, 0)))

    assert refused({"a": 100, "b": 5}) == [
        "class 'b' has 5 training rows, smote with 5 neighbours needs 6: "
        "ask for fewer neighbours, or gather rare levels"
    ]
    assert refused({"a": 100, "b": 6}) == []
    assert refused({"a": 100, "b": 5}, k_neighbors=4) == []
    assert "looks at 10 neighbours" in refused({"a": 6, "b": 3}, kind="borderline", k_neighbors=1)[0]
    few = Counts(
        {"a": 40, "b": 12}, {"f": 26, "m": 26}, {}, {("a", "f"): 24, ("b", "f"): 2, ("a", "m"): 16, ("b", "m"): 10}, 0
    )
    told = list(METHOD.unmet(METHOD.Params(by="class_and_group"), ASK, few))
    assert len(told) == 1
    assert told[0].startswith("class 'b' in group 'f' has 2 training rows")


def test_tuning_never_asks_for_more_neighbours_than_the_default() -> None:
    assert max(METHOD.space["k_neighbors"]) <= METHOD.Params().k_neighbors


def pictures(n: int = 24, rare: int = 8, side: int = 4) -> Pictures:
    rng = np.random.default_rng(0)
    labels = (np.arange(n) < rare).astype(np.int32)
    return Pictures(rng.integers(0, 256, size=(n, 3, side, side)).astype(np.uint8), labels, labels.copy())


def test_pixels_are_interpolated_by_explicit_wish_alone_and_with_a_warning() -> None:
    plain = METHOD.build(METHOD.Params(), ASK)
    assert plain.pictures is None
    asked = METHOD.Params(space="pixels", k_neighbors=3)
    assert METHOD.acts_on(asked) == ("pixels",)
    treatment = METHOD.build(asked, ASK)
    assert treatment.points is None
    assert treatment.pictures is not None
    with_ = {
        space: Remedy.of(MethodSettings(name="smote", params={"space": space}), find)
        for space in ("embeddings", "pixels")
    }
    assert with_["embeddings"].warnings == ()
    assert "no image that a camera could take" in with_["pixels"].warnings[0]
    old = pictures()
    new = treatment.pictures(old, 5)
    reference = imblearn.over_sampling.SMOTE(k_neighbors=3, random_state=5)
    flat, labels = reference.fit_resample(old.images.reshape(24, -1).astype(np.float32), old.labels)
    assert new.images.dtype == np.uint8
    assert np.array_equal(new.images, np.rint(flat[24:]).astype(np.uint8).reshape(-1, 3, 4, 4))
    assert np.array_equal(new.labels, labels[24:])
    assert np.array_equal(new.groups, new.labels)


def test_pixels_that_memory_cannot_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smote, "MOST_BYTES", 1000)
    treatment = METHOD.build(METHOD.Params(space="pixels"), ASK)
    assert treatment.pictures is not None
    with pytest.raises(InputError, match="more than"):
        treatment.pictures(pictures(), 0)
