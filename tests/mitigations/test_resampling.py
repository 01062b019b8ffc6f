"""Resampling by index: what it makes equal, against imbalanced-learn itself and by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS, build_resampler

LABELS = np.array([0] * 60 + [1] * 30 + [2] * 10, dtype=np.int32)
GROUPS = np.array(([0] * 3 + [1] * 2) * 20, dtype=np.int32)


def counts(rows: np.ndarray, *codes: np.ndarray) -> list[int]:
    """How often each combination of codes is among the rows."""
    return np.unique(np.stack([code[rows] for code in codes]), axis=1, return_counts=True)[1].tolist()


def test_oversampling_keeps_every_row_and_makes_classes_equal() -> None:
    rows = build_resampler("oversample", {})(LABELS, None, 0)
    assert set(range(100)) <= set(rows.tolist())
    assert counts(rows, LABELS) == [60, 60, 60]


def test_undersampling_repeats_no_row_and_makes_classes_equal() -> None:
    rows = build_resampler("undersample", {})(LABELS, None, 0)
    assert len(set(rows.tolist())) == len(rows)
    assert counts(rows, LABELS) == [10, 10, 10]


@pytest.mark.parametrize("name", ["oversample", "undersample"])
def test_groups_and_classes_within_groups(name: str) -> None:
    by_group = build_resampler(name, {"by": "group"})(LABELS, GROUPS, 0)
    assert len(set(counts(by_group, GROUPS))) == 1
    by_both = build_resampler(name, {"by": "class_and_group"})(LABELS, GROUPS, 0)
    cells = counts(by_both, LABELS, GROUPS)
    assert len(cells) == 6
    assert len(set(cells)) == 1
    assert len(set(counts(by_both, LABELS))) == 1


@pytest.mark.parametrize("name", ["oversample", "undersample"])
def test_the_rows_are_those_of_imbalanced_learn(name: str) -> None:
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    pixels = np.random.default_rng(0).random((100, 7))
    sampler = {"oversample": RandomOverSampler, "undersample": RandomUnderSampler}[name](random_state=3)
    resampled, labels = sampler.fit_resample(pixels, LABELS)
    rows = build_resampler(name, {})(LABELS, None, 3)
    assert sorted(map(tuple, resampled)) == sorted(map(tuple, pixels[rows]))
    assert sorted(labels) == sorted(LABELS[rows])


@pytest.mark.parametrize("name", ["oversample", "undersample"])
def test_the_seed_decides(name: str) -> None:
    resample = build_resampler(name, {})
    assert resample(LABELS, None, 1).tolist() == resample(LABELS, None, 1).tolist()
    assert resample(LABELS, None, 1).tolist() != resample(LABELS, None, 2).tolist()


def test_one_stratum_or_none_is_left_alone() -> None:
    one = build_resampler("undersample", {"by": "group"})(LABELS, np.zeros(100, np.int32), 0)
    assert one.tolist() == list(range(100))
    assert build_resampler("oversample", {})(LABELS[:0], None, 0).tolist() == []


def test_groups_are_asked_for_where_needed() -> None:
    with pytest.raises(InputError, match=r"resampling by group needs `train\.groups`"):
        build_resampler("oversample", {"by": "group"})(LABELS, None, 0)


def test_what_is_registered_is_described() -> None:
    for method in MITIGATIONS:
        assert method.summary
        assert method.source
        assert method.acts_on
        needs = {by: method.needs(method.Params(by=by)) for by in ("class", "group", "class_and_group")}
        assert needs == {"class": {"labels"}, "group": {"groups"}, "class_and_group": {"labels", "groups"}}


def test_names_and_parameters_are_checked() -> None:
    with pytest.raises(InputError, match="unknown mitigation 'smote': known are oversample, undersample"):
        build_resampler("smote", {})
    with pytest.raises(ValidationError):
        build_resampler("oversample", {"ratio": 1})
