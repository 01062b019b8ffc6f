"""What a run folder's key was made of, kept beside it, so that another run is refused by what differs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io import atomic
from imgid_audit.io.run_folder import PARTS, RunFolder, run_key

SHOWN, LONGEST = 6, 60
"""Differences that are told, and characters of a value."""

ABSENT = object()


def note_parts(path: Path, parts: Mapping[str, Any]) -> None:
    """Keep the parts of the key of the folder at `path`, where they are not kept yet; others are of a run forgotten."""
    kept = _kept(path)
    if kept is None or run_key(kept) != run_key(parts):
        atomic.write_json(path / PARTS, dict(parts))


def refuse_other(path: Path, key: str, parts: Mapping[str, Any]) -> None:
    """Raise `InputError` that names what differs, where the folder at `path` holds the run of other parts.

    Does nothing where the folder is not there, has no key yet, is of this run, or does not tell of what its key was
    made: `RunFolder.open` judges then. Changes nothing.
    """
    if not path.is_dir():
        return
    stored, kept = RunFolder(path).key, _kept(path)
    if not stored or stored == key or kept is None or run_key(kept) != stored:
        return
    found = [*_settings(kept["settings"], parts["settings"]), *_contents(kept["hashes"], parts["hashes"])]
    told = "; ".join(found[:SHOWN]) + (f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else "")
    message = f"holds another run (key {stored[:12]}, this one has {key[:12]}), which differs in {told}"
    raise InputError(Problem(str(path), f"{message}: name another folder with --out, or remove this one"))


def _kept(path: Path) -> dict[str, Any] | None:
    """The parts that are kept; None where none are, or they cannot be read."""
    try:
        found = json.loads((path / PARTS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    blocks = isinstance(found, dict) and all(isinstance(found.get(name), dict) for name in ("settings", "hashes"))
    return found if blocks else None


def _settings(there: Any, here: Any, trail: tuple[str, ...] = ()) -> Iterator[str]:
    """``train > search > trials (3 there, 5 here)`` for every setting that differs, blocks opened."""
    if there == here:
        return
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for name in dict.fromkeys((*there, *here)):
            yield from _settings(there.get(name, ABSENT), here.get(name, ABSENT), (*trail, name))
        return
    yield f"{' > '.join(trail)} ({_value(there)} there, {_value(here)} here)"


def _contents(there: Mapping[str, str], here: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*there, *here)):
        if there.get(name) != here.get(name):
            yield f"the contents of the {name}"


def _value(of: Any) -> str:
    if of is ABSENT:
        return "absent"
    text = json.dumps(of, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."
