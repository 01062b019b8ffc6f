"""Balanced accuracy: the mean of the recalls of all classes, in binary tasks too."""

from __future__ import annotations

from dataclasses import dataclass

from imgid_audit.metrics.base import Better, Needs
from imgid_audit.metrics.macro import macro_influence, macro_mean
from imgid_audit.metrics.rates import RECALL
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured


@dataclass(frozen=True, slots=True)
class BalancedAccuracy:
    """Mean of the recalls of all classes."""

    name: str = "balanced_accuracy"
    summary: str = "mean of the recalls of all classes"
    better: Better = "higher"
    per_class: bool = False
    macro: bool = False
    needs: Needs = "counts"
    source: str = "mean over classes of TP / (TP + FN)"
    hypothesis: str = "balanced_accuracy"
    judged_as: str = "balanced_accuracy"
    bounds: tuple[float, float] = (0.0, 1.0)

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        return (macro_mean(self.name, RECALL, sample),)

    def influence(self, sample: Sample, _class_name: str | None, /) -> Floats:
        """Each row's share in the mean of its slice, (n,)."""
        return macro_influence(RECALL, sample)


BALANCED_ACCURACY = BalancedAccuracy()
