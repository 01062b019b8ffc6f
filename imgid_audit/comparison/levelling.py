"""Levelling down: a gap that closed because the best group lost, not because the worst one won."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from imgid_audit.comparison.quantities import Frame, Key, primary_key
from imgid_audit.comparison.series import Series, best_level
from imgid_audit.core.comparison import MethodChange
from imgid_audit.metrics import METRICS

ENOUGH = 0.1
"""A worst group that won less than this share of what the gap closed by did not close it."""


def levelled_down(
    changes: dict[Key, MethodChange], before: Mapping[Key, Series], shape: Frame
) -> dict[Key, MethodChange]:
    """The changes of one method, with the flag on its gap, its worst group and its primary where it applies.

    It applies where the gap closed, the interval of the baseline's best group is wholly on the losing side,
    and the worst group won less than `ENOUGH` of what the gap closed by.
    """
    metric = shape.spec.primary.metric
    gap_key: Key = ("gap", metric, shape.class_name, "", False)
    worst_key: Key = ("worst_group", metric, shape.class_name, "", False)
    better = METRICS[metric].better
    if shape.groups is None or better is None or before[gap_key].undefined[0] is not None:
        return changes
    best = shape.groups.slices[best_level(before[gap_key].levels, shape.used, better)]
    lost = changes["group", metric, shape.class_name, str(best), False].interval
    closed, won = changes[gap_key].value, changes[worst_key].value
    if lost is None or not isinstance(closed, float) or not isinstance(won, float) or closed >= 0:
        return changes
    sign = 1.0 if better == "higher" else -1.0
    if max(sign * lost.low, sign * lost.high) >= 0 or sign * won >= ENOUGH * -closed:
        return changes
    flagged = {key: replace(changes[key], levelling_down=True) for key in {gap_key, worst_key, primary_key(shape)}}
    return {key: flagged.get(key, one) for key, one in changes.items()}
