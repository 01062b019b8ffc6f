"""Slices at the deployed threshold, and what they would be at the ends of its interval."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.predictions import OperatingPoint
from imgid_audit.core.result import AtThreshold
from imgid_audit.metrics import METRICS
from imgid_audit.metrics.sample import Sample

Rates = list[tuple[float, float] | None]


def at_threshold(sample: Sample) -> tuple[AtThreshold, ...]:
    """Sensitivity and specificity of each slice; none where no threshold decided.

    With intervals at the audit's level; and at both ends of the threshold's interval, where it has one.
    """
    decisions = sample.rows.decisions
    point, positive = decisions.operating_point, decisions.task.positive_index
    if point is None or positive is None or decisions.scores is None:
        return ()
    level = sample.intervals.level
    sensitivity = METRICS["recall"].measure(sample)[0].estimates(level)
    specificity = METRICS["specificity"].measure(sample)[0].estimates(level)
    is_positive, score = decisions.label == positive, decisions.scores[:, positive]
    caught = _at_ends(sample, point, score, is_positive, called=True)
    cleared = _at_ends(sample, point, score, ~is_positive, called=False)
    return tuple(AtThreshold(*each) for each in zip(sensitivity, specificity, caught, cleared, strict=True))


def _at_ends(
    sample: Sample, point: OperatingPoint, score: NDArray[np.float64], rows: NDArray[np.bool_], *, called: bool
) -> Rates:
    """The share of `rows` (a mask) that are called positive, or not, at each end of the interval, by slice."""
    if point.low is None or point.high is None:
        return [None] * sample.size
    keys, kept = sample.keys[rows], score[rows]
    held = np.bincount(keys, minlength=sample.size)
    low, high = (
        np.bincount(keys[(kept >= end) == called], minlength=sample.size) / np.maximum(held, 1)
        for end in (point.low, point.high)
    )
    return [(float(a), float(b)) if n else None for a, b, n in zip(low, high, held, strict=True)]
