"""What a training did: one record, kept as training.json beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from imgid_audit.io.atomic import write_json

FILE = "training.json"
WEIGHTS = "weights.safetensors"
WEIGHTS_AVERAGE = "weights_average.safetensors"
FORMAT = 1


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One pass over the training rows; validation parts are None without validation rows.

    - `train_loss`, `val_loss`: mean cross-entropy a row, in nats; `val_accuracy` plain
    - `criterion`: value on val of what selects the checkpoint; `worst` the class or group it is of
    - `lr`: learning rate at the epoch's end (of the last layer, where layers differ); `images_seen` since the start
    - `train_slices`, `val_slices`: accuracy of the record's `slices`, as seen in training and of the network after it
    """

    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    criterion: float | None
    worst: str
    lr: float
    images_seen: int
    train_slices: tuple[float | None, ...] = ()
    val_slices: tuple[float | None, ...] = ()


@dataclass(frozen=True, slots=True)
class TrainingRecord:
    """The whole training.

    - `criterion`: in words; `best_epoch`: of the weights that were kept (from 1)
    - `ended`: ``all epochs`` or ``patience``
    - `undecodable`: ids and reasons of training or validation images that were left out
    - `undefined`: classes or groups without validation rows, which the criterion cannot speak of
    - `weights`: file name beside the record; `sha256` of its bytes
    - `device`, `precision`: what computed it
    - `average_*`: of the best epoch by plain accuracy, where its weights were kept too
    - `slices`: (attribute, level) of every curve, `slice_rows` their rows on train and on val
    - `fingerprint`: names this very training, where its caller named the plan
    - `best_frozen`: whether only the last layer had learnt when the kept weights were; `best_averaged`: whether they
      are an average, None where none was asked for
    """

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    criterion: str
    ended: str
    images_seen: int
    parameters: int
    train_rows: int
    val_rows: int
    undecodable: tuple[tuple[str, str], ...]
    undefined: tuple[str, ...]
    device: str
    precision: str
    weights: str
    sha256: str
    average_epoch: int = 0
    average_weights: str = ""
    average_sha256: str = ""
    fingerprint: str = ""
    slices: tuple[tuple[str, str], ...] = ()
    slice_rows: tuple[tuple[int, int], ...] = ()
    best_frozen: bool = False
    best_averaged: bool | None = None


def write_record(record: TrainingRecord, folder: Path) -> None:
    write_json(folder / FILE, {"format": FORMAT, **asdict(record)})


def read_epoch(values: Mapping[str, Any]) -> EpochRecord:
    """An epoch from its JSON values."""
    slices = {name: tuple(values.get(name, ())) for name in ("train_slices", "val_slices")}
    return EpochRecord(**{**values, **slices})


def read_record(folder: Path) -> TrainingRecord | None:
    """The record of a finished training in `folder`, or None where there is none (or of another format)."""
    try:
        found: dict[str, Any] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict) or found.pop("format", None) != FORMAT:
        return None
    found["epochs"] = tuple(read_epoch(epoch) for epoch in found["epochs"])
    for name in ("slices", "slice_rows"):
        found[name] = tuple(map(tuple, found.get(name, ())))
    found["undecodable"] = tuple((name, reason) for name, reason in found["undecodable"])
    return TrainingRecord(**{**found, "undefined": tuple(found["undefined"])})
