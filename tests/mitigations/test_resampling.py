"""Resampling by index: what it makes equal, against imbalanced-learn itself and by its laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import chisquare

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations import MITIGATIONS, build_resampler
from imgid_audit.mitigations.base import Ask, Counts

SAMPLERS = ("oversample", "undersample", "sqrt_sampling")
ASK = Ask(("a", "b"), True, "head")

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


@pytest.mark.parametrize("name", SAMPLERS)
def test_resampling_by_group_moves_the_frequency_of_classes_that_go_along(name: str) -> None:
    labels = np.repeat([1, 0, 1, 0], [855, 45, 30, 70]).astype(np.int32)  # 95 % ill in one group, 30 % in the other
    groups = np.repeat([0, 1], [900, 100]).astype(np.int32)
    method = MITIGATIONS[name]
    rows = build_resampler(name, {"by": "group"})(labels, groups, 0)
    assert labels.mean() == pytest.approx(0.885)
    assert labels[rows].mean() < 0.8  # equal groups: 0.625; square roots: three to one, 0.79
    assert method.shifts_prior(method.Params(by="group"))


@pytest.mark.parametrize("name", SAMPLERS)
def test_the_seed_decides(name: str) -> None:
    resample = build_resampler(name, {})
    assert resample(LABELS, None, 1).tolist() == resample(LABELS, None, 1).tolist()
    assert resample(LABELS, None, 1).tolist() != resample(LABELS, None, 2).tolist()


def test_one_stratum_or_none_is_left_alone() -> None:
    one = build_resampler("undersample", {"by": "group"})(LABELS, np.zeros(100, np.int32), 0)
    assert one.tolist() == list(range(100))
    for name in SAMPLERS:
        assert build_resampler(name, {})(LABELS[:0], None, 0).tolist() == []


def test_groups_are_asked_for_where_needed() -> None:
    with pytest.raises(InputError, match=r"resampling by group needs `train\.groups`"):
        build_resampler("oversample", {"by": "group"})(LABELS, None, 0)


@pytest.mark.parametrize("name", SAMPLERS)
def test_what_is_declared(name: str) -> None:
    method = MITIGATIONS[name]
    assert method.summary
    assert method.source
    told = {by: method.Params(by=by) for by in ("class", "group", "class_and_group")}
    assert {by: method.needs(params) for by, params in told.items()} == {
        "class": {"class labels"},
        "group": {"group labels in training"},
        "class_and_group": {"class labels", "group labels in training"},
    }
    assert all(method.shifts_prior(params) for params in told.values())
    assert {by: method.corrects(params) for by, params in told.items()} == {
        "class": True,
        "group": False,
        "class_and_group": True,
    }
    assert all(method.acts_on(params) == ("sampler",) for params in told.values())


def test_names_and_parameters_are_checked() -> None:
    with pytest.raises(InputError, match="unknown mitigation 'oversmple': did you mean 'oversample'"):
        build_resampler("oversmple", {})
    with pytest.raises(InputError, match="baseline does not choose training rows"):
        build_resampler("baseline", {})
    with pytest.raises(ValidationError):
        build_resampler("oversample", {"ratio": 1})


@pytest.mark.parametrize("by", ["class", "group", "class_and_group"])
def test_square_roots_are_the_frequencies(by: str) -> None:
    resample = build_resampler("sqrt_sampling", {"by": by})
    codes = {"class": LABELS, "group": GROUPS, "class_and_group": GROUPS * 3 + LABELS}[by]
    drawn = np.concatenate([resample(LABELS, GROUPS, seed) for seed in range(300)])
    assert len(drawn) == 300 * len(LABELS)
    roots = np.sqrt(np.bincount(codes))
    assert chisquare(np.bincount(codes[drawn]), 300 * len(LABELS) * roots / roots.sum()).pvalue > 1e-3
    # ... and the rows of one stratum are equally frequent.
    first = np.flatnonzero(codes == codes[0])
    assert chisquare(np.bincount(drawn, minlength=len(LABELS))[first]).pvalue > 1e-3


@pytest.mark.parametrize(("name", "by"), [("oversample", "class"), ("undersample", "class_and_group")])
def test_rows_of_a_stratum_are_drawn_alike(name: str, by: str) -> None:
    resample = build_resampler(name, {"by": by})
    drawn = np.bincount(np.concatenate([resample(LABELS, GROUPS, seed) for seed in range(300)]), minlength=100)
    codes = GROUPS * 3 + LABELS if by == "class_and_group" else LABELS
    rare = np.flatnonzero(codes == np.argmin(np.bincount(LABELS)) if by == "class" else codes == codes[0])
    assert chisquare(drawn[rare]).pvalue > 1e-3


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=80), st.integers(0, 2**32 - 1))
def test_the_draws_are_those_of_imbalanced_learn_for_any_codes(codes: list[int], seed: int) -> None:
    from imblearn.over_sampling import RandomOverSampler
    from imblearn.under_sampling import RandomUnderSampler

    labels = np.array(codes, dtype=np.int32)
    assume(len(set(codes)) > 1)
    for name, sampler in (("oversample", RandomOverSampler), ("undersample", RandomUnderSampler)):
        reference = sampler(random_state=seed)
        reference.fit_resample(np.arange(len(codes))[:, None], labels)
        assert build_resampler(name, {})(labels, None, seed).tolist() == sorted(reference.sample_indices_)


def counts_of(labels: dict[str, int], cells: dict[tuple[str, str], int] | None = None) -> Counts:
    """Counts as the data would have them."""
    cells = cells or {}
    groups: dict[str, int] = {}
    for (_, group), rows in cells.items():
        groups[group] = groups.get(group, 0) + rows
    return Counts(labels, groups, dict.fromkeys(groups, 5), cells, 0)


def refused(name: str, by: str, counts: Counts) -> str:
    method = MITIGATIONS[name]
    return "\n".join(method.unmet(method.Params(by=by), ASK, counts))


def test_a_group_without_training_rows_is_refused() -> None:
    counts = counts_of({"a": 20, "b": 20}, {("a", "f"): 20, ("b", "f"): 20, ("a", "m"): 0, ("b", "m"): 0})
    for name in SAMPLERS:
        assert "no training row is of group 'm'" in refused(name, "group", counts)
        assert "no training row is of group 'm'" in refused(name, "class_and_group", counts)
        assert refused(name, "class", counts) == ""


def test_undersampling_that_leaves_next_to_nothing_is_refused() -> None:
    assert "about 1.0 training rows of 'a'" in refused("undersample", "class", counts_of({"a": 50, "b": 1}))
    assert refused("undersample", "class", counts_of({"a": 50, "b": 2})) == ""
    cells = {("a", "f"): 90, ("b", "f"): 10, ("a", "m"): 10, ("b", "m"): 0}
    counts = counts_of({"a": 100, "b": 10}, cells)
    assert "about 1.0 training rows of 'b'" in refused("undersample", "group", counts)
    assert refused("undersample", "class_and_group", counts) == ""
    assert refused("oversample", "group", counts) == ""
