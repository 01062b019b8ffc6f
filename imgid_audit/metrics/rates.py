"""Rates: proportions of the confusion counts, with closed-form limits on an effective n."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.core.factor import tally
from imgid_audit.metrics.base import Better, Bools, Needs, where_zero
from imgid_audit.metrics.macro import macro_influence, macro_mean
from imgid_audit.metrics.sample import Sample
from imgid_audit.stats.bands import RateBand
from imgid_audit.stats.effective_n import design_effect
from imgid_audit.stats.intervals import Floats
from imgid_audit.stats.measured import Measured

Outcomes = tuple[int, ...]
LABEL_ALONE = ({TP, FN}, {FP, TN}, {TP, FP, FN, TN})
"""Trials that are the same rows whatever is predicted."""


@dataclass(frozen=True, slots=True)
class RateMetric:
    """`events` over `trials`, each a sum of one-vs-rest outcomes of a class.

    `transform` is monotone increasing and `slope` its derivative, for functions of a proportion. `trials_of`
    names the rows that are counted, with ``{}`` for the class.
    """

    name: str
    summary: str
    better: Better
    events: Outcomes
    trials: Outcomes
    trials_of: str
    source: str
    macro: bool = True
    transform: Callable[[Floats], Floats] | None = None
    slope: Callable[[Floats], Floats] | None = None
    complement: str | None = None
    per_class: bool = True
    needs: Needs = "counts"
    bounds: tuple[float, float] = (0.0, 1.0)

    @property
    def judged_as(self) -> str:
        return self.name

    @property
    def hypothesis(self) -> str:
        return self.complement or self.name

    def numerator(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Events, (..., classes), of cells (..., classes, 4)."""
        return np.asarray(counts[..., list(self.events)].sum(axis=-1))

    def denominator(self, counts: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows that count, (..., classes), of cells (..., classes, 4)."""
        return np.asarray(counts[..., list(self.trials)].sum(axis=-1))

    def mean_of(self, events: Floats, trials: Floats) -> Floats:
        """The mean over classes, (...), of events and trials (..., classes); NaN where a class has no trials."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = events / trials
        return np.asarray((rate if self.transform is None else self.transform(rate)).mean(axis=-1))

    def band(self, sample: Sample) -> tuple[RateBand, NDArray[np.int64] | None]:
        """The rate of every class, a band over (slices, classes), and its subjects."""
        x = self.numerator(sample.counts).astype(np.float64)
        n = self.denominator(sample.counts).astype(np.float64)
        if sample.units is None:
            return RateBand(x, n, n, None, self.transform, sample.intervals.forms), None
        found = sample.moments(self.events, self.trials)
        band = RateBand(x, n, n / found.effect(), found.subjects, self.transform, sample.intervals.forms)
        return band, found.subjects.astype(np.int64)

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        parts, subjects = self.band(sample)
        labels = sample.task.labels
        measured = []
        for k in sample.task.scored_classes:
            held = None if subjects is None else subjects[:, k]
            trials = parts.trials[:, k].astype(np.int64)
            band = RateBand(
                parts.successes[:, k],
                parts.trials[:, k],
                parts.effective_n[:, k],
                None if parts.subjects is None else parts.subjects[:, k],
                self.transform,
                parts.forms,
            )
            reasons = where_zero(trials, self.trials_of.format(labels[k]))
            measured.append(
                Measured(self.name, labels[k], sample.breakdown, band, reasons, sample.n, trials, held, sample.sampled)
            )
        if self.macro and sample.task.kind == "multiclass":
            measured.append(macro_mean(self.name, self, sample))
        return tuple(measured)

    def outcomes(self, sample: Sample, class_name: str | None) -> tuple[Bools, Bools] | None:
        """Rows that are events and rows that are trials; None for means and where predictions choose the trials."""
        if class_name is None or set(self.trials) not in LABEL_ALONE:
            return None
        return self._masks(sample, class_name)

    def influence(self, sample: Sample, class_name: str | None) -> Floats:
        """Each row's share in the rate of its slice: (event - rate * trial) / trials, times the slope."""
        if class_name is None:
            return macro_influence(self, sample)
        event, trial = self._masks(sample, class_name)
        trials = np.bincount(sample.keys[trial], minlength=sample.size)
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.bincount(sample.keys[event], minlength=sample.size) / trials
            scale = (1.0 if self.slope is None else self.slope(rate)) / trials
        return np.nan_to_num(scale[sample.keys] * (event - rate[sample.keys] * trial))

    def _masks(self, sample: Sample, class_name: str) -> tuple[Bools, Bools]:
        decisions, k = sample.rows.decisions, sample.task.labels.index(class_name)
        is_class, called = decisions.label == k, decisions.predicted == k
        code = np.where(is_class, np.where(called, TP, FN), np.where(called, FP, TN))
        event, trial = (np.isin(np.arange(4), part) for part in (self.events, self.trials))
        return event[code], trial[code]


def _f1_of_jaccard(jaccard: Floats) -> Floats:
    return 2 * jaccard / (1 + jaccard)


def _f1_slope(jaccard: Floats) -> Floats:
    return 2 / (1 + jaccard) ** 2


RECALL = RateMetric(
    "recall", "true positive rate: rows of the class that were found", "higher",
    (TP,), (TP, FN), "rows of class {!r}", "TP / (TP + FN); sensitivity, equal opportunity",
)  # fmt: skip
PRECISION = RateMetric(
    "precision", "positive predictive value: rows called the class that are it", "higher",
    (TP,), (TP, FP), "rows predicted {!r}", "TP / (TP + FP); predictive parity",
)  # fmt: skip
SPECIFICITY = RateMetric(
    "specificity", "true negative rate: rows of other classes that were not called it", "higher",
    (TN,), (TN, FP), "rows of classes other than {!r}", "TN / (TN + FP)",
)  # fmt: skip
FALSE_POSITIVE_RATE = RateMetric(
    "false_positive_rate", "rows of other classes that were called the class", "lower",
    (FP,), (FP, TN), "rows of classes other than {!r}", "FP / (FP + TN)", complement="specificity",
)  # fmt: skip
FALSE_NEGATIVE_RATE = RateMetric(
    "false_negative_rate", "rows of the class that were missed", "lower",
    (FN,), (FN, TP), "rows of class {!r}", "FN / (FN + TP)", complement="recall",
)  # fmt: skip
F1 = RateMetric(
    "f1", "harmonic mean of precision and recall", "higher",
    (TP,), (TP, FP, FN), "rows labelled or predicted {!r}",
    "F1 = 2J / (1 + J) with J = TP / (TP + FP + FN), a binomial proportion given its denominator",
    transform=_f1_of_jaccard, slope=_f1_slope,
)  # fmt: skip
SELECTION_RATE = RateMetric(
    "selection_rate", "rows that were called the class, whatever they are", None,
    (TP, FP), (TP, FP, FN, TN), "rows", "(TP + FP) / n; demographic parity, impact ratio", macro=False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class AccuracyMetric:
    """Rows whose prediction is their label, over all classes."""

    name: str = "accuracy"
    summary: str = "rows that were classified correctly"
    better: Better = "higher"
    per_class: bool = False
    macro: bool = False
    needs: Needs = "counts"
    source: str = "correct / n"
    hypothesis: str = "accuracy"
    judged_as: str = "accuracy"
    bounds: tuple[float, float] = (0.0, 1.0)

    def measure(self, sample: Sample) -> tuple[Measured, ...]:
        x = sample.counts[..., TP].sum(axis=-1).astype(np.float64)
        n = sample.n.astype(np.float64)
        forms = sample.intervals.forms
        band = RateBand(x, n, n, forms=forms)
        subjects = None
        if sample.units is not None:
            units, decisions = sample.units, sample.rows.decisions
            rows_of = np.ones(len(decisions), dtype=np.int64) if decisions.count is None else decisions.count
            right = tally(units.of_row, units.count, rows_of * (decisions.label == decisions.predicted))
            rows = tally(units.of_row, units.count, rows_of)
            effect, held = design_effect(right, rows, units.offsets)
            band = RateBand(x, n, n / effect, held, forms=forms)
            subjects = held.astype(np.int64)
        reasons = where_zero(sample.n, "rows")
        return (
            Measured(self.name, None, sample.breakdown, band, reasons, sample.n, sample.n, subjects, sample.sampled),
        )

    def outcomes(self, sample: Sample, _class_name: str | None, /) -> tuple[Bools, Bools] | None:
        """Rows that are right, and all rows."""
        decisions = sample.rows.decisions
        return decisions.label == decisions.predicted, np.ones(len(decisions), dtype=bool)


ACCURACY = AccuracyMetric()
