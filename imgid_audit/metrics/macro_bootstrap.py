"""Means over classes by the bootstrap, on request: units are drawn as weights of their cells, never as rows."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from scipy import sparse

from imgid_audit.core.cells import FN, FP, TN, TP
from imgid_audit.metrics.sample import Addends, Sample
from imgid_audit.stats.bands import Band, Choice
from imgid_audit.stats.bootstrap import BootstrapBand
from imgid_audit.stats.intervals import Floats

MOST_CLASSES = 50
"""With more classes the closed form stays: a replicate holds eight numbers a class, and none may lack one."""


class Counted(Protocol):
    """What the bootstrap needs of a rate: see `rates.RateMetric`."""

    @property
    def events(self) -> tuple[int, ...]: ...
    @property
    def trials(self) -> tuple[int, ...]: ...
    def mean_of(self, events: Floats, trials: Floats) -> Floats:
        """The mean over classes, (...), of events and trials (..., classes); NaN where a class has no trials."""
        ...


def resampled(metric: Counted, sample: Sample, closed: Band) -> Band:
    """Percentiles of the subject (or row) bootstrap where enough replicates have every class, else `closed`.

    A replicate in which a class vanishes has no mean: it is counted, and the method says how many had one.
    """
    classes = len(sample.task.labels)
    if classes > MOST_CLASSES or sample.intervals.draws == 0:
        return closed

    def statistic(cells: Floats) -> Floats:
        counts = cells.reshape(-1, 2, classes)
        return metric.mean_of(counts[:, 0], counts[:, 1])

    table = np.stack([_adds(classes, outcomes) for outcomes in (metric.events, metric.trials)], axis=1)
    added = sparse.csr_array(table.reshape(classes**2, 2 * classes))
    replicates = sample.resample("confusion", sample.rows.profile, (Addends(added),), statistic)
    units = sample.sampled.astype(np.float64)
    freedom = None if sample.units is None else np.maximum(units - 1, 1.0)
    band = BootstrapBand(closed.value, replicates, sample.unit_name, freedom=freedom)
    return Choice(band.usable(), band, closed)


def _adds(classes: int, outcomes: tuple[int, ...]) -> Floats:
    """1 where a row of a label and a prediction is one of the `outcomes` of a class, (classes squared, classes)."""
    label, called = np.divmod(np.arange(classes**2), classes)
    each = np.arange(classes)
    is_label, is_called = label[:, None] == each, called[:, None] == each
    outcome = np.select([is_label & is_called, is_called, is_label], [TP, FP, FN], TN)
    return np.isin(outcome, outcomes).astype(np.float64)
