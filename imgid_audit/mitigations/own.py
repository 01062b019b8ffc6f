"""A method of the user's own: ``package.module:Class``, which says of itself what `Mitigation` says of a method."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.mitigations.base import Ask, Mitigation, Need, NoParams, Place, Scope
from imgid_audit.mitigations.guarded import guarded
from imgid_audit.vision.treatment import Treatment

_REQUIRED = ("summary", "source", "acts_on", "needs", "build")
_TEXTS = ("summary", "source")
_TAKEN = frozenset(field.name for field in fields(Mitigation))
_OPTIONAL = tuple(sorted(_TAKEN - {"name", "Params", "shifts_prior", *_REQUIRED}))


def load(name: str) -> Mitigation:
    """The method that ``package.module:Class`` is: a class without arguments, or a `Mitigation`; called `name`.

    Raises `InputError` for what cannot be imported, with near names, and for everything that the class lacks.
    """
    found = _find(name)
    if isinstance(found, type):
        try:
            found = found()
        except Exception as error:  # the user's own code may raise anything: it is the config's business
            raise InputError(f"{name}() raised {type(error).__name__}: {error}") from error
    if isinstance(found, Mitigation):
        return replace(found, name=name, build=_checked(name, found.build, found.acts_on))
    problems = [Problem("", f"{name} {message}") for message in _complaints(found)]
    if problems:
        raise InputError(problems)
    return _mitigation(name, found)


def _find(name: str) -> Any:
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (ImportError, ValueError) as error:
        message = f"cannot import {module_name!r} ({error}): install it or put its folder on PYTHONPATH"
        raise InputError(message) from None
    except Exception as error:  # as above
        raise InputError(f"importing {module_name!r} raised {type(error).__name__}: {error}") from error
    found = getattr(module, attribute, None) if attribute else None
    if found is not None:
        return found
    near = get_close_matches(attribute, [key for key, value in vars(module).items() if isinstance(value, type)], n=3)
    raise InputError(f"{module_name!r} has no class {attribute!r}; near ones: {', '.join(near) or 'none'}")


def _complaints(found: Any) -> Iterator[str]:
    """Everything that keeps it from being a method."""
    written = [name for name in dir(found) if not name.startswith("_")]
    for name in _REQUIRED:
        if not hasattr(found, name):
            near = get_close_matches(name, [other for other in written if other not in _TAKEN], n=1)
            yield f"lacks `{name}`" + (f": did you mean it by `{near[0]}`?" if near else "")
    for name in _TEXTS:
        text = getattr(found, name, "-")
        if not isinstance(text, str) or not text.strip() or "\n" in text:
            yield f"has `{name}` that is no line of text: {text!r}"
    for name in ("build", "unmet"):
        if not callable(getattr(found, name, len)):
            yield f"has `{name}` that is no function"
    warning = getattr(found, "warning", "")
    if not (isinstance(warning, str) or callable(warning)):
        yield f"has `warning` that is neither text nor a function: {warning!r}"
    params = getattr(found, "Params", NoParams)
    if not (isinstance(params, type) and issubclass(params, BaseModel)):
        yield f"has `Params` that is no pydantic model: {params!r}"
        return
    for name, known in (("acts_on", get_args(Place)), ("needs", get_args(Need)), ("scopes", get_args(Scope))):
        yield from _unknown_words(name, getattr(found, name, ()), known)
    yield from _bad_space(getattr(found, "space", {}), params)


def _unknown_words(name: str, value: Any, known: Iterable[str]) -> Iterator[str]:
    if callable(value) and name != "scopes":
        return
    if isinstance(value, str) or not isinstance(value, Iterable):
        yield f"has `{name}` that is no list of texts: {value!r}"
        return
    for word in value:
        if word not in known:
            yield f"has `{name}` with {word!r}: known are {', '.join(known)}"


def _bad_space(space: Any, params: type[BaseModel]) -> Iterator[str]:
    if not isinstance(space, Mapping):
        yield f"has `space` that is no mapping of parameters to values: {space!r}"
        return
    for name in space:
        if name not in params.model_fields:
            known = ", ".join(params.model_fields) or "none"
            yield f"has `space` with {name!r}, which is no parameter: known are {known}"


def _mitigation(name: str, found: Any) -> Mitigation:
    optional = {key: getattr(found, key) for key in _OPTIONAL if getattr(found, key, None) is not None}
    for key in ("scopes", "excludes"):
        if key in optional:
            optional[key] = tuple(optional[key])
    return Mitigation(
        name=name,
        summary=found.summary,
        source=found.source,
        Params=getattr(found, "Params", NoParams),
        build=_checked(name, found.build, _of_params(found.acts_on, tuple)),
        acts_on=_of_params(found.acts_on, tuple),
        needs=_of_params(found.needs, frozenset),
        shifts_prior=_of_params(getattr(found, "shifts_prior", False), bool),
        **optional,
    )


def _of_params(value: Any, kind: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A function of the parameters, also where the class has a plain value."""
    return (lambda params: kind(value(params))) if callable(value) else (lambda _: kind(value))


def _checked(
    name: str, build: Callable[[Any, Ask], Any], acts_on: Callable[[Any], tuple[Place, ...]]
) -> Callable[[Any, Ask], Treatment]:
    def checked(params: Any, ask: Ask) -> Treatment:
        try:
            made = build(params, ask)
        except InputError:
            raise
        except Exception as error:  # as above
            raise InputError(f"{name}.build raised {type(error).__name__}: {error}") from error
        if not isinstance(made, Treatment):
            raise InputError(f"{name}.build returned {type(made).__name__}, not a Treatment")
        return guarded(name, made, acts_on(params))

    return checked
