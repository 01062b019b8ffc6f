"""Networks by name: our own small one, torchvision's, timm's, or any factory of the user's."""

from __future__ import annotations

import contextlib
import importlib
import random
import re
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any

import numpy as np
import torch
from torch import nn

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.vision.device import is_out_of_memory
from imgid_audit.vision.settings import ModelSettings
from imgid_audit.vision.transforms import InputTransform, from_weights_preset, resolve_input

WHERE = "[model > architecture]"
TIMM = "timm/"

_AUXILIARY = re.compile(r"(?:.*?\.)?aux[^.]*", re.IGNORECASE)


class SmallCNN(nn.Sequential):
    """Three 3x3 convolutions with batch norm, ReLU and pooling, the mean over pixels, a linear head.

    Takes (n, channels, H, W) of any size from 8 pixels; 93,000 parameters; meant for 28 to 64 pixels.
    """

    def __init__(self, channels: int, classes: int, widths: tuple[int, ...] = (32, 64, 128)) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((channels, *widths), widths, strict=False):
            layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after)]
            layers += [nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        layers[-1] = nn.AdaptiveAvgPool2d(1)
        super().__init__(*layers, nn.Flatten(), nn.Linear(widths[-1], classes))


def build_model(settings: ModelSettings, classes: int) -> nn.Module:
    """A network of `classes` outputs with fresh weights drawn from torch's global generator.

    `settings.architecture` is ``smallcnn``, a torchvision classifier, ``timm/NAME``, or
    ``package.module:factory``, called with ``num_classes=``. Raises `InputError` for names that are
    not known, with near ones, and for what the network cannot do.
    """
    name = settings.architecture
    if name == "smallcnn":
        model: nn.Module = SmallCNN(settings.input.channels, classes)
    elif name.startswith(TIMM):
        model = _timm(name.removeprefix(TIMM), settings.input.channels, classes)
    elif ":" in name:
        model = _from_factory(name, classes)
    else:
        model = _torchvision(name, settings.input.channels, classes)
    if settings.dropout:
        attach_dropout(model, settings.dropout, classes)
    return model


def torchvision_names() -> list[str]:
    """The classifiers that torchvision knows by name."""
    from torchvision import models

    return list(models.list_models(module=models))


def is_torchvision(architecture: str) -> bool:
    return ":" not in architecture and "/" not in architecture and architecture in torchvision_names()


def input_transform(settings: ModelSettings, stored: InputTransform | None, *, pretrained: bool) -> InputTransform:
    """What the network is fed: the settings, then what is stored with its weights, then, for
    `pretrained` torchvision weights, those weights' own transform; else plain resizing."""
    base = stored
    if base is None and pretrained and (weights := default_weights(settings.architecture)) is not None:
        base = from_weights_preset(weights.transforms())
    default = 64 if settings.architecture == "smallcnn" else 299 if settings.architecture == "inception_v3" else 224
    return resolve_input(settings.input, base, default)


def require_taken(model: nn.Module, architecture: str, transform: InputTransform, classes: int) -> None:
    """Raise `InputError` where the network, on the CPU, does not make (2, classes) logits of two images.

    They go through it once in eval mode; weights, buffers, modes and random generators stay as they were. A network
    that draws some of its weights at its first batch is let pass.
    """
    if any(map(nn.parameter.is_lazy, (*model.parameters(), *model.buffers()))):
        return
    shape = (transform.channels, transform.size, transform.size)
    own = ":" in architecture
    where = WHERE if own else "[model > input > size]"
    other = "give a larger size, the one that it is made for, or another network"
    todo = "mend it, or give another size" if own else other
    fed = f"{architecture}, fed images of {' x '.join(map(str, shape))} (channels, height, width),"
    try:
        with _untouched(model), torch.no_grad():
            logits = logits_of(model(torch.zeros(2, *shape)))
    except Exception as error:  # whatever the library, or the user's own code, says of such images
        if is_out_of_memory(error):
            return  # that says nothing of the shape; who works with it says for what there was no memory
        first = next(iter(str(error).splitlines()), "")
        said = f"{type(error).__name__}: {first}" if own or not first else first
        raise InputError(Problem(where, f"{fed} fails ({said}): {todo}")) from error
    if not isinstance(logits, torch.Tensor) or tuple(logits.shape) != (2, classes):
        found = f"shape {tuple(logits.shape)}" if isinstance(logits, torch.Tensor) else type(logits).__name__
        wanted = f"(2, {classes}), a row of logits for each of two images, is needed"
        raise InputError(Problem(where, f"{fed} gives {found}, and {wanted}: {todo}"))


@contextlib.contextmanager
def _untouched(model: nn.Module) -> Iterator[None]:
    """In eval mode; modes, buffers and random generators are put back at the end."""
    modes = [(module, module.training) for module in model.modules()]
    held = [(module._buffers, name, one) for module in model.modules() for name, one in module._buffers.items()]
    copies = [None if one is None else one.clone() for _, _, one in held]
    python, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=[]):
            model.eval()
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy_state)
        for (buffers, name, one), copy in zip(held, copies, strict=True):
            buffers[name] = one
            if one is not None and copy is not None and not torch.equal(one, copy):
                one.copy_(copy)
        for module, training in modes:
            module.training = training


def attach_dropout(model: nn.Module, probability: float, classes: int) -> None:
    """Dropout on what enters the last layer, the same for every architecture; weights keep their names."""

    def drop(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (nn.functional.dropout(inputs[0], probability, module.training), *inputs[1:])

    head_of(model, classes)[1].register_forward_pre_hook(drop)


def head_of(model: nn.Module, classes: int) -> tuple[str, nn.Module]:
    """Name and module of the last linear (or 1x1 convolution) layer that has `classes` outputs."""
    for name, module in reversed(list(model.named_modules())):
        if _outputs(module) == classes:
            return name, module
    raise InputError(Problem(WHERE, f"no linear layer with {classes} outputs was found in {type(model).__name__}"))


def heads_of(model: nn.Module, classes: int) -> dict[str, nn.Module]:
    """Every layer that ends in classes, by name: that of `head_of` first, then what is trained or averaged beside it.

    These are, of the layers with `classes` outputs, the last one below each part that is named ``aux...``
    (GoogLeNet's and Inception's auxiliary heads), and those that timm's `get_classifier` gives (distilled
    transformers have two). Raises `InputError` as `head_of`.
    """
    found = dict([head_of(model, classes)])
    outputs = {name: module for name, module in model.named_modules() if _outputs(module) == classes}
    ends = {match.group(): name for name in outputs if (match := _AUXILIARY.match(name))}
    found.update((name, outputs[name]) for name in ends.values())
    told = _classifiers(model)
    found.update((name, module) for name, module in outputs.items() if id(module) in told)
    return found


def _outputs(module: nn.Module) -> int | None:
    found: int | None = getattr(module, "out_features", getattr(module, "out_channels", None))
    return found


def _classifiers(model: nn.Module) -> set[int]:
    """Ids of the modules in what a network of timm calls its classifier."""
    ask = getattr(model, "get_classifier", None)
    if not (callable(ask) and type(model).__module__.startswith("timm.")):
        return set()
    told = ask()
    parts = told if isinstance(told, (tuple, list)) else [told]
    return {id(module) for part in parts if isinstance(part, nn.Module) for module in part.modules()}


def logits_of(output: Any) -> torch.Tensor:
    """The logits among a network's outputs: GoogLeNet and Inception give auxiliary ones besides in training."""
    return output if isinstance(output, torch.Tensor) else output[0]


def _torchvision(name: str, channels: int, classes: int) -> nn.Module:
    from torchvision import models

    if not is_torchvision(name):
        known = ["smallcnn", *torchvision_names()]
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
        message = (
            f"{name!r} is not known: {hint}give smallcnn, a torchvision classifier, timm/NAME or package.module:factory"
        )
        raise InputError(Problem(WHERE, message))
    if channels != 3:
        raise InputError(
            Problem("[model > input > channels]", f"{name} takes 3 channels, got {channels}: grey images are repeated")
        )
    plain = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}  # or they warn and take minutes
    model: nn.Module = models.get_model(name, weights=None, num_classes=classes, **plain)
    return model


def default_weights(architecture: str) -> Any:
    """torchvision's DEFAULT weights of an architecture, None where it has none."""
    from torchvision import models

    return models.get_model_weights(architecture).DEFAULT if is_torchvision(architecture) else None


def require_timm(name: str) -> Any:
    """The module timm; `InputError` where it is not installed or does not know the model `name`."""
    try:
        import timm
    except ImportError:
        raise InputError(Problem(WHERE, "timm is not installed: pip install 'imgid-audit[timm]'")) from None
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=3)
        raise InputError(Problem(WHERE, f"timm has no model {name!r}; near ones: {', '.join(near) or 'none'}"))
    return timm


def _timm(name: str, channels: int, classes: int) -> nn.Module:
    model: nn.Module = require_timm(name).create_model(name, pretrained=False, num_classes=classes, in_chans=channels)
    return model


def _from_factory(name: str, classes: int) -> nn.Module:
    factory = _find(name)
    try:
        model = factory(num_classes=classes)
    except Exception as error:  # the user's own code may raise anything: it is the config's business
        message = f"{name} called with num_classes={classes} raised {type(error).__name__}: {error}"
        raise InputError(Problem(WHERE, message)) from error
    if not isinstance(model, nn.Module):
        raise InputError(Problem(WHERE, f"{name} returned {type(model).__name__}, not a torch.nn.Module"))
    return model


def _find(name: str) -> Callable[..., Any]:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        message = f"cannot import {module_name!r} ({error}): install it or put its folder on PYTHONPATH"
        raise InputError(Problem(WHERE, message)) from None
    factory = getattr(module, attribute, None)
    if callable(factory):
        return factory
    near = get_close_matches(attribute, [key for key, value in vars(module).items() if callable(value)], n=3)
    raise InputError(
        Problem(WHERE, f"{module_name!r} has no callable {attribute!r}; near ones: {', '.join(near) or 'none'}")
    )
