"""Parts of the training rows: nested, never dividing a subject, as large and as mixed as asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.manifest import SPLITS, Manifest, Status
from imgid_audit.io.subsets import half_of, nested

FRACTIONS = (0.125, 0.25, 0.5, 1.0)
DRAWS = range(12)


def manifest(rows: int, images: int, seed: int, classes: int = 3) -> Manifest:
    """Random splits by subject, a rare class, subjects of 1 to `images` rows, some rows excluded."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(rows), rng.integers(1, images + 1, rows))[:rows] if images else np.arange(rows)
    subjects = int(owner.max()) + 1
    split = rng.choice(4, subjects, p=[0.6, 0.2, 0.15, 0.05])[owner].astype(np.int32)
    label = rng.choice(classes, rows, p=[0.6, 0.3, 0.1]).astype(np.int32)
    names = np.array([f"r{row}" for row in range(rows)], dtype=object)
    status = np.where(rng.random(rows) < 0.05, int(Status.EXCLUDED), int(Status.PENDING)).astype(np.int8)
    device = Factor("device", ("day", "night"), (rng.random(rows) < 0.3).astype(np.int32))
    subject = Factor("patient", tuple(map(str, range(subjects))), owner.astype(np.int32)) if images else None
    labels = Factor("label", tuple("abc"), label)
    return Manifest(
        names, labels, Factor("split", SPLITS, split), (device,), subject, names, status, np.full(rows, "", object)
    )


@pytest.mark.parametrize("images", [0, 1, 6])
@pytest.mark.parametrize("seed", DRAWS)
def test_shares_are_nested_and_never_divide_a_subject(images: int, seed: int) -> None:
    table = manifest(400, images, seed)
    parts = nested(table, FRACTIONS, seed)
    train = table.rows("train")
    assert np.array_equal(parts[-1], train), "1 is all training rows"
    for smaller, larger in pairwise(parts):
        assert np.isin(smaller, larger).all()
        assert len(smaller) < len(larger)
    for part in parts:
        assert np.array_equal(part, np.unique(part))
        if table.subject is not None:
            left = np.setdiff1d(train, part)
            assert not set(table.subject.codes[part]) & set(table.subject.codes[left])


@pytest.mark.parametrize(("images", "slack"), [(0, 2), (1, 2), (6, 14)])
@pytest.mark.parametrize("seed", DRAWS)
def test_shares_are_as_large_as_asked_in_every_class(images: int, slack: int, seed: int) -> None:
    """To a row or two, or to somewhat more than two subjects of up to six rows."""
    table = manifest(600, images, seed)
    train = table.rows("train")
    whole = np.bincount(table.label.codes[train], minlength=3)
    for fraction, part in zip(FRACTIONS, nested(table, FRACTIONS, seed), strict=True):
        held = np.bincount(table.label.codes[part], minlength=3)
        assert np.abs(held - fraction * whole).max() <= slack
        assert abs(len(part) - fraction * len(train)) <= slack


@pytest.mark.parametrize("images", [0, 4])
def test_seeds_draw_other_rows_and_the_same_seed_the_same(images: int) -> None:
    table = manifest(300, images, 0)
    drawn = [nested(table, FRACTIONS, seed)[0] for seed in (0, 0, 1)]
    assert np.array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])


def test_fractions_that_do_not_end_in_one_leave_the_rest_out() -> None:
    table = manifest(300, 0, 0)
    few, more = nested(table, (0.1, 0.2), 3)
    assert len(more) == pytest.approx(0.2 * len(table.rows("train")), abs=2)
    assert np.isin(few, more).all()


@pytest.mark.parametrize("images", [0, 1, 5])
@pytest.mark.parametrize("seed", DRAWS)
def test_half_of_a_group_is_half_of_its_subjects_and_of_nobody_else(images: int, seed: int) -> None:
    table = manifest(500, images, seed)
    night = table.attributes[0].codes == 1
    taken = half_of(table, night, seed)
    assert taken is not None
    train = table.rows("train")
    assert night[taken].all()
    assert np.isin(taken, train).all()
    members = train[night[train]]
    units = members if table.subject is None else table.subject.codes[members]
    gone = taken if table.subject is None else table.subject.codes[taken]
    kept = np.setdiff1d(members, taken) if table.subject is None else table.subject.codes[np.setdiff1d(members, taken)]
    assert not set(gone) & set(kept), "of a subject all rows of the group, or none"
    assert len(set(gone)) == pytest.approx(len(set(units)) / 2, abs=max(2, 0.12 * len(set(units))))
    assert len(taken) == pytest.approx(len(members) / 2, abs=4)


def test_a_group_of_one_subject_cannot_be_halved() -> None:
    table = manifest(100, 3, 0)
    assert table.subject is not None
    assert half_of(table, table.subject.codes == table.subject.codes[table.rows("train")[0]], 0) is None
    assert half_of(table, np.zeros(100, dtype=bool), 0) is None
