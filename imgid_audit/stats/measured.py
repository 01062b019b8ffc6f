"""A metric of one class, measured on every slice of a breakdown."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.result import Estimate, Interval, Undefined
from imgid_audit.core.slices import Breakdown
from imgid_audit.stats.bands import Band
from imgid_audit.stats.intervals import Floats


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Values with their band, one a slice of `breakdown`; arrays have shape (slices,).

    - `class_name`: None for a macro mean and for metrics without class
    - `undefined`: why there is no value (NaN in the band), None where there is one
    - `n`: rows; `support`: rows that the metric's denominator counts; `subjects`: subjects among
      the supporting rows, None where rows are independent
    - `size`: all sampling units of the slice, subjects or rows
    """

    metric: str
    class_name: str | None
    breakdown: Breakdown
    band: Band
    undefined: tuple[Undefined | None, ...]
    n: NDArray[np.int64]
    support: NDArray[np.int64]
    subjects: NDArray[np.int64] | None
    size: NDArray[np.int64]

    @property
    def value(self) -> Floats:
        return self.band.value

    @property
    def defined(self) -> NDArray[np.bool_]:
        return np.array([reason is None for reason in self.undefined], dtype=bool)

    def estimates(self, level: float) -> tuple[Estimate, ...]:
        """One `Estimate` a slice, with two-sided limits at `level`."""
        value = self.value
        low, high = self.band.limits(level)
        methods = self.band.methods(level)
        found = []
        for i, reason in enumerate(self.undefined):
            subjects = None if self.subjects is None else int(self.subjects[i])
            interval = None
            if reason is None:
                interval = Interval(float(low[i]), float(high[i]), level, methods[i])
            found.append(
                Estimate(
                    self.metric,
                    self.class_name,
                    self.breakdown.slices[i],
                    float(value[i]) if reason is None else reason,
                    interval,
                    int(self.n[i]),
                    int(self.support[i]),
                    subjects,
                )
            )
        return tuple(found)
