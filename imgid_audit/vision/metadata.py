"""What a weights file says about itself, read without torch: class order, input, architecture."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_HEADER_LIMIT = 100_000_000  # the format's own bound


@dataclass(frozen=True, slots=True)
class WeightsMetadata:
    """Of a ``.safetensors`` file; each part None where the file does not carry it.

    - `labels`: class names in the order of the outputs (metadata key ``labels``, a JSON list)
    - `input`: the description of the input transform (key ``input``, a JSON object)
    - `architecture`: as in a config (key ``architecture``)
    """

    labels: tuple[str, ...] | None = None
    input: dict[str, Any] | None = None
    architecture: str | None = None


def read_metadata(path: Path) -> WeightsMetadata:
    """The metadata of a weights file; all None where it is of another format or carries none."""
    header = read_header(path)
    texts = header.get("__metadata__") if header else None
    if not isinstance(texts, dict):
        return WeightsMetadata()
    labels = _json(texts.get("labels"))
    described = _json(texts.get("input"))
    named = isinstance(labels, list) and len(labels) > 1 and all(isinstance(label, str) for label in labels)
    return WeightsMetadata(
        labels=tuple(labels) if named else None,
        input=described if isinstance(described, dict) else None,
        architecture=texts.get("architecture"),
    )


def read_header(path: Path) -> dict[str, Any] | None:
    """The JSON header of a safetensors file, or None where the file is none."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= _HEADER_LIMIT:
            return None
        text = file.read(length)
    if len(text) < length or not text.startswith(b"{"):
        return None
    header = _json(text)
    return header if isinstance(header, dict) else None


def _json(text: str | bytes | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None
