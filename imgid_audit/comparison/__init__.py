"""Methods against a baseline, paired by seed and by test row. Pure."""

from __future__ import annotations

from imgid_audit.comparison.compare import (
    compare_methods,
    primary_changes,
    primary_left_out,
    primary_or_why,
    primary_value,
)
from imgid_audit.comparison.runs import Compared, ComparisonSpec, MethodRuns

__all__ = [
    "Compared",
    "ComparisonSpec",
    "MethodRuns",
    "compare_methods",
    "primary_changes",
    "primary_left_out",
    "primary_or_why",
    "primary_value",
]
