"""The one module that makes numbers text. Rounding never lies.

An anchor (0 and 100 %, 0 and 1) is printed only where the number is exactly that; whatever would
round to it is printed as ``< 0.1 %`` or ``> 99.9 %``. All functions are monotone: a larger number
is never printed as a smaller one. Numbers are rounded half to even from their exact binary value.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from datetime import date as calendar_date
from decimal import Decimal
from typing import Literal

from imgid_audit.core.result import Interval, Undefined

NBSP = "\u00a0"
THIN = "\u202f"
MINUS = "\u2212"

FEWER_DIGITS = 5
"""A number with so many digits fewer than the next one was meant; the next one was not."""

Unit = Literal["percent", "decimal"]
"""How a metric's values are printed: rates as percentages, scores as plain decimals."""

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July"),
    *("August", "September", "October", "November", "December"),
)


def _fixed(exact: Decimal, digits: int, anchors: tuple[int, ...]) -> str:
    """`exact` with `digits` decimals; an anchor is printed bare, and only where it is exact."""
    if not exact.is_finite():
        raise ValueError(f"{exact} is not a number that can be printed; an absent value is an Undefined")
    rounded = Decimal(f"{exact:.{digits}f}")
    if rounded not in anchors:
        return _sign(f"{rounded:f}")
    if exact == rounded:
        return _sign(str(int(rounded)))
    step = Decimal(1).scaleb(-digits)
    return f">{NBSP}{_sign(f'{rounded - step:f}')}" if exact < rounded else f"<{NBSP}{_sign(f'{rounded + step:f}')}"


def _sign(text: str) -> str:
    return text.replace("-", MINUS)


def percent(value: float, digits: int = 1) -> str:
    """A share or rate in [0, 1] as ``87.3 %``."""
    return f"{_fixed(Decimal(value) * 100, digits, (0, 100))}{NBSP}%"


def decimal(value: float, digits: int = 3) -> str:
    """A score, a loss or a ratio as ``0.873``; 0 and 1 are printed bare where they are exact."""
    return _fixed(Decimal(value), digits, (0, 1))


def at_least(threshold: float, digits: int = 4) -> str:
    """``at least 0.4213``; ``above 0.5`` for the next number above one with few digits.

    That is the threshold that calls a highest score of 0.5 negative; rounded, it would say the opposite.
    A number in float32, as models give them, counts as one with few digits.
    """
    below = math.nextafter(threshold, -math.inf)
    rounder = len(repr(below)) + FEWER_DIGITS <= len(repr(threshold)) or (_single(below) and not _single(threshold))
    return f"above {decimal(below, digits)}" if rounder else f"at least {decimal(threshold, digits)}"


def _single(value: float) -> bool:
    return bool(struct.unpack("f", struct.pack("f", value))[0] == value)


def metric_value(value: float | Undefined, unit: Unit, digits: int | None = None) -> str:
    """An estimate in its unit, or ``undefined: reason``."""
    if isinstance(value, Undefined):
        return undefined(value)
    if unit == "percent":
        return percent(value, 1 if digits is None else digits)
    return decimal(value, 3 if digits is None else digits)


def _bare_difference(value: float, unit: Unit, digits: int | None = None) -> str:
    if unit == "percent":
        return _fixed(Decimal(value) * 100, 1 if digits is None else digits, (-100, 0, 100))
    return _fixed(Decimal(value), 3 if digits is None else digits, (-1, 0, 1))


def difference(value: float | Undefined, unit: Unit, digits: int | None = None) -> str:
    """A difference of two rates as ``14.2 points`` (percentage points), of two scores as ``0.142``."""
    if isinstance(value, Undefined):
        return undefined(value)
    text = _bare_difference(value, unit, digits)
    return f"{text}{NBSP}points" if unit == "percent" else text


def signed_difference(value: float, unit: Unit) -> str:
    """A difference with its sign, ``+3.1 points`` or ``−3.1 points``; zero has none."""
    text = difference(value, unit)
    if value <= 0:
        return text
    return f"<{NBSP}+{text[2:]}" if text.startswith("<") else f"+{text}"


def interval(of: Interval, unit: Unit) -> str:
    """An interval of a metric's values, ``[82.1 %, 90.3 %]``."""
    return f"[{metric_value(of.low, unit)}, {metric_value(of.high, unit)}]"


def difference_interval(of: Interval, unit: Unit) -> str:
    """An interval of a difference, ``[6.1, 21.9] points``."""
    bare = f"[{_bare_difference(of.low, unit)}, {_bare_difference(of.high, unit)}]"
    return f"{bare}{NBSP}points" if unit == "percent" else bare


def ratio_interval(of: Interval) -> str:
    """An interval of a ratio, ``[0.412, 0.875]``."""
    return f"[{decimal(of.low)}, {decimal(of.high)}]"


def apart(value: float, reference: float, write: Callable[[float, int], str], digits: int) -> str:
    """`value` with as many decimals as it takes to look different from a `reference` it is not equal to.

    A bound of 10.04 points beside a tolerance of 10 would otherwise look as if it met it.
    """
    if value == reference:
        return write(value, digits)
    for more in range(digits, digits + 8):
        if write(value, more) != write(reference, more):
            return write(value, more)
    return write(value, digits + 8)


def count(number: int | None) -> str:
    """A count with thin separators, ``12 345``; a dash for one that is hidden."""
    if number is None:
        return "–"
    return f"{number:,}".replace(",", THIN).replace("-", MINUS)


def short(number: float) -> str:
    """A number along an axis, ``93 k``, ``11.2 M``: three digits, for places alone; tables have the whole."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size * 0.9995:
            return f"{_rounded(number / size)}{NBSP}{letter}"
    return _rounded(number)


def _rounded(number: float) -> str:
    return setting(float(f"{number:.3g}"))


def rate(number: float) -> str:
    """A learning rate or another setting that was computed, with three digits: ``0.000346``."""
    return _rounded(number)


def needed(more: int, ends: tuple[int, int | None] | None) -> str:
    """How many more, with the range that noise leaves: ``40 (25 to 90)``, ``40 (25 or more)``, ``40``."""
    if ends is None or ends == (more, more):
        return count(more)
    low, high = ends
    return f"{count(more)} ({count(low)} or more)" if high is None else f"{count(more)} ({count(low)} to {count(high)})"


def share(part: int, whole: int) -> str:
    """``part`` of ``whole`` as a percentage, or a dash where there is no whole."""
    return percent(part / whole) if whole else "–"


def plural(number: int, one: str, many: str | None = None) -> str:
    """``1 row``, ``12 345 rows``."""
    return f"{count(number)}{NBSP}{one if number == 1 else many or one + 's'}"


def p_value(p: float) -> str:
    """``p = .032``, ``p < .001``, ``p > .999``; 1 only where it is exact, 0 never."""
    if not 0 <= p <= 1:
        raise ValueError(f"a p-value is in [0, 1], got {p}")
    if p == 1:
        return f"p{NBSP}={NBSP}1"
    rounded = f"{Decimal(p):.3f}"
    if rounded == "0.000":
        return f"p{NBSP}<{NBSP}.001"
    if rounded == "1.000":
        return f"p{NBSP}>{NBSP}.999"
    return f"p{NBSP}={NBSP}{rounded[1:]}"


def level(confidence: float) -> str:
    """A confidence level, ``95 %`` or ``99.5 %``."""
    return f"{_shortest(Decimal(str(confidence)) * 100)}{NBSP}%"


def setting(number: float) -> str:
    """A number that a person wrote, with the digits that they wrote."""
    return _sign(_shortest(Decimal(str(number))))


def tolerance(number: float, unit: Unit) -> str:
    """A tolerance as its author wrote it: ``10 %`` for 0.10 of a rate, ``0.1`` of a score."""
    if unit == "percent":
        return f"{_sign(_shortest(Decimal(str(number)) * 100))}{NBSP}%"
    return setting(number)


def _shortest(exact: Decimal) -> str:
    text = f"{exact:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def undefined(value: Undefined) -> str:
    """``undefined: reason``; ``suppressed`` alone, for its reason is one for the whole report."""
    if value.kind == "suppressed":
        return "suppressed"
    return f"undefined: {value.reason}" if value.reason else f"undefined: {value.kind.replace('_', ' ')}"


def date(moment: datetime) -> str:
    """``23 November 2026``, of UTC, whatever the machine's locale is."""
    return day(moment.astimezone(UTC).date())


def day(of: calendar_date) -> str:
    """``23 November 2026``."""
    return f"{of.day}{NBSP}{MONTHS[of.month - 1]}{NBSP}{of.year}"


def date_time(moment: datetime) -> str:
    """``23 November 2026, 14:05 UTC``."""
    utc = moment.astimezone(UTC)
    return f"{date(utc)}, {utc.hour:02d}:{utc.minute:02d}{NBSP}UTC"


def stamp(moment: datetime) -> str:
    """``2026-11-23 14:05``, of UTC: for columns of dates."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def coordinate(number: float) -> str:
    """A length in a drawing: at most two decimals."""
    text = f"{number:.2f}".rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text


def sort_key(number: float) -> str:
    """The full number, for sorting in a browser; never shown."""
    return repr(float(number))
