"""Laws of printed numbers: rounding never lies."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imgid_audit.core.result import Interval, Undefined
from imgid_audit.report import numbers

unit_interval = st.floats(0, 1)
differences = st.floats(-1, 1)


def span(text: str) -> tuple[Decimal, Decimal]:
    """The numbers that a printed text can stand for, as a closed range; the inverse of rounding."""
    plain = text.replace(numbers.NBSP, " ").replace(numbers.MINUS, "-").replace(" points", "").replace(" %", "")
    sign, _, digits = plain.rpartition(" ")
    number = Decimal(digits)
    if sign == "<":
        return Decimal("-Infinity"), number
    if sign == ">":
        return number, Decimal("Infinity")
    half = Decimal(5).scaleb(number.as_tuple().exponent - 1) if "." in digits else Decimal(0)
    return number - half, number + half


@given(unit_interval)
@example(0.9997)
@example(0.99949999999)
@example(5e-324)
@example(0.9999999999999999)
@example(0.0005)
def test_percent_prints_0_and_100_only_where_they_are_exact(value: float) -> None:
    text = numbers.percent(value)
    assert (text == f"0{numbers.NBSP}%") == (value == 0)
    assert (text == f"100{numbers.NBSP}%") == (value == 1)
    assert "100.0" not in text
    assert not text.startswith("0.0")


@given(unit_interval)
def test_percent_prints_what_is_true(value: float) -> None:
    low, high = span(numbers.percent(value))
    assert low <= Decimal(value) * 100 <= high


@given(st.floats(-3, 40))
def test_decimal_prints_0_and_1_only_where_they_are_exact(value: float) -> None:
    text = numbers.decimal(value)
    assert (text == "0") == (value == 0)
    assert (text == "1") == (value == 1)
    low, high = span(text)
    assert low <= Decimal(value) <= high


@given(differences)
def test_differences_are_true_and_exact_at_the_ends(value: float) -> None:
    text = numbers.difference(value, "percent")
    assert (text == f"0{numbers.NBSP}points") == (value == 0)
    assert (text == f"100{numbers.NBSP}points") == (value == 1)
    low, high = span(text)
    assert low <= Decimal(value) * 100 <= high


@given(differences)
def test_signed_differences_carry_their_sign(value: float) -> None:
    text = numbers.signed_difference(value, "percent")
    assert ("+" in text) == (value > 0)
    assert (numbers.MINUS in text) == (value < 0)
    assert "-" not in text


@given(st.lists(unit_interval, min_size=2, max_size=2).map(sorted), st.sampled_from(["percent", "decimal"]))
def test_a_larger_number_is_never_printed_as_a_smaller_one(pair: list[float], unit: numbers.Unit) -> None:
    low, high = (span(numbers.metric_value(value, unit)) for value in pair)
    assert sum(low) / 2 <= sum(high) / 2 if all(x.is_finite() for x in (*low, *high)) else low[0] <= high[1]


@given(st.floats(0, 1), st.floats(0, 1))
def test_a_bound_never_looks_like_the_tolerance_that_it_is_not(value: float, tolerance: float) -> None:
    def write(number: float, digits: int) -> str:
        return numbers.difference(number, "percent", digits)

    said = numbers.apart(value, tolerance, write, 1)
    if value != tolerance and abs(value - tolerance) > 1e-8:
        assert said not in (write(tolerance, 1), f"{Decimal(repr(tolerance)) * 100:f}{numbers.NBSP}points")


def test_a_bound_of_10_04_points_is_told_from_10() -> None:
    def write(number: float, digits: int) -> str:
        return numbers.difference(number, "percent", digits)

    assert numbers.apart(0.1004, 0.1, write, 1) == f"10.04{numbers.NBSP}points"
    assert numbers.apart(0.0996, 0.1, write, 1) == f"9.96{numbers.NBSP}points"
    assert numbers.apart(0.1, 0.1, write, 1) == f"10.0{numbers.NBSP}points"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.873, "87.3 %"), (0.9997, "> 99.9 %"), (0.0003, "< 0.1 %"), (1.0, "100 %"), (0.0, "0 %"), (0.5, "50.0 %")],
)
def test_percentages(value: float, text: str) -> None:
    assert numbers.percent(value).replace(numbers.NBSP, " ") == text


@pytest.mark.parametrize(
    ("p", "text"),
    [(0.0, "p < .001"), (1e-9, "p < .001"), (0.0321, "p = .032"), (0.9999, "p > .999"), (1.0, "p = 1")],
)
def test_p_values(p: float, text: str) -> None:
    assert numbers.p_value(p).replace(numbers.NBSP, " ") == text


@given(unit_interval)
def test_p_values_are_never_printed_as_0(p: float) -> None:
    text = numbers.p_value(p)
    assert not re.search(r"=.0?\.?0+$", text)
    assert (text.endswith(f"={numbers.NBSP}1")) == (p == 1)


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_p_value_outside_0_and_1_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="p-value"):
        numbers.p_value(p)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_never_printed(value: float) -> None:
    for write in (numbers.percent, numbers.decimal):
        with pytest.raises(ValueError, match="Undefined"):
            write(value)


@given(st.integers(0, 10**12))
def test_counts_keep_every_digit(number: int) -> None:
    text = numbers.count(number)
    assert text.replace(numbers.THIN, "") == str(number)
    assert all(len(part) == 3 for part in text.split(numbers.THIN)[1:])


def test_intervals_and_undefined() -> None:
    of = Interval(0.821, 0.9999, 0.95, "Wilson")
    assert numbers.interval(of, "percent").replace(numbers.NBSP, " ") == "[82.1 %, > 99.9 %]"
    assert numbers.interval(of, "decimal").replace(numbers.NBSP, " ") == "[0.821, > 0.999]"
    gap = Interval(0.061, 0.219, 0.95, "MOVER")
    assert numbers.difference_interval(gap, "percent").replace(numbers.NBSP, " ") == "[6.1, 21.9] points"
    assert numbers.metric_value(Undefined("empty", "no positives"), "percent") == "undefined: no positives"
    assert numbers.undefined(Undefined("below_minimum", "")) == "undefined: below minimum"


def test_tolerances_stand_as_they_were_written() -> None:
    assert numbers.tolerance(0.8, "percent").replace(numbers.NBSP, " ") == "80 %"
    assert numbers.tolerance(0.125, "percent").replace(numbers.NBSP, " ") == "12.5 %"
    assert numbers.tolerance(0.05, "decimal") == "0.05"
    assert numbers.level(0.95).replace(numbers.NBSP, " ") == "95 %"
    assert numbers.level(0.999).replace(numbers.NBSP, " ") == "99.9 %"


def test_dates_are_of_utc_and_know_no_locale() -> None:
    moment = datetime(2026, 3, 1, 1, 5, tzinfo=timezone(timedelta(hours=2)))
    assert numbers.date_time(moment).replace(numbers.NBSP, " ") == "28 February 2026, 23:05 UTC"
    assert numbers.date(moment.astimezone(UTC)).replace(numbers.NBSP, " ") == "28 February 2026"


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (0.5, "at least 0.5000"),
        (0.4213, "at least 0.4213"),
        (1.0, "at least 1"),
        (np.nextafter(0.5, 1), "above 0.5000"),
        (np.nextafter(1.0, 2), "above 1"),
        (np.nextafter(float(np.float32(0.3)), 1), "above 0.3000"),
        (float(np.float32(0.3)), "at least 0.3000"),
    ],
)
def test_the_next_number_above_a_score_is_not_said_to_be_that_score(threshold: float, said: str) -> None:
    assert numbers.at_least(float(threshold)) == said
