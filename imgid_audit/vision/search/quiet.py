"""Optuna without its log lines and its warnings of what is experimental, for the length of one call."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def quiet() -> Iterator[None]:
    """What was set before is set again at the end."""
    import optuna

    verbosity, alembic = optuna.logging.get_verbosity(), logging.getLogger("alembic")
    level = alembic.level
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"optuna\..*")
            warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
        alembic.setLevel(level)
