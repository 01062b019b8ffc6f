"""A value before and after, as two points joined along an axis."""

from __future__ import annotations

from dataclasses import dataclass, replace

from imgid_audit.core.result import Undefined
from imgid_audit.report.figures.axis import Axis


@dataclass(frozen=True, slots=True)
class Dumbbell:
    """A hollow point before, a filled one after, and light lines at the ticks; `text` says the same in words."""

    before: str
    after: str
    grid: tuple[str, ...]
    text: str


def dumbbell(axis: Axis, before: float | Undefined, after: float | Undefined, text: str) -> Dumbbell | None:
    """The drawing of a change; None where either end has no value."""
    if isinstance(before, Undefined) or isinstance(after, Undefined):
        return None
    return Dumbbell(axis.x(before), axis.x(after), tuple(tick.x for tick in axis.ticks), text)


def inward(axis: Axis) -> Axis:
    """The axis with its outermost labels turned inwards: in a narrow column they would be cut at its edges."""
    if len(axis.ticks) < 2:
        return axis
    first, *middle, last = axis.ticks
    return replace(axis, ticks=(replace(first, anchor="start"), *middle, replace(last, anchor="end")))
