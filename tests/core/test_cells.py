"""Cells are additive, and each class's four outcomes add up to the rows."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from imgid_audit.core.cells import FN, FP, TN, TP, Cells

ROWS = st.integers(1, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1), st.integers(0, 3)), max_size=60),
    )
)


def count(rows: list[tuple[int, int, int]], classes: int) -> Cells:
    table = np.array(rows, dtype=np.int32).reshape(-1, 3)
    return Cells.count(table[:, 0], table[:, 1], table[:, 2], 4, classes)


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_counts_by_brute_force(case: tuple[int, list[tuple[int, int, int]]]) -> None:
    classes, rows = case
    cells = count(rows, classes)
    assert cells.counts.shape == (4, classes, 4)
    for unit in range(4):
        for k in range(classes):
            mine = [(label, called) for label, called, u in rows if u == unit]
            assert cells.counts[unit, k, TP] == sum(a == k and b == k for a, b in mine)
            assert cells.counts[unit, k, FP] == sum(a != k and b == k for a, b in mine)
            assert cells.counts[unit, k, FN] == sum(a == k and b != k for a, b in mine)
            assert cells.counts[unit, k, TN] == sum(a != k and b != k for a, b in mine)
        assert cells.n[unit] == len(mine)
        assert (cells.counts[unit].sum(axis=1) == len(mine)).all()


@settings(max_examples=100, deadline=None)
@given(ROWS, st.integers(0, 60))
def test_parts_add_up_and_slices_merge(case: tuple[int, list[tuple[int, int, int]]], cut: int) -> None:
    classes, rows = case
    whole = count(rows, classes)
    assert_array_equal((count(rows[:cut], classes) + count(rows[cut:], classes)).counts, whole.counts)
    assert_array_equal((whole + Cells.zeros((4,), classes)).counts, whole.counts)
    together = count([(a, b, 0) for a, b, _ in rows], classes)
    assert_array_equal(whole.sum().counts, together.counts[0])
