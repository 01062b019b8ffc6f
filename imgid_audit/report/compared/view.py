"""A comparison with an index: one method's change or estimate of a quantity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from imgid_audit.core.comparison import Comparison, MethodChange, MethodEstimate, MethodRecord, Quantity
from imgid_audit.core.result import Undefined
from imgid_audit.metrics import METRICS
from imgid_audit.report.numbers import Unit

Key = tuple[str, Quantity, str, str | None]
"""Method, quantity, metric and class."""

Asked = tuple[Quantity, str, str | None]
"""Quantity, metric and class: a column of a table."""


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """`changes`, `average` (selected by average accuracy), `recalibrated` and `means` are found by method and quantity.

    For several slices (groups) the first is kept there; `groups` has them all.
    """

    comparison: Comparison
    changes: Mapping[Key, MethodChange]
    average: Mapping[Key, MethodChange]
    means: Mapping[Key, MethodEstimate]
    recalibrated: Mapping[Key, MethodEstimate]

    @staticmethod
    def of(comparison: Comparison) -> View:
        # the worst class of a method is its own, so a class does not tell worst classes apart
        changes: dict[Key, MethodChange] = {}
        average: dict[Key, MethodChange] = {}
        for change in comparison.changes:
            if not change.recalibrated and change.quantity != "group":
                (changes if change.selected == "declared" else average).setdefault(_key(change), change)
        means: dict[Key, MethodEstimate] = {}
        again: dict[Key, MethodEstimate] = {}
        for one in comparison.estimates:
            if one.seed is None and one.selected == "declared" and one.quantity != "group":
                (again if one.recalibrated else means).setdefault(_key(one), one)
        return View(comparison, changes, average, means, again)

    @property
    def primary(self) -> Asked:
        asked = self.comparison.primary
        return asked.quantity, asked.metric, None if asked.quantity == "worst_class" else asked.class_name

    @property
    def ran(self) -> tuple[MethodRecord, ...]:
        """The methods that ran, the baseline among them."""
        return tuple(record for record in self.comparison.records if record.status == "ran")

    @property
    def tried(self) -> tuple[MethodRecord, ...]:
        """The methods beside the baseline, in their order."""
        return tuple(record for record in self.comparison.records if record.name != self.comparison.baseline)

    def verdict_of(self, method: str) -> MethodChange | None:
        """The primary change of a method, the one that is judged; None where it was not run."""
        return self.changes.get((method, *self.primary))

    def groups(self, method: str) -> tuple[MethodChange, ...]:
        """Changes of the primary metric in every group, in the order of the comparison."""
        primary = self.comparison.primary
        return tuple(
            one
            for one in self.comparison.changes
            if (one.method, one.quantity, one.metric, one.class_name)
            == (method, "group", primary.metric, primary.class_name)
            and not one.recalibrated
            and one.selected == "declared"
        )


def _key(one: MethodChange | MethodEstimate) -> Key:
    return one.method, one.quantity, one.metric, None if one.quantity == "worst_class" else one.class_name


def direction(quantity: Quantity, metric: str) -> int:
    """+1 where more is better, -1 where less is, 0 where neither is; a gap is better smaller."""
    if quantity == "gap":
        return -1
    better = METRICS[metric].better if metric in METRICS else None
    return {"higher": 1, "lower": -1, None: 0}[better]


def defined(value: float | Undefined) -> float | None:
    """The number, if it is one."""
    return None if isinstance(value, Undefined) else value


def difference_unit(unit: Unit) -> Unit | None:
    """The unit along an axis of differences: points (None) for rates."""
    return None if unit == "percent" else unit
