"""Levels and bins: nothing is dropped, nothing is mixed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgid_audit.core.factor import MISSING, OTHER
from imgid_audit.io.attributes import bin_codes, bin_texts, read_attribute
from imgid_audit.io.messages import Remarks
from imgid_audit.io.settings import AttributeSettings
from imgid_audit.io.tables import frame_table

EDGES = st.lists(st.integers(-50, 50), min_size=2, max_size=6, unique=True).map(lambda edges: tuple(sorted(edges)))


def read(cells: list[object], **settings_: object) -> tuple[tuple[str, ...], list[str], Remarks]:
    remarks = Remarks()
    table = frame_table(pd.DataFrame({"x": cells}), "t.csv")
    factor = read_attribute(table, "x", AttributeSettings(**settings_), remarks)
    return factor.levels, factor.texts().tolist(), remarks


@settings(deadline=None)
@given(edges=EDGES, values=st.lists(st.one_of(st.integers(-60, 60), st.floats(-60, 60)), min_size=1, max_size=20))
def test_bins_are_those_of_pandas_with_a_closed_last_edge(edges: tuple[int, ...], values: list[float]) -> None:
    codes = bin_codes(np.array(values, dtype=np.float64), edges)
    expected = pd.cut(pd.Series(values, dtype=float), list(edges), right=False, labels=False)
    expected = expected.mask(pd.Series(values) == edges[-1], len(edges) - 2).fillna(-1).astype(int)
    assert codes.tolist() == expected.tolist()


def test_bin_texts() -> None:
    assert bin_texts((0, 46, 61.5, 76)) == ("[0, 46)", "[46, 61.5)", "[61.5, 76]")
    assert bin_texts((0, float("inf"))) == ("[0, inf]",)


def test_bins_and_levels_in_their_order() -> None:
    levels, texts, remarks = read(["100", "9", "", "46", "45.9", "9"], bins=(0, 10, 46, 100))
    assert levels == ("[0, 10)", "[10, 46)", "[46, 100]", MISSING)
    assert texts == ["[46, 100]", "[0, 10)", MISSING, "[46, 100]", "[10, 46)", "[0, 10)"]
    assert not remarks.problems
    assert read(["b", "10", "9", "a", ""])[0] == ("10", "9", "a", "b", MISSING)


def test_numbers_that_are_none_or_out_of_the_bins_are_named_by_row() -> None:
    _, _, remarks = read(["1", "abc", "200", "", "-1", "nan", "0x1"], bins=(0, 10, 20))
    first, second = map(str, remarks.problems)
    assert first.startswith("t.csv rows 2, 6, 7 [x] is not a number: 'abc', 'nan', '0x1'")
    assert second == "t.csv rows 3, 5 [x] lies outside the bins 0 to 20: -1 to 200; widen them or empty the cell"


def test_min_count_gathers_the_rare_and_never_the_missing() -> None:
    levels, texts, _ = read(["a", "a", "b", "c", "", "a"], min_count=2)
    assert levels == ("a", OTHER, MISSING)
    assert texts == ["a", "a", OTHER, OTHER, MISSING, "a"]
    assert read(["a", "b"], min_count=5)[0] == (OTHER,)
    assert read(["1", "15"], bins=(0, 10, 20), min_count=1)[0] == ("[0, 10)", "[10, 20]")


@settings(deadline=None)
@given(cells=st.lists(st.sampled_from(["", "a", "b", "c", "A ", "NA"]), min_size=1), least=st.integers(1, 4))
def test_no_row_is_lost_and_no_level_is_empty(cells: list[str], least: int) -> None:
    levels, texts, _ = read(list(cells), min_count=least)
    assert len(set(levels)) == len(levels)
    assert set(levels) == set(texts)
    for cell, text in zip(cells, texts, strict=True):
        expected = MISSING if cell == "" else cell if cells.count(cell) >= least else OTHER
        assert text == expected


@pytest.mark.parametrize("reserved", [MISSING, OTHER])
def test_levels_that_carry_our_own_names_are_refused(reserved: str) -> None:
    _, _, remarks = read(["a", reserved, ""])
    assert str(remarks.problems[0]).startswith(f"t.csv row 2 [x] says {reserved!r}, a name that the audit gives itself")


def test_levels_that_differ_by_case_or_blanks_stay_apart_and_are_noted() -> None:
    levels, _, remarks = read(["F", "f", "F ", "M"])
    assert levels == ("F", "F ", "M", "f")
    assert remarks.notes == ["attribute x: these differ only by case or blanks and are kept apart: 'F', 'F ', 'f'"]
    assert read(["F", "M"])[2].notes == []


def test_free_text_is_no_category() -> None:
    _, _, remarks = read(["a", "x" * 301, "b"])
    (problem,) = remarks.problems
    assert "row 2" in problem.where
    assert "300 characters" in problem.message
    assert not read(["a", "x" * 300])[2].problems
