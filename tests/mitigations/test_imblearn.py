"""imbalanced-learn by name: every sampler works or is refused, and gives what imbalanced-learn itself gives."""

from __future__ import annotations

import warnings
from typing import Any

import imblearn.combine
import imblearn.over_sampling
import imblearn.under_sampling
import numpy as np
import pytest
from imblearn.utils.testing import all_estimators
from pydantic import ValidationError
from sklearn.datasets import make_blobs

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS, build_resampler
from imgid_audit.mitigations.base import Ask, Counts
from imgid_audit.vision.treatment import Part

METHOD = MITIGATIONS["imblearn"]
ASK = Ask(("a", "b", "c"), False, "head")
SIZES = (120, 60, 25)
NAMES = [name for name, _ in all_estimators(type_filter="sampler")]
REFUSED = {"FunctionSampler": "function", "SMOTENC": "categorical", "SMOTEN": "categorical"}


def rows(seed: int = 0, views: int = 0) -> Part:
    """Three overlapping clouds of 120, 60 and 25 rows in 6 dimensions, two groups."""
    centers = np.random.default_rng(1).normal(size=(3, 6)) * 1.5
    points, labels = make_blobs(SIZES, centers=centers, cluster_std=2.0, random_state=seed)
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, size=len(points)).astype(np.int32)
    seen = rng.normal(size=(views, *points.shape)).astype(np.float32) if views else None
    return Part(points.astype(np.float32), labels.astype(np.int32), groups, seen)


def asked(sampler: str, **more: Any) -> Any:
    return METHOD.Params.model_validate({"sampler": sampler, **more})


def applied(part: Part, params: Any, seed: int = 0) -> Part:
    """What the treatment makes of the rows, at whichever place it acts."""
    treatment = METHOD.build(params, ASK)
    if treatment.points is not None:
        return treatment.points(part, 3, seed)
    assert treatment.rows is not None
    at = treatment.rows(part.labels, part.groups, seed)
    return Part(part.embeddings[at], part.labels[at], None if part.groups is None else part.groups[at])


def sampler_of(name: str, seed: int) -> Any:
    home = next(h for h in (imblearn.over_sampling, imblearn.under_sampling, imblearn.combine) if hasattr(h, name))
    try:
        return getattr(home, name)(random_state=seed)
    except TypeError:
        return getattr(home, name)()


def as_set(points: np.ndarray, labels: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(tuple(row) for row in np.column_stack([points, labels]).tolist())


@pytest.mark.parametrize("name", NAMES)
def test_every_sampler_is_that_of_imbalanced_learn_or_refused(name: str) -> None:
    if name in REFUSED:
        with pytest.raises(ValidationError, match=REFUSED[name]):
            asked(name)
        return
    part = rows()
    params = asked(name, params={"cluster_balance_threshold": 0.05} if name == "KMeansSMOTE" else {})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = applied(part, params, seed=7)
        again = applied(part, params, seed=7)
        reference = sampler_of(name, 7)
        if name == "KMeansSMOTE":
            reference.set_params(cluster_balance_threshold=0.05)
        points, labels = reference.fit_resample(part.embeddings, part.labels)
    assert as_set(made.embeddings, made.labels) == as_set(points, labels)
    assert len(made) != len(part) or name in ("TomekLinks",)
    assert made.embeddings.dtype == np.float32
    assert made.groups is not None
    assert made.groups.shape == made.labels.shape
    assert (made.embeddings.tobytes(), made.groups.tobytes()) == (again.embeddings.tobytes(), again.groups.tobytes())


@pytest.mark.parametrize("name", ["NearMiss", "TomekLinks", "SMOTE", "SMOTEENN", "SMOTETomek", "ClusterCentroids"])
def test_originals_keep_their_groups_and_views(name: str) -> None:
    part = rows(views=2)
    made = applied(part, asked(name))
    assert part.groups is not None
    assert part.views is not None
    assert made.groups is not None
    assert made.views is not None
    row_of = {row.tobytes(): number for number, row in enumerate(part.embeddings)}
    found = [row_of.get(row.tobytes(), -1) for row in made.embeddings]
    for number, row in enumerate(found):
        if row >= 0:
            assert made.groups[number] == part.groups[row]
            assert np.array_equal(made.views[:, number], part.views[:, row])
        else:  # a new point: the nearest row of its class tells the group, and every view is the point itself
            same = np.flatnonzero(part.labels == made.labels[number])
            gaps = np.linalg.norm(part.embeddings[same] - made.embeddings[number], axis=1)
            near = same[np.isclose(gaps, gaps.min(), rtol=1e-4)]
            assert made.groups[number] in part.groups[near]
            assert np.array_equal(made.views[0, number], made.embeddings[number])
    assert (min(found) >= 0) == (name in ("NearMiss", "TomekLinks"))


def test_strata_may_be_classes_within_groups() -> None:
    part = rows()
    made = applied(part, asked("SMOTE", by="class_and_group", params={"k_neighbors": 3}))
    assert made.groups is not None
    assert set(np.unique(made.groups * 3 + made.labels, return_counts=True)[1]) == {
        np.bincount(part.groups * 3 + part.labels).max()
    }
    fewer = applied(part, asked("NearMiss", by="group"))
    assert len(set(np.bincount(fewer.groups))) == 1


def test_random_samplers_act_on_row_numbers_and_serve_whole_networks() -> None:
    assert METHOD.acts_on(asked("RandomUnderSampler")) == ("sampler",)
    assert METHOD.acts_on(asked("RandomOverSampler")) == ("sampler",)
    assert METHOD.acts_on(asked("RandomOverSampler", params={"shrinkage": 0.1})) == ("embeddings",)
    assert METHOD.acts_on(asked("NearMiss")) == ("embeddings",)
    labels = rows().labels
    by_name = build_resampler("imblearn", {"sampler": "RandomUnderSampler"})(labels, None, 3)
    assert by_name.tolist() == build_resampler("undersample", {})(labels, None, 3).tolist()
    with pytest.raises(InputError, match=r"NearMiss looks at embeddings.*use scope head"):
        build_resampler("imblearn", {"sampler": "NearMiss"})


def test_cleaning_does_not_shift_the_prior() -> None:
    assert not METHOD.shifts_prior(asked("TomekLinks"))
    assert METHOD.shifts_prior(asked("SMOTEENN"))
    assert METHOD.shifts_prior(asked("NearMiss"))
    assert METHOD.shifts_prior(asked("NearMiss", by="group"))
    corrects = {("TomekLinks", "class"): False, ("NearMiss", "class"): True, ("NearMiss", "group"): False}
    assert {key: METHOD.corrects(asked(key[0], by=key[1])) for key in corrects} == corrects


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"sampler": "NearMis"}, "no sampler 'NearMis': did you mean 'NearMiss'"),
        ({"sampler": "NearMiss", "params": {"versoin": 2}}, "no parameter of NearMiss: did you mean 'version'"),
        ({"sampler": "NearMiss", "params": {"n_neighbors": "many"}}, "n_neighbors"),
        ({"sampler": "SMOTE", "params": {"random_state": 1}}, "comes from the seeds"),
        ({"sampler": "SMOTE", "by": "group"}, "would have no label"),
        ({"sampler": "SMOTE", "by": "class_and_group", "params": {"sampling_strategy": {"a": 9}}}, "names labels"),
        ({}, "sampler"),
    ],
)
def test_names_and_parameters_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        METHOD.Params.model_validate(given)


def test_a_strategy_speaks_of_labels() -> None:
    made = applied(rows(), asked("SMOTE", params={"sampling_strategy": {"c": 40}}))
    assert np.bincount(made.labels).tolist() == [120, 60, 40]
    cleaned = applied(rows(), asked("EditedNearestNeighbours", params={"sampling_strategy": ["a"]}))
    assert np.bincount(cleaned.labels)[1:].tolist() == [60, 25]
    with pytest.raises(InputError, match="names 'd': known labels are a, b, c"):
        METHOD.build(asked("SMOTE", params={"sampling_strategy": {"d": 40}}), ASK)
    with pytest.raises(InputError, match="needs two classes, got 3"):
        METHOD.build(asked("SMOTE", params={"sampling_strategy": 0.5}), ASK)


def test_what_only_the_data_can_refuse() -> None:
    def refused(counts: dict[str, int], sampler: str, **params: Any) -> list[str]:
        told = Counts(counts, {}, {}, {}, 0)
        return list(METHOD.unmet(asked(sampler, params=params), ASK, told))

    few = {"a": 50, "b": 50, "c": 5}
    assert refused(few, "SMOTE") == [
        "class 'c' has 5 training rows, SMOTE with 5 neighbours needs 6: "
        "ask for fewer neighbours, or gather rare levels"
    ]
    assert refused(few, "SMOTE", k_neighbors=4) == []
    assert len(refused(few, "SMOTEENN")) == 1
    assert len(refused(few, "ADASYN")) == 1
    assert refused(few, "NearMiss") == []
    assert "sampling_strategy" in refused(few, "RandomUnderSampler", sampling_strategy={"a": 60})[0]


def test_what_goes_wrong_in_the_sampler_is_told_as_a_reason() -> None:
    part = rows()
    tiny = np.concatenate([np.flatnonzero(part.labels == 0), np.flatnonzero(part.labels == 2)[:3]])
    few = Part(part.embeddings[tiny], part.labels[tiny], None)
    with pytest.raises(InputError, match=r"SMOTE cannot resample these rows: .*n_neighbors"):
        applied(few, asked("SMOTE"))
    one = Part(part.embeddings[:50], np.zeros(50, np.int32), None)
    assert applied(one, asked("SMOTE")) is one
