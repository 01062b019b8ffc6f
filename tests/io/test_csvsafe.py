"""Spreadsheets show these cells and do not run them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgid_audit.io.csvsafe import neutralise

FORMULAS = [
    '=HYPERLINK("http://x")',
    "+1+1",
    "-1+cmd|' /C calc'!A0",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "\n=1",
    "-",
    "--1",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_neutralised(text: str) -> None:
    assert neutralise(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-0.25", "+3", "-1e-05", "-.5", "", "a=1", "F", "(missing)", "é", "[0, 46)", "'x"])
def test_numbers_and_plain_text_stay(text: str) -> None:
    assert neutralise(text) == text


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_stays_a_number(value: float) -> None:
    assert neutralise(repr(value)) == repr(value)


@given(text=st.text())
def test_no_cell_begins_a_formula(text: str) -> None:
    safe = neutralise(text)
    assert safe.removeprefix("'") == text.removeprefix("'")
    if safe.startswith(("=", "@", "\t", "\r")):
        raise AssertionError(safe)
