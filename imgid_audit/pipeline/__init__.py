"""The one package that sees every floor: a step per function, in order.

    prepare -> search -> train -> predict -> study -> compare -> evaluate -> report

`job` reads the inputs and opens the run folder, `steps` does the work on it, `commands` are what
the command line and the Python API call. Clock, git and seeds are read here, once.
"""

from imgid_audit.pipeline.checking import CheckSummary, check
from imgid_audit.pipeline.commands import (
    Outcome,
    compare,
    demo,
    evaluate,
    gate,
    predict,
    report,
    run,
    search,
    train,
)
from imgid_audit.pipeline.differing import diff
from imgid_audit.pipeline.history import HistoryOutcome, history

__all__ = [
    "CheckSummary",
    "HistoryOutcome",
    "Outcome",
    "check",
    "compare",
    "demo",
    "diff",
    "evaluate",
    "gate",
    "history",
    "predict",
    "report",
    "run",
    "search",
    "train",
]
