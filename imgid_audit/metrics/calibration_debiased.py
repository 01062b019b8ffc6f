"""The calibration error without the plug-in's bias."""

from __future__ import annotations

from imgid_audit.metrics.calibration import CalibrationError

ECE_DEBIASED = CalibrationError(
    "ece_debiased",
    "expected calibration error, the same 15 bins and L1 norm, cross-fitted by subject: about 0 where calibrated",
    "L1 calibration error in its variational form, cross-fitted: Berta et al. 2026, arXiv 2602.24230; 0 if negative",
    "cross_fitted",
)
