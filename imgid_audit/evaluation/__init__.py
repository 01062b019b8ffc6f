"""From decisions to estimates, gaps and verdicts. NumPy and SciPy only."""

from __future__ import annotations

from imgid_audit.evaluation.breakdowns import breakdown, breakdowns
from imgid_audit.evaluation.decisions import decide
from imgid_audit.evaluation.disparities import CRITERIA
from imgid_audit.evaluation.evaluate import evaluate
from imgid_audit.evaluation.operating_point import find_operating_point, given_operating_point

__all__ = ["CRITERIA", "breakdown", "breakdowns", "decide", "evaluate", "find_operating_point", "given_operating_point"]
