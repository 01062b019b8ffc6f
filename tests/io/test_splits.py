"""Laws of splitting: no subject is divided, every row is somewhere, fractions and labels come near."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS
from imgid_audit.io.messages import Remarks
from imgid_audit.io.settings import SplitSettings
from imgid_audit.io.splits import Units, assign_splits
from imgid_audit.io.tables import frame_table


def factor(name: str, values: object) -> Factor:
    codes, levels = pd.factorize(pd.Series(values, dtype=object), sort=True)
    return Factor(name, tuple(map(str, levels)), codes.astype(np.int32))


def split_of(
    split: SplitSettings | str | None,
    label: object,
    subject: object = None,
    ids: object = None,
    ready: object = None,
    eligible: object = None,
) -> tuple[np.ndarray, Remarks]:
    n = len(label)  # type: ignore[arg-type]
    names = np.array([f"id{i:05d}" for i in range(n)] if ids is None else ids, dtype=object)
    units = Units(
        factor("label", label),
        None if subject is None else factor("subject", subject),
        names,
        np.ones(n, dtype=bool) if eligible is None else np.asarray(eligible),
    )
    table = frame_table(pd.DataFrame({"split": [""] * n if ready is None else ready}), "t.csv")
    remarks = Remarks()
    drawn = assign_splits(table, split, units, remarks)
    assert drawn.levels == SPLITS
    return drawn.texts(), remarks


FRACTIONS = st.fixed_dictionaries(
    {
        "val": st.sampled_from([None, 0.1, 0.25]),
        "test": st.sampled_from([0.2, 0.4]),
        "adjust": st.sampled_from([None, 0.1]),
    }
)


@settings(deadline=None, max_examples=60)
@given(fractions=FRACTIONS, seed=st.integers(0, 99), sizes=st.lists(st.integers(20, 200), min_size=2, max_size=4))
def test_rows_are_stratified_by_label_within_two_rows(
    fractions: dict[str, float | None], seed: int, sizes: list[int]
) -> None:
    label = np.repeat(np.arange(len(sizes)), sizes)
    splits, remarks = split_of(SplitSettings(seed=seed, **fractions), label)
    assert not remarks.problems
    for name, fraction in fractions.items():
        assert abs((splits == name).sum() - (fraction or 0) * len(label)) <= 1.01
        for code, size in enumerate(sizes):
            assert abs((splits[label == code] == name).sum() - (fraction or 0) * size) <= 2


@settings(deadline=None, max_examples=60)
@given(fractions=FRACTIONS, seed=st.integers(0, 99), data=st.data())
def test_no_subject_is_divided_and_proportions_come_near(
    fractions: dict[str, float | None], seed: int, data: st.DataObject
) -> None:
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    subjects = data.draw(st.integers(40, 120))
    sizes = rng.integers(1, data.draw(st.integers(2, 8)), subjects)
    subject = np.repeat(np.arange(subjects), sizes)
    own = rng.integers(0, 2, subjects)[subject]
    label = np.where(rng.random(len(subject)) < 0.8, own, 1 - own)
    splits, remarks = split_of(SplitSettings(seed=seed, **fractions), label, subject)
    assert not remarks.problems
    assert (pd.Series(splits).groupby(subject).nunique() == 1).all()
    assert set(splits) <= set(SPLITS)
    room = sizes.max() + 1
    for name, fraction in fractions.items():
        inside = splits == name
        assert abs(inside.sum() - (fraction or 0) * len(label)) <= room
        for code in (0, 1):
            assert abs(inside[label == code].sum() - (fraction or 0) * (label == code).sum()) <= 2 * room


def test_one_row_a_subject_is_as_good_as_rows() -> None:
    label = np.repeat([0, 1, 2], [5000, 700, 40])
    splits, _ = split_of(SplitSettings(val=0.2, test=0.4), label, np.arange(len(label)))
    for code, size in enumerate((5000, 700, 40)):
        counts = pd.Series(splits[label == code]).value_counts()
        assert (counts[["val", "test", "train"]] - np.array([0.2, 0.4, 0.4]) * size).abs().max() <= 2


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 9), by_subject=st.booleans(), shuffle=st.randoms(use_true_random=False))
def test_same_seed_same_split_whatever_the_order_of_rows(seed: int, by_subject: bool, shuffle: object) -> None:
    n = 90
    ids = np.array([f"im{i}" for i in range(n)], dtype=object)
    label, subject = np.arange(n) % 3, np.array([f"s{i // 4}" for i in range(n)], dtype=object)
    asked = SplitSettings(val=0.2, test=0.3, seed=seed)
    order = np.array(shuffle.sample(range(n), n))  # type: ignore[attr-defined]
    first, _ = split_of(asked, label, subject if by_subject else None, ids)
    again, _ = split_of(asked, label[order], subject[order] if by_subject else None, ids[order])
    assert (again == first[order]).all()


def test_another_seed_is_another_split() -> None:
    label = np.arange(200) % 2
    drawn = [tuple(split_of(SplitSettings(test=0.5, seed=seed), label)[0]) for seed in range(5)]
    assert len(set(drawn)) == 5


def test_another_seed_divides_subjects_of_different_sizes_otherwise() -> None:
    sizes = np.random.default_rng(0).permutation(np.arange(20, 120))
    subject = np.repeat(np.arange(len(sizes)), sizes)
    label = np.random.default_rng(1).integers(0, 10, len(subject))
    chosen = [set(subject[split_of(SplitSettings(test=0.3, seed=s), label, subject)[0] == "test"]) for s in range(6)]
    overlaps = [len(chosen[0] & other) / len(chosen[0]) for other in chosen[1:]]
    assert np.mean(overlaps) < 0.5, "independent draws share 30 %"


def test_draws_do_not_follow_the_order_of_ids() -> None:
    splits, _ = split_of(SplitSettings(test=0.5), np.zeros(1000))
    positions = np.flatnonzero(splits == "test")
    assert abs(positions.mean() - 499.5) < 40  # 4 standard errors of a random half


def test_no_split_is_all_test() -> None:
    assert set(split_of(None, [0, 1, 0])[0]) == {"test"}


@pytest.mark.parametrize("split", ["split", SplitSettings(column="split")])
def test_ready_splits(split: str | SplitSettings) -> None:
    ready = ["train", "test", "val", "adjust"]
    splits, remarks = split_of(split, [0, 1, 0, 1], ready=ready)
    assert splits.tolist() == ready
    assert not remarks.problems


def test_ready_splits_of_other_words_are_refused() -> None:
    _, remarks = split_of("split", [0, 1, 0, 1], ready=["train", "", "dev", "Test"])
    known = "'train', 'val', 'test', 'adjust'"
    assert [str(problem) for problem in remarks.problems] == [
        f"t.csv row 2 [split] is empty: say one of {known}",
        f"t.csv rows 3, 4 [split] says 'Test', 'dev': it must be one of {known}",
    ]


def test_ready_splits_that_divide_subjects_are_refused() -> None:
    subject = ["a", "a", "b", "b", "c"]
    ready = ["train", "test", "val", "val", "test"]
    _, remarks = split_of("split", [0, 1, 0, 1, 0], subject, ready=ready)
    assert "1 subject is in more than one split:" in str(remarks.problems[0])
    assert "'a'" not in str(remarks.problems[0])
    _, remarks = split_of("split", [0, 1, 0, 1, 0], subject, ready=ready, eligible=[True, False, True, True, True])
    assert not remarks.problems, "an excluded row is in no split"


def test_val_and_adjust_are_taken_from_ready_train() -> None:
    ready = np.repeat(["train", "test"], [100, 60])
    subject = np.repeat(np.arange(40), 4)
    label = np.arange(160) % 2
    asked = SplitSettings(column="split", val=0.2, adjust=0.1)
    splits, remarks = split_of(asked, label, subject, ready=ready)
    assert not remarks.problems
    assert (splits[100:] == "test").all()
    counts = pd.Series(splits[:100]).value_counts()
    assert counts["val"] == 20
    assert counts["adjust"] in (8, 12), "10 rows in subjects of 4"
    assert (pd.Series(splits).groupby(subject).nunique() == 1).all()


def test_val_cannot_be_taken_where_there_is_one() -> None:
    _, remarks = split_of(SplitSettings(column="split", val=0.2), [0, 1], ready=["train", "val"])
    assert "already has a val split" in str(remarks.problems[0])
    _, remarks = split_of(SplitSettings(column="split", adjust=0.5), [0, 1, 0], ready=["train", "adjust", "test"])
    assert "already has an adjust split: remove data.split.adjust" in str(remarks.problems[0])


def test_a_part_that_would_be_empty_is_refused() -> None:
    _, remarks = split_of(SplitSettings(val=0.1, test=0.4), [0, 1, 0, 1], ["a", "a", "b", "b"])
    assert "val would be empty" in str(remarks.problems[0])


def test_excluded_rows_do_not_count() -> None:
    eligible = np.arange(300) % 3 > 0
    splits, _ = split_of(SplitSettings(test=0.5), np.zeros(300), eligible=eligible)
    assert (splits[eligible] == "test").sum() == 100
    assert (splits[~eligible] == "train").all()
