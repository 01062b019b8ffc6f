"""Audits PyTorch image classifiers for bias and writes reports that people file.

import imgid_audit as ia

audit = ia.run("audit.yaml")
audit = ia.evaluate(frame, config)
audit.to_frame("estimates")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imgid_audit.api import Audit, evaluate, load_config, run

__version__ = "0.1.0"

_PUBLIC = ("Audit", "evaluate", "load_config", "run")

__all__ = ["Audit", "__version__", "evaluate", "load_config", "run"]


def __getattr__(name: str) -> Any:
    """Load the API when it is first asked for, so that the command line starts without it."""
    if name in _PUBLIC:
        return getattr(import_module("imgid_audit.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_PUBLIC})
