"""Whether a config is still the one that an audit was evaluated with, as far as the audit depends on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from imgid_audit.config import Config, load_config
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.result import AuditResult

WITHOUT_EFFECT = (("predict", "max_failed"), ("predictions", "max_failed"), ("predictions", "table"))
"""Settings of which no number of an audit depends; the contents of the table are in the run's key."""


def require_same_settings(config: Config, result: AuditResult, path: Path) -> None:
    """A report words what was evaluated: raise `InputError` where the config asks for anything else.

    The `report` block may differ: it says how, not what; so may `mitigations`, which no number of the audit
    depends on. `path` is the stored audit's.
    """
    asked, found = _settings(config), _settings(_stored(config, result))
    other = [name for name in dict.fromkeys((*asked, *found)) if asked.get(name) != found.get(name)]
    if other:
        message = f"was evaluated with other settings than the config has in {', '.join(other)}"
        raise InputError(Problem(str(path), f"{message}: `imgid-audit evaluate` first"))


def _stored(config: Config, result: AuditResult) -> Config | dict[str, Any]:
    """The settings of a stored audit, with the defaults of what an earlier version did not know."""
    stored = dict(result.settings)
    try:
        return load_config(stored, folder=config.folder)
    except InputError:
        return stored


def _settings(config: Config | dict[str, Any]) -> dict[str, Any]:
    plain = config.plain() if isinstance(config, Config) else config
    settings: dict[str, Any] = {name: plain[name] for name in plain if name not in ("report", "mitigations")}
    for block, name in WITHOUT_EFFECT:
        if isinstance(settings.get(block), dict):
            settings[block] = {key: value for key, value in settings[block].items() if key != name}
    return settings
