"""Ranking metrics: how well the scores order rows of a class above the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from imgid_audit.core.result import Undefined
from imgid_audit.metrics.base import Better, Needs, absent, unscored
from imgid_audit.metrics.sample import Counts, Sample
from imgid_audit.stats import methods
from imgid_audit.stats.auroc import Ranked, Runs, auroc, average_precision
from imgid_audit.stats.bands import StudentBand, Wider
from imgid_audit.stats.gamma import GammaBand
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured
from imgid_audit.stats.units import Units


class _Rank(Protocol):
    def __call__(self, runs: Runs, units: Units | None, *, influence: bool = False) -> Ranked: ...


@dataclass(frozen=True, slots=True)
class RankingMetric:
    """A functional of the ranking with an asymptotic variance, limits on the logit scale.

    The logit limits of a good ranking, whose missed area a few rows carry, put the lower one above the
    truth in up to 15 % of simulated draws for 5 %, so they are widened to the gamma interval of that area, which
    allows for `unseen` more units that are ranked worst.
    Degrees of freedom: the fewer of the subjects with and without rows of the class, less one.
    """

    name: str
    summary: str
    source: str
    rank: _Rank
    quantity: str
    needs_negatives: bool
    unseen: float
    better: Better = "higher"
    per_class: bool = True
    macro: bool = True
    needs: Needs = "scores"
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def judged_as(self) -> str:
        return self.name

    @property
    def hypothesis(self) -> str:
        return self.name

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        if not sample.has_scores:
            return unscored(self, sample)
        mean = _Mean(sample) if sample.task.kind == "multiclass" else None
        measured = []
        for k in sample.task.scored_classes:
            ranked = self.rank(sample.runs(k), sample.units, influence=mean is not None)
            positives, negatives = ranked.positives.astype(np.int64), ranked.negatives.astype(np.int64)
            units = self._units(sample, k, positives, negatives)
            support = np.minimum(positives, negatives) if self.needs_negatives else positives
            reasons = self._reasons(sample.task.labels[k], positives, negatives)
            measured.append(self._measured(sample, sample.task.labels[k], ranked, reasons, support, units))
            if mean is not None:
                mean.add(ranked, sample.task.labels[k], reasons, support, units)
        if mean is not None:
            measured.append(self._measured(sample, None, mean.ranked(), mean.reasons(), mean.support, mean.units))
        return tuple(measured)

    def influence(self, sample: Sample, class_name: str | None) -> Floats:
        """Each row's share in the value of its slice, (n,); of the mean over the classes where there is no class."""
        labels = sample.task.labels
        classes = range(len(labels)) if class_name is None else (labels.index(class_name),)
        total = np.zeros(len(sample.keys))
        for k in classes:
            found = self.rank(sample.runs(k), sample.units, influence=True).influence
            total += 0.0 if found is None else np.nan_to_num(found)
        return total / len(classes)

    def _units(self, sample: Sample, k: int, positives: Counts, negatives: Counts) -> Counts:
        """The fewer of the sampling units with and without rows of the class."""
        label = sample.rows.decisions.label
        held, others = sample.subjects(label == k), sample.subjects(label != k)
        if held is None or others is None:
            held, others = positives, negatives
        # average precision exists without negatives; then the positives alone carry it
        return np.where((others == 0) & (not self.needs_negatives), held, np.minimum(held, others))

    def _reasons(self, label: str, positives: Counts, negatives: Counts) -> tuple[Undefined | None, ...]:
        reasons: list[str | None] = []
        for p, n in zip(positives, negatives, strict=True):
            if p == 0:
                reasons.append(f"no rows of class {label!r}")
            elif n == 0 and self.needs_negatives:
                reasons.append(f"no rows of classes other than {label!r}")
            else:
                reasons.append(None)
        return absent(reasons)

    def _measured(
        self,
        sample: Sample,
        class_name: str | None,
        ranked: Ranked,
        reasons: tuple[Undefined | None, ...],
        support: Counts,
        units: Counts,
    ) -> Measured:
        clustered = sample.units is not None
        error, size = np.sqrt(ranked.variance), units.astype(np.float64)
        names = [methods.method(self.quantity, key, clustered=clustered).name for key in ("influence", "gamma")]
        student = StudentBand(ranked.value, error, size, sample.unit_name, names[0], logit=True)
        # in a mean over classes one unit ranked worst costs its own class alone
        classes = len(sample.task.labels) if class_name is None else 1
        unseen = self.unseen / np.maximum(size, 1.0) / classes
        missed = GammaBand(ranked.value, error, unseen, size, names[1], complement=True)
        band = Wider(student, missed)
        held = units if clustered else None
        return Measured(self.name, class_name, sample.breakdown, band, reasons, sample.n, support, held, sample.sampled)


class _Mean:
    """Gathers the macro mean: values, row influences, and the least supported class."""

    def __init__(self, sample: Sample) -> None:
        self.sample = sample
        self.total = np.zeros(sample.size)
        self.influence = np.zeros(len(sample.breakdown.codes))
        self.lacking: list[list[str]] = [[] for _ in range(sample.size)]
        self.support: Counts = np.full(sample.size, np.iinfo(np.int64).max)
        self.units: Counts = np.full(sample.size, np.iinfo(np.int64).max)

    def add(
        self, ranked: Ranked, label: str, reasons: tuple[Undefined | None, ...], support: Counts, units: Counts
    ) -> None:
        self.total += ranked.value
        if ranked.influence is not None:
            self.influence += ranked.influence
        for lacking, reason in zip(self.lacking, reasons, strict=True):
            if reason is not None:
                lacking.append(label)
        self.support, self.units = np.minimum(self.support, support), np.minimum(self.units, units)

    def ranked(self) -> Ranked:
        classes = len(self.sample.task.labels)
        variance = self.sample.variance_of_sum(np.nan_to_num(self.influence) / classes)
        value: Floats = self.total / classes
        none = np.zeros(self.sample.size)
        return Ranked(value, np.where(np.isfinite(value), variance, np.nan), none, none, None)

    def reasons(self) -> tuple[Undefined | None, ...]:
        def said(lacking: list[str]) -> str | None:
            shown = ", ".join(repr(label) for label in lacking[:5]) + (" and others" if len(lacking) > 5 else "")
            return f"not defined for {shown}" if lacking else None

        return absent([said(lacking) for lacking in self.lacking])


AUROC = RankingMetric(
    "auroc",
    "area under the ROC curve",
    "Mann-Whitney with midranks; DeLong et al. 1988, by subject Obuchowski 1997",
    auroc,
    methods.AUROC,
    needs_negatives=True,
    unseen=0.25,
)
AVERAGE_PRECISION = RankingMetric(
    "average_precision",
    "area under the precision-recall steps",
    "sum of precision times the step in recall, ties by threshold; variance from its influence function",
    average_precision,
    methods.AVERAGE_PRECISION,
    needs_negatives=False,
    unseen=0.5,
)
