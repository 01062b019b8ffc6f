"""Weights to and from files, without running what a file may hide.

Safe: ``.safetensors``, and state dicts read by ``torch.load(weights_only=True)``. Everything else
(pickles of whole models, TorchScript, torch.export's ``.pt2``) can run code when it is loaded and
is refused, unless the user trusts it by name and by hash.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.io.atomic import write_bytes
from imgid_audit.io.content import hash_file
from imgid_audit.vision.metadata import WeightsMetadata, read_header, read_metadata
from imgid_audit.vision.models import build_model, input_transform, require_taken
from imgid_audit.vision.settings import ModelSettings
from imgid_audit.vision.state import fit_state, plain_state
from imgid_audit.vision.transforms import InputTransform, from_description

Kind = Literal["safetensors", "torch", "torchscript", "export"]

SAFE_WAY = (
    "save the state dict alone, safetensors.torch.save_file(model.state_dict(), 'model.safetensors'), and name the "
    "architecture; or, if you trust the file, give model.sha256 in the config and --trust-model-code"
)


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A network ready to predict, on the CPU and in eval mode, with what it is to be fed.

    `labels` are the classes in the order of its outputs where the file carries them, else None.
    """

    module: nn.Module
    transform: InputTransform
    labels: tuple[str, ...] | None
    sha256: str


def load_model(settings: ModelSettings, path: Path, classes: int, *, trust_model_code: bool = False) -> LoadedModel:
    """The model of `settings` with the weights in `path`.

    Raises `InputError`: a file that is absent, damaged, holds other bytes than `settings.sha256`,
    would run code (see the module), has NaN or infinite weights, or does not fit the architecture
    (every layer that is missing, unexpected, or of another shape is named); an architecture that cannot take the input.
    """
    where = str(path)
    if not path.is_file():
        raise InputError(Problem(where, "[model > weights] no such file"))
    digest = hash_file(path)
    if settings.sha256 is not None and settings.sha256 != digest:
        raise InputError(Problem(where, f"has sha256 {digest}, but model.sha256 is {settings.sha256}"))
    metadata = read_metadata(path)
    loaded = _load(path, trusted=trust_model_code and settings.sha256 is not None)
    if isinstance(loaded, nn.Module):
        module: nn.Module = loaded
    else:
        module = build_model(settings, classes)
        fit_state(module, loaded, where, classes)
    transform = input_transform(settings, stored_transform(metadata, where), pretrained=True)
    if not isinstance(loaded, nn.Module):  # a program may take batches of one size alone
        require_taken(module, settings.architecture, transform, classes)
    return LoadedModel(module.eval(), transform, metadata.labels, digest)


def stored_transform(metadata: WeightsMetadata, where: str) -> InputTransform | None:
    """The input transform that a weights file carries, or None; `InputError` where it cannot be read."""
    try:
        return None if metadata.input is None else from_description(metadata.input)
    except (KeyError, TypeError, ValueError):
        raise InputError(Problem(where, "its metadata describes an input that this version cannot read")) from None


def load_state(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weights file by name, read without running anything; `InputError` as `load_model`."""
    if not path.is_file():
        raise InputError(Problem(str(path), "no such weights file"))
    loaded = _load(path, trusted=False)
    assert isinstance(loaded, dict)  # only a trusted file can be a module
    return loaded


def save_weights(
    model: nn.Module, path: Path, labels: Sequence[str], transform: InputTransform, architecture: str
) -> str:
    """Write the model's weights, class order and input as safetensors, atomically; returns the file's sha256.

    Equal weights give equal bytes.
    """
    from safetensors.torch import save

    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in model.state_dict().items()}
    metadata = {
        "format": "pt",
        "labels": json.dumps(list(labels), ensure_ascii=False),
        "input": json.dumps(transform.describe(), sort_keys=True),
        "architecture": architecture,
    }
    write_bytes(path, _sorted_header(save(tensors, metadata=metadata)))
    return hash_file(path)


def hash_state(model: nn.Module) -> str:
    """sha256 over the names, types, shapes and bytes of a network's tensors: of weights that no file holds."""
    found = hashlib.sha256()
    for name, value in sorted(model.state_dict().items()):
        tensor = value.detach().cpu().contiguous()
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def _sorted_header(data: bytes) -> bytes:
    """The library writes its metadata in a random order: sort it, padded to 8 bytes as the format asks."""
    length = int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[8 + length :]


def _load(path: Path, *, trusted: bool) -> dict[str, torch.Tensor] | nn.Module:
    kind = kind_of(path)
    if kind == "safetensors":
        return _load_safetensors(path)
    if kind == "torch":
        return _load_pickle(path, trusted=trusted)
    if not trusted:
        name = (
            "a TorchScript archive" if kind == "torchscript" else "a torch.export archive (.pt2), which holds pickles"
        )
        raise InputError(Problem(str(path), f"is {name}: loading it can run code, so it is refused; {SAFE_WAY}"))
    module = torch.jit.load(path, map_location="cpu") if kind == "torchscript" else torch.export.load(path).module()
    return _Trusted(module)


class _Trusted(nn.Module):
    """A loaded program: it is as it was exported, and has no training mode to leave."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def train(self, mode: bool = True) -> _Trusted:
        self.training = mode
        return self

    def forward(self, images: torch.Tensor) -> Any:
        return self.module(images)


def kind_of(path: Path) -> Kind:
    """What a weights file is, by its content and not by its name; `InputError` where it is none of these."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            names = [name.partition("/")[2] for name in archive.namelist()] + archive.namelist()
        if "constants.pkl" in names and any(name.startswith("code/") for name in names):
            return "torchscript"
        if "data.pkl" in names and "archive_format" not in names:
            return "torch"
        if any(name.startswith(("archive_format", "models/", "serialized_exported_program")) for name in names):
            return "export"
        raise InputError(Problem(str(path), "is a zip file that holds no weights"))
    if read_header(path) is not None:
        return "safetensors"
    with path.open("rb") as file:
        if file.read(2)[:1] == b"\x80":  # the first opcode of every pickle since protocol 2: torch before 1.6
            return "torch"
    raise InputError(Problem(str(path), "is neither safetensors nor a PyTorch state dict (damaged, or another format)"))


def _load_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return dict(load_file(path))
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(Problem(str(path), f"is a damaged safetensors file: {error}")) from None


def _load_pickle(path: Path, *, trusted: bool) -> dict[str, torch.Tensor] | nn.Module:
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        raise InputError(Problem(str(path), f"{_asks_for(str(error))}, so it is refused; {SAFE_WAY}")) from None
    except Exception as error:  # a damaged pickle can raise anything
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(Problem(str(path), f"cannot be read as PyTorch weights: {text}")) from None
    return loaded if isinstance(loaded, nn.Module) else plain_state(loaded, str(path))


def _asks_for(message: str) -> str:
    found = re.search(r"(?:GLOBAL|global) [`']?([\w.]+)", message)
    wanted = f" for {found.group(1)}" if found else ""
    return f"is a pickle that asks{wanted} besides tensors: loading it would run code"
