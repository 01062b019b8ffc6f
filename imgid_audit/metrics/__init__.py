"""The registered metrics: one family a file, one line each here."""

from __future__ import annotations

from imgid_audit.core.registry import Registry
from imgid_audit.metrics.balanced_accuracy import BALANCED_ACCURACY
from imgid_audit.metrics.base import Metric
from imgid_audit.metrics.calibration import ECE
from imgid_audit.metrics.calibration_debiased import ECE_DEBIASED
from imgid_audit.metrics.calibration_line import CALIBRATION_INTERCEPT, CALIBRATION_SLOPE
from imgid_audit.metrics.losses import BRIER, LOG_LOSS
from imgid_audit.metrics.ranking import AUROC, AVERAGE_PRECISION
from imgid_audit.metrics.rates import (
    ACCURACY,
    F1,
    FALSE_NEGATIVE_RATE,
    FALSE_POSITIVE_RATE,
    PRECISION,
    RECALL,
    SELECTION_RATE,
    SPECIFICITY,
)

__all__ = ["METRICS", "Metric"]

METRICS: Registry[Metric] = Registry("metric")
METRICS.register(ACCURACY)
METRICS.register(BALANCED_ACCURACY)
METRICS.register(RECALL)
METRICS.register(PRECISION)
METRICS.register(SPECIFICITY)
METRICS.register(FALSE_POSITIVE_RATE)
METRICS.register(FALSE_NEGATIVE_RATE)
METRICS.register(F1)
METRICS.register(SELECTION_RATE)
METRICS.register(AUROC)
METRICS.register(AVERAGE_PRECISION)
METRICS.register(ECE)
METRICS.register(ECE_DEBIASED)
METRICS.register(CALIBRATION_SLOPE)
METRICS.register(CALIBRATION_INTERCEPT)
METRICS.register(BRIER)
METRICS.register(LOG_LOSS)
