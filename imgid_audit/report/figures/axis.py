"""A horizontal axis and the strips that a forest plot draws along it.

Positions are percentages of the plot's width, so a strip keeps its proportions at any width and
needs no script.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from imgid_audit.core.result import Estimate, Gap, Undefined
from imgid_audit.report import numbers
from imgid_audit.report.numbers import Unit

PAD = 6.0
"""Per cent of the width left free on either side, so that end labels and points are not cut."""

STEPS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Tick:
    """A tick at `x` (per cent of the width) with its label."""

    x: str
    label: str
    anchor: Literal["start", "middle", "end"] = "middle"


@dataclass(frozen=True, slots=True)
class Axis:
    """A linear scale from `low` to `high`, with ticks at round values."""

    low: float
    high: float
    ticks: tuple[Tick, ...]

    def x(self, value: float) -> str:
        """Position of a value, per cent of the width."""
        share = (value - self.low) / (self.high - self.low)
        return f"{numbers.coordinate(PAD + (100 - 2 * PAD) * min(max(share, 0.0), 1.0))}%"


@dataclass(frozen=True, slots=True)
class Strip:
    """A point with its interval, a dashed line at the reference, and light lines at the ticks.

    `text` says the same in words. A gap's strip has a shaded span from `zero` to `chance`.
    """

    low: str
    point: str
    high: str
    reference: str
    grid: tuple[str, ...]
    text: str
    zero: str = ""
    chance: str = ""


def axis_over(
    lows: Sequence[float], highs: Sequence[float], unit: Unit | None, ceiling: float = 1.0, least: float = 0.1
) -> Axis:
    """The axis with three to six round ticks that holds all of the values; no unit: percentage points.

    It is at least `least` of a unit wide, so that small differences do not fill the page, and does
    not go beyond [0, `ceiling`] unless values do.
    """
    low, high = min(lows), max(highs)
    if high - low < least:
        middle = (low + high) / 2
        low, high = middle - least / 2, middle + least / 2
        shift = max(0.0 - low, 0.0) if min(lows) >= 0 else 0.0
        low, high = low + shift, high + shift
        shift = max(high - ceiling, 0.0) if max(highs) <= ceiling else 0.0
        low, high = low - shift, high - shift
    step = next((s for s in STEPS if (high - low) / s <= 5), (high - low) / 4)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    # 3 x 0.1 is more than 0.3
    plain = Axis(min(first * step, low), max(last * step, high), ())
    ticks = tuple(Tick(plain.x(i * step), _tick_label(i * step, step, unit), "middle") for i in range(first, last + 1))
    return Axis(plain.low, plain.high, ticks)


def _tick_label(value: float, step: float, unit: Unit | None) -> str:
    if unit != "decimal":
        sign = f"{numbers.NBSP}%" if unit else ""
        return f"{numbers.setting(round(value * 100, 6))}{sign}"
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    return numbers.setting(round(value, decimals + 2))


def strip(axis: Axis, estimate: Estimate, reference: float | None, text: str) -> Strip | None:
    """The strip of a defined estimate; None where there is nothing to draw."""
    if isinstance(estimate.value, Undefined) or estimate.interval is None:
        return None
    return Strip(
        axis.x(estimate.interval.low),
        axis.x(estimate.value),
        axis.x(estimate.interval.high),
        "" if reference is None else axis.x(reference),
        tuple(tick.x for tick in axis.ticks),
        text,
    )


def gap_strip(axis: Axis, gap: Gap, text: str) -> Strip | None:
    """The strip of a defined gap, with its noise envelope shaded from 0 on; None where there is nothing to draw."""
    if isinstance(gap.value, Undefined) or gap.interval is None or gap.envelope is None:
        return None
    return Strip(
        axis.x(gap.interval.low),
        axis.x(gap.value),
        axis.x(gap.interval.high),
        "",
        tuple(tick.x for tick in axis.ticks),
        text,
        axis.x(0.0),
        axis.x(gap.envelope.upper),
    )
