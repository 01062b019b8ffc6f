"""The state of a training between epochs, so that an interrupted one continues and ends with the same bytes."""

from __future__ import annotations

import hashlib
import io
import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from imgid_audit.core.manifest import Manifest
from imgid_audit.io.atomic import write_bytes
from imgid_audit.io.content import hash_file
from imgid_audit.vision.criterion import group_codes
from imgid_audit.vision.records import WEIGHTS, WEIGHTS_AVERAGE, EpochRecord, read_epoch
from imgid_audit.vision.settings import ModelSettings, TrainSettings

FILE = "training.resume.pt"


@dataclass(slots=True)
class History:
    """What happened so far in a training.

    `best_*` are of the epoch whose weights were kept, `average_*` of the best by plain accuracy where those
    are kept besides.
    """

    epochs: list[EpochRecord] = field(default_factory=list)
    best_epoch: int = 0
    best_criterion: float = -math.inf
    best_loss: float = math.inf
    sha256: str = ""
    images_seen: int = 0
    undecodable: dict[int, str] = field(default_factory=dict)
    undefined: tuple[str, ...] = ()
    average_epoch: int = 0
    average_accuracy: float = -math.inf
    average_loss: float = math.inf
    average_sha256: str = ""

    def is_best(self, epoch: EpochRecord) -> bool:
        """Whether `epoch` beats the best so far; with nothing to select by, the last epoch does."""
        if epoch.criterion is None or epoch.val_loss is None:
            return True
        return (epoch.criterion, -epoch.val_loss) > (self.best_criterion, -self.best_loss)

    def keep(self, epoch: EpochRecord, sha256: str) -> None:
        self.best_epoch, self.sha256 = epoch.epoch, sha256
        if epoch.criterion is not None and epoch.val_loss is not None:
            self.best_criterion, self.best_loss = epoch.criterion, epoch.val_loss

    def is_best_average(self, epoch: EpochRecord) -> bool:
        """As `is_best`, by accuracy of all validation rows."""
        if epoch.val_accuracy is None or epoch.val_loss is None:
            return True
        return (epoch.val_accuracy, -epoch.val_loss) > (self.average_accuracy, -self.average_loss)

    def keep_average(self, epoch: EpochRecord, sha256: str) -> None:
        self.average_epoch, self.average_sha256 = epoch.epoch, sha256
        if epoch.val_accuracy is not None and epoch.val_loss is not None:
            self.average_accuracy, self.average_loss = epoch.val_accuracy, epoch.val_loss


def fingerprint(
    manifest: Manifest, model: ModelSettings, settings: TrainSettings, device: torch.device, plan: Any
) -> str:
    """Names one training: a checkpoint of another one is not continued. `plan` is any further JSON.

    Images are named, not read. A file to start from is read: its contents count, as do the groups and the levels of
    every attribute, of which the checkpoint is picked and the curves are drawn.
    """
    rows = [
        (
            manifest.ids[row],
            None if manifest.images is None else manifest.images[row],
            int(manifest.label.codes[row]),
            split,
        )
        for split in ("train", "val")
        for row in manifest.rows(split).tolist()
    ]
    trained = np.concatenate([manifest.rows("train"), manifest.rows("val")])
    groups = group_codes(manifest, settings.groups)
    parts = [
        rows,
        manifest.label.levels,
        [(factor.name, factor.levels, _digest(factor.codes[trained])) for factor in manifest.attributes],
        None if groups is None else (_digest(groups[0][trained]), groups[1]),
        None if settings.init is None or not Path(settings.init).is_file() else hash_file(Path(settings.init)),
        model.model_dump(),
        settings.model_dump(),
        str(device),
        torch.__version__,
        plan,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _digest(codes: NDArray[np.integer[Any]]) -> str:
    return hashlib.sha256(codes.astype("<i8").tobytes()).hexdigest()


def save(folder: Path, name: str, history: History, parts: dict[str, Any]) -> None:
    """Keep `history` and the state dicts of `parts` (network, optimiser, scaler) of the training `name`."""
    text = json.dumps({**asdict(history), "undecodable": list(history.undecodable.items())})
    buffer = io.BytesIO()
    torch.save({"name": name, "history": text, **{key: part.state_dict() for key, part in parts.items()}}, buffer)
    write_bytes(folder / FILE, buffer.getvalue())
    for file in (WEIGHTS, WEIGHTS_AVERAGE):
        previous(folder / file).unlink(missing_ok=True)


def restore(folder: Path, name: str, parts: dict[str, Any]) -> History | None:
    """Load what `save` kept of the training `name` into `parts`; None where there is nothing of it."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        kept = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # damaged: the training starts over, which costs time and nothing else
        return None
    if not isinstance(kept, dict) or kept.get("name") != name:
        return None
    for key, part in parts.items():
        part.load_state_dict(kept[key])
    found = json.loads(kept["history"])
    found["epochs"] = [read_epoch(epoch) for epoch in found["epochs"]]
    found["undecodable"] = dict(found["undecodable"])
    found["undefined"] = tuple(found["undefined"])
    return History(**found)


def set_aside(path: Path) -> None:
    """Keep the weights in `path`, which the checkpoint names, until the next one names those that take their place."""
    if path.is_file():
        path.replace(previous(path))


def weights_back(folder: Path, history: History) -> None:
    """The weights that `history` names, where a kill came between later ones and their checkpoint.

    The epoch is trained again; on a device that does not compute the same twice it may not be the best again.
    """
    for file, digest in ((WEIGHTS, history.sha256), (WEIGHTS_AVERAGE, history.average_sha256)):
        aside = previous(folder / file)
        if aside.is_file() and hash_file(aside) == digest:
            aside.replace(folder / file)
        aside.unlink(missing_ok=True)


def previous(path: Path) -> Path:
    return path.with_name(f"{path.stem}.previous{path.suffix}")


def discard(folder: Path) -> None:
    (folder / FILE).unlink(missing_ok=True)
