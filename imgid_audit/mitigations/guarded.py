"""A treatment by a user's own code, held to its contract: what it returns is checked, what it raises is told.

A mask that passes for row numbers, a loss of the wrong shape, or a layer that broadcasts would end in
a plausible number. Methods of this package need no guard: their tests are one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from imgid_audit.core.errors import AuditError, InputError
from imgid_audit.core.factor import Codes
from imgid_audit.mitigations.base import Place
from imgid_audit.vision.settings import AugmentSettings
from imgid_audit.vision.treatment import (
    HeadTask,
    LinearHead,
    LossBatch,
    Material,
    Mix,
    Part,
    PlainLoss,
    Refit,
    Scored,
    Treatment,
)

T = TypeVar("T")

FIELDS: Mapping[str, tuple[Place, ...]] = {
    "rows": ("sampler",),
    "points": ("embeddings", "pixels"),
    "pictures": ("pixels",),
    "loss": ("loss",),
    "augment": ("augmentation",),
    "mix": ("augmentation",),
    "refits": ("head",),
    "decide": ("decision",),
}
"""The places, one of which a method must declare where its treatment fills a field."""


def guarded(name: str, made: Treatment, acts_on: tuple[Place, ...]) -> Treatment:
    """The same treatment with every function checked. `InputError` for fields of wrong types and undeclared places."""
    problems = list(_complaints(made, acts_on))
    if problems:
        raise InputError(f"{name}.build: {'; '.join(problems)}")
    return replace(
        made,
        rows=None if made.rows is None else _rows(name, made.rows),
        points=None if made.points is None else _points(name, made.points),
        loss=None if made.loss is None else _loss(name, made.loss),
        refits=tuple(_refit(name, refit) for refit in made.refits),
        decide=None if made.decide is None else _decide(name, made.decide),
    )


def _complaints(made: Treatment, acts_on: tuple[Place, ...]) -> Iterator[str]:
    for field, places in FIELDS.items():
        if getattr(made, field, None) and not set(places) & set(acts_on):
            yield f"fills `{field}`, and `acts_on` does not say {' or '.join(map(repr, places))}"
    for field in ("rows", "points", "loss", "decide"):
        value = getattr(made, field)
        if value is not None and not callable(value):
            yield f"`{field}` must be a function, got {value!r}"
    if not isinstance(made.refits, tuple) or not all(map(callable, made.refits)):
        yield f"`refits` must be a tuple of functions, got {made.refits!r}"
    if made.augment is not None and not isinstance(made.augment, AugmentSettings):
        yield f"`augment` must be AugmentSettings, got {type(made.augment).__name__}"
    if isinstance(made.views, bool) or not isinstance(made.views, int) or made.views < 0:
        yield f"`views` must be a count, got {made.views!r}"
    if made.mix is not None and not isinstance(made.mix, Mix):
        yield f"`mix` must be a Mix, got {type(made.mix).__name__}"
    decay = made.weight_decay
    if decay is not None and (isinstance(decay, bool) or not isinstance(decay, int | float) or not 0 <= decay < np.inf):
        yield f"`weight_decay` must be 0 or more, got {decay!r}"


def _called(name: str, what: str, work: Callable[[], T]) -> T:
    """The result, or an `InputError` that says what raised; our own errors (a stop, say) pass."""
    try:
        return work()
    except AuditError:
        raise
    except MemoryError:
        raise
    except Exception as error:  # the user's own code may raise anything
        raise InputError(f"{name}: `{what}` raised {type(error).__name__}: {error}") from error


def _rows(name: str, rows: Callable[..., Any]) -> Callable[[Codes, Codes | None, int], Any]:
    def resample(labels: Codes, groups: Codes | None, seed: int) -> Any:
        found = _called(name, "rows", lambda: rows(labels, groups, seed))
        wanted = f"integers (m,) from 0 to {len(labels) - 1}, one or more"
        good = isinstance(found, np.ndarray) and found.ndim == 1 and np.issubdtype(found.dtype, np.integer)
        if not good or not len(found) or found.min() < 0 or found.max() >= len(labels):
            mask = " (a mask: give np.flatnonzero of it)" if getattr(found, "dtype", None) == np.bool_ else ""
            raise InputError(f"{name}: `rows` must return {wanted}, got {_shape(found)}{mask}")
        return found.astype(np.intp)

    return resample


def _points(name: str, points: Callable[..., Any]) -> Callable[[Part, int, int], Part]:
    def make(part: Part, classes: int, seed: int) -> Part:
        found = _called(name, "points", lambda: points(part, classes, seed))
        if not isinstance(found, Part):
            raise InputError(f"{name}: `points` must return a Part, got {type(found).__name__}")
        x, labels = np.asarray(found.embeddings), np.asarray(found.labels)
        fits = x.ndim == 2 and x.shape[1] == part.embeddings.shape[1] and labels.shape == (len(x),) and len(x)
        if not fits or not np.isfinite(x).all() or not np.issubdtype(labels.dtype, np.integer):
            wanted = f"finite embeddings (m, {part.embeddings.shape[1]}) with integer labels (m,)"
            raise InputError(f"{name}: `points` must return {wanted}, got {_shape(x)} and {_shape(labels)}")
        if labels.min() < 0 or labels.max() >= classes:
            raise InputError(f"{name}: `points` gave labels outside 0 to {classes - 1}")
        if (found.groups is None) != (part.groups is None) and found.groups is not None:
            raise InputError(f"{name}: `points` gave groups, and the training rows have none")
        if found.groups is not None and np.asarray(found.groups).shape != (len(x),):
            raise InputError(f"{name}: `points` must return groups (m,) or None, got {_shape(found.groups)}")
        return replace(found, embeddings=x.astype(np.float32), labels=labels.astype(np.int32))

    return make


def _loss(name: str, make: Callable[[Material], Any]) -> Callable[[Material], Any]:
    def made(material: Material) -> Any:
        inner = _called(name, "loss", lambda: make(material))
        plain = getattr(type(inner), "finished", PlainLoss.finished) is PlainLoss.finished
        return (_GuardedLoss if plain else _Finishing)(name, inner)

    return made


class _GuardedLoss(PlainLoss):
    """A user's loss, or a plain function of a batch; one value a row, or an error that says so."""

    def __init__(self, name: str, inner: Any) -> None:
        if not callable(inner):
            raise InputError(f"{name}: `loss` must make a function of a LossBatch, got {type(inner).__name__}")
        self.name, self.inner = name, inner

    def __call__(self, batch: LossBatch) -> Any:
        import torch

        found = _called(self.name, "loss", lambda: self.inner(batch))
        if not isinstance(found, torch.Tensor) or found.shape != batch.labels.shape or not found.is_floating_point():
            got = f"a tensor {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            wanted = f"one number a row, a floating tensor ({len(batch.labels)},)"
            raise InputError(f"{self.name}: the loss must return {wanted}, got {got}")
        return found

    def state_dict(self) -> dict[str, Any]:
        kept = getattr(self.inner, "state_dict", None)
        return {} if kept is None else _called(self.name, "loss.state_dict", kept)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        load = getattr(self.inner, "load_state_dict", None)
        if load is not None:
            _called(self.name, "loss.load_state_dict", lambda: load(state))


class _Finishing(_GuardedLoss):
    """A loss whose layer does not predict as it was trained."""

    def finished(self, head: LinearHead) -> LinearHead:
        return _whole(self.name, "loss.finished", lambda: self.inner.finished(head), head)


def _refit(name: str, refit: Refit) -> Refit:
    def checked(task: HeadTask, head: LinearHead, seed: int) -> LinearHead:
        return _whole(name, "refits", lambda: refit(task, head, seed), head)

    return checked


def _whole(name: str, what: str, work: Callable[[], Any], before: LinearHead) -> LinearHead:
    """A last layer of the same shape as `before`, as float64."""
    found = _called(name, what, work)
    if not isinstance(found, LinearHead):
        raise InputError(f"{name}: `{what}` must return a LinearHead, got {type(found).__name__}")
    weight, bias = np.asarray(found.weight), np.asarray(found.bias)
    if weight.shape != before.weight.shape or bias.shape != before.bias.shape:
        wanted = f"weight {before.weight.shape} and bias {before.bias.shape}"
        raise InputError(f"{name}: `{what}` must return {wanted}, got {weight.shape} and {bias.shape}")
    return replace(found, weight=weight.astype(np.float64), bias=bias.astype(np.float64))


def _decide(name: str, decide: Callable[..., Any]) -> Callable[[Scored, Scored, int], Codes]:
    def checked(fit: Scored, rows: Scored, seed: int) -> Codes:
        blank = replace(rows, labels=np.full_like(rows.labels, -1))  # no rule may look at what it is judged by
        found = _called(name, "decide", lambda: decide(fit, blank, seed))
        classes = rows.scores.shape[1]
        good = isinstance(found, np.ndarray) and found.shape == (len(rows.labels),)
        if not good or not np.issubdtype(found.dtype, np.integer) or (len(found) and not _inside(found, classes)):
            wanted = f"class codes, integers ({len(rows.labels)},) from 0 to {classes - 1}"
            raise InputError(f"{name}: `decide` must return {wanted}, got {_shape(found)}")
        return found.astype(np.int32)

    return checked


def _inside(codes: Any, classes: int) -> bool:
    return bool(codes.min() >= 0 and codes.max() < classes)


def _shape(found: Any) -> str:
    if not isinstance(found, np.ndarray):
        return type(found).__name__
    ends = f" from {found.min()} to {found.max()}" if found.size and found.dtype != object and found.ndim == 1 else ""
    return f"{found.dtype} {found.shape}{ends}"
