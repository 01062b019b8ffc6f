"""State dicts: found in what a file holds, compared with a network, loaded into it."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.vision.models import heads_of

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.", "model.")
_SHOWN = 5


def plain_state(loaded: Any, where: str) -> dict[str, torch.Tensor]:
    """The tensors by name, also where they lie one level down as in training checkpoints."""
    if isinstance(loaded, Mapping):
        for candidate in (loaded, *(loaded[key] for key in _NESTED if key in loaded)):
            if isinstance(candidate, Mapping) and candidate and all(map(torch.is_tensor, candidate.values())):
                return {str(name): value for name, value in candidate.items()}
        found = f"a dictionary with {_first(map(repr, loaded))}"
    else:
        found = type(loaded).__name__
    raise InputError(Problem(where, f"holds {found}, not a state dict (tensors by name)"))


def fit_state(
    model: nn.Module, state: Mapping[str, torch.Tensor], where: str, classes: int, *, new_head: bool = False
) -> None:
    """Load `state` into `model`, or raise one `InputError` with everything that does not fit.

    A prefix that all names share (``module.``, ...) is removed. `new_head` lets the last layer keep
    its fresh weights where the file's has another shape, and other heads (`heads_of`) theirs where the file's has
    another number of classes: the starting point of a training.
    """
    expected = model.state_dict()
    state = _renamed(_without_prefix(state, expected), expected)
    fresh = _fresh(model, state, expected, classes) if new_head else set()
    state = {name: value for name, value in state.items() if name not in fresh or _same(value, expected[name])}
    problems = [*_misfits(state, expected, fresh, where, classes), *_not_finite(state, where)]
    raise_all(problems)
    told = OrderedDict(state)
    told._metadata = getattr(expected, "_metadata", {})  # type: ignore[attr-defined]  # of layouts: shapes agree, so does it
    model.load_state_dict(told, strict=False)


def _fresh(
    model: nn.Module, state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], classes: int
) -> set[str]:
    """Tensors that may stay as they were drawn: the last layer's, and other heads' that differ in classes alone."""
    last, *others = heads_of(model, classes)
    found = {name for name in expected if name.startswith(f"{last}.")}
    for head in others:
        own = {name for name in expected if name.startswith(f"{head}.") and name in state}
        if all(_classes_differ(expected[name], state[name], classes) for name in own):
            found |= own
    return found


_DENSE = re.compile(r"(denselayer\d+\.(?:norm|conv))\.([12]\.)")
"""How torchvision's published DenseNets name their layers (``norm.1``); its code says ``norm1``."""


def _renamed(state: Mapping[str, torch.Tensor], expected: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Published names of old as the network has them."""
    new = {name: _DENSE.sub(r"\1\2", name) for name in state if name not in expected}
    return {new[name] if new.get(name) in expected else name: value for name, value in state.items()}


def _misfits(
    state: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor], fresh: set[str], where: str, classes: int
) -> list[Problem]:
    shapes = [name for name in state if name in expected and not _same(state[name], expected[name])]
    # BatchNorm's counters came late, and nothing reads them.
    missing = [name for name in expected if name not in {*state, *fresh} and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in state if name not in expected]
    problems = []
    for name in shapes[:_SHOWN]:
        found = f"expected shape {_shape(expected[name])}, found {_shape(state[name])}"
        problems.append(Problem(where, f"layer {name}: {found}{_hint(expected[name], state[name], classes)}"))
    if len(shapes) > _SHOWN:
        problems.append(Problem(where, f"and {len(shapes) - _SHOWN} more layers of another shape"))
    if missing:
        problems.append(Problem(where, f"lacks {len(missing)} layers of the architecture: {_first(missing)}"))
    if unexpected:
        text = f"has {len(unexpected)} layers that the architecture lacks: {_first(unexpected)}"
        problems.append(Problem(where, text))
    return problems


def _not_finite(state: Mapping[str, torch.Tensor], where: str) -> list[Problem]:
    bad = [name for name, value in state.items() if not bool(torch.isfinite(value).all())]
    return [Problem(where, f"has NaN or infinite weights in {len(bad)} layers: {_first(bad)}")] if bad else []


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape


def _classes_differ(ours: torch.Tensor, theirs: torch.Tensor, classes: int) -> bool:
    """Whether two shapes agree but for their leading dimension, which is the number of classes in ours."""
    return bool(ours.ndim and ours.ndim == theirs.ndim and ours.shape[1:] == theirs.shape[1:] and len(ours) == classes)


def _without_prefix(state: Mapping[str, torch.Tensor], expected: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    state = dict(state)
    for prefix in _PREFIXES:
        ours = any(name.startswith(prefix) for name in expected)
        if state and not ours and all(name.startswith(prefix) for name in state):
            state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _shape(tensor: torch.Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def _hint(ours: torch.Tensor, theirs: torch.Tensor, classes: int) -> str:
    """Where only the number of outputs differs, say so in the user's words."""
    if _classes_differ(ours, theirs, classes):
        return f" (the task has {classes} classes, the file {len(theirs)})"
    return ""


def _first(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
