"""What a comparison keeps of every network that it trained, so that a killed one goes on where it was.

One file a network, named by the hash of all that it was trained from: safetensors for the arrays, with the
facts as JSON in its metadata. A file is whole or not there (`io.atomic`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.atomic import remove_leftovers, write_bytes

_FACTS = "imgid-audit"
_SUM = "sha256"


@dataclass(frozen=True, slots=True, eq=False)
class KeptNetwork:
    """`arrays` by name, and `facts` as plain JSON values."""

    arrays: Mapping[str, NDArray[Any]]
    facts: Mapping[str, Any]


def network_key(parts: Mapping[str, Any]) -> str:
    """sha256 of plain JSON values: the name of the network that is trained from them."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class NetworkShelf:
    """The kept networks in `folder`, by key."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if folder.is_dir():
            remove_leftovers(folder)

    def path(self, key: str) -> Path:
        return self.folder / f"{key[:32]}.safetensors"

    def get(self, key: str) -> KeptNetwork | None:
        """The network that was kept under `key`; None where there is none, or its file is damaged."""
        from safetensors import SafetensorError, safe_open
        from safetensors.numpy import load

        path = self.path(key)
        if path.is_dir():
            raise InputError(Problem(str(path), "is a folder where a file of ours belongs: remove it"))
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
            arrays, text = load(path.read_bytes()), metadata[_FACTS]
            facts = json.loads(text)
        except (OSError, KeyError, ValueError, SafetensorError):
            return None  # it is trained again, which costs time and nothing else
        whole = (
            isinstance(facts, dict) and facts.pop("key", None) == key and metadata.get(_SUM) == _digest(arrays, text)
        )
        return KeptNetwork(arrays, facts) if whole else None

    def put(self, key: str, network: KeptNetwork) -> None:
        """Keep a network under `key`, whole or not at all."""
        from safetensors.numpy import save

        arrays = {name: np.ascontiguousarray(value) for name, value in network.arrays.items()}
        facts = json.dumps({**network.facts, "key": key}, sort_keys=True, allow_nan=False)
        write_bytes(self.path(key), save(arrays, metadata={_FACTS: facts, _SUM: _digest(arrays, facts)}))


def _digest(arrays: Mapping[str, NDArray[Any]], facts: str) -> str:
    """sha256 of facts, names, shapes and contents: a flipped bit must not become a plausible number."""
    found = hashlib.sha256(facts.encode())
    for name in sorted(arrays):
        value = np.ascontiguousarray(arrays[name])
        found.update(f"{name}{value.dtype.str}{value.shape}".encode())
        found.update(value.tobytes())
    return found.hexdigest()
