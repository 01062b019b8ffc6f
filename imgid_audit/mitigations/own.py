"""A method of the user's own: ``package.module:Class``, which says of itself what `Mitigation` says of a method."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from imgid_audit.core.errors import InputError, Problem
from imgid_audit.mitigations.base import Ask, Mitigation, Need, NoParams, Place, Scope
from imgid_audit.mitigations.guarded import guarded
from imgid_audit.vision.treatment import Treatment

_REQUIRED = ("summary", "source", "acts_on", "needs", "build")
_TEXTS = ("summary", "source")
_TAKEN = frozenset(field.name for field in fields(Mitigation))
_OPTIONAL = tuple(sorted(_TAKEN - {"name", "Params", *_REQUIRED}))
_LISTS = ("scopes", "excludes", "goes_with")
_FLAGS = ("falls_back", "starts_over", "uses_adjust", "fits_rule")


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
    try:
        problems = [Problem("", f"{name} {message}") for message in _complaints(found)]
    except Exception as error:  # as above
        raise InputError(f"{name}: reading its attributes raised {type(error).__name__}: {error}") from error
    if problems:
        raise InputError(problems)
    return _mitigation(name, found)


def undeclared(method: Mitigation, given: Mapping[str, Any]) -> Iterator[str]:
    """What a user's own method fails to say of itself for these parameters, asked before anything is trained."""
    try:
        params = method.Params.model_validate(given)
    except ValidationError:
        return  # told as any wrong parameter is
    except Exception as error:  # as above
        yield f"{method.name}.Params raised {type(error).__name__}: {error}"
        return
    for what in ("acts_on", "needs", "shifts_prior", "corrects_prior", "warning", "idle"):
        said = getattr(method, what)
        try:
            said(params) if callable(said) else None
        except InputError as error:
            yield from (problem.message for problem in error.problems)
    for name in method.space:
        yield from _refused(method, params, name)


def _refused(method: Mitigation, params: BaseModel, name: str) -> Iterator[str]:
    for value in method.space[name]:
        try:
            method.Params.model_validate({**params.model_dump(by_alias=True), name: value})
        except Exception as error:  # as above
            why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
            yield f"{method.name} has `space` with {name} = {value!r}, which its `Params` refuse: {why}"


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
    for name in _FLAGS:
        if not isinstance(flag := getattr(found, name, False), bool):
            yield f"has `{name}` that is neither true nor false: {flag!r}"
    warning = getattr(found, "warning", "")
    if not (isinstance(warning, str) or callable(warning)):
        yield f"has `warning` that is neither text nor a function: {warning!r}"
    params = getattr(found, "Params", NoParams)
    if not (isinstance(params, type) and issubclass(params, BaseModel)):
        yield f"has `Params` that is no pydantic model: {params!r}"
        return
    for name in ("acts_on", "needs", *_LISTS):
        yield from _unknown_words(name, getattr(found, name, ()), _KNOWN.get(name))
    yield from _bad_space(getattr(found, "space", {}), params)


def _unknown_words(name: str, value: Any, known: tuple[str, ...] | None) -> Iterator[str]:
    if callable(value) and name not in _LISTS:
        return
    if isinstance(value, str) or not isinstance(value, Iterable):
        yield f"has `{name}` that is no list of texts: {value!r}"
        return
    for word in value:
        if known is None and not isinstance(word, str):
            yield f"has `{name}` with {word!r}, which is no text"
        elif known is not None and word not in known:
            yield f"has `{name}` with {word!r}: known are {', '.join(known)}"


def _bad_space(space: Any, params: type[BaseModel]) -> Iterator[str]:
    if not isinstance(space, Mapping):
        yield f"has `space` that is no mapping of parameters to values: {space!r}"
        return
    for name, values in space.items():
        if not isinstance(values, list | tuple) or not values:
            yield f"has `space` with {name!r} that is no list of values: {values!r}"
        if name not in params.model_fields:
            known = ", ".join(params.model_fields) or "none"
            yield f"has `space` with {name!r}, which is no parameter: known are {known}"


def _mitigation(name: str, found: Any) -> Mitigation:
    optional = {key: getattr(found, key) for key in _OPTIONAL if getattr(found, key, None) is not None}
    for key in _LISTS:
        if key in optional:
            optional[key] = tuple(optional[key])
    for key, read in _READ.items():
        if key in optional and not (key == "warning" and isinstance(optional[key], str)):
            optional[key] = _said(name, key, optional[key], *read)
    acts_on = _said(name, "acts_on", found.acts_on, *_READ["acts_on"])
    return Mitigation(
        name=name,
        summary=found.summary,
        source=found.source,
        Params=getattr(found, "Params", NoParams),
        build=_checked(name, found.build, acts_on),
        acts_on=acts_on,
        needs=_said(name, "needs", found.needs, *_READ["needs"]),
        **optional,
    )


def _texts(kind: Callable[[Any], Any], known: tuple[str, ...] | None = None) -> Callable[[Any], Any]:
    """What reads a list of texts, each among the `known`; None for anything else."""

    def read(value: Any) -> Any:
        if isinstance(value, str) or not isinstance(value, Iterable):
            return None
        words = tuple(value)
        sound = all(isinstance(word, str) and (known is None or word in known) for word in words)
        return kind(words) if sound else None

    return read


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _line(value: Any) -> str | None:
    return value if isinstance(value, str) and "\n" not in value else None


_KNOWN: Mapping[str, tuple[str, ...]] = {
    "acts_on": get_args(Place),
    "needs": get_args(Need),
    "scopes": get_args(Scope),
}
_READ: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "acts_on": (_texts(tuple, _KNOWN["acts_on"]), f"a list of {', '.join(_KNOWN['acts_on'])}"),
    "needs": (_texts(frozenset, _KNOWN["needs"]), f"a list of {', '.join(_KNOWN['needs'])}"),
    "shifts_prior": (_flag, "True or False"),
    "corrects_prior": (_flag, "True or False"),
    "unmet": (_texts(tuple), "a list of texts"),
    "warning": (_line, "a line of text"),
    "idle": (_texts(frozenset), "a list of texts"),
}
"""What may be a function of the parameters: how an answer is read (None: it is none), and what is wanted."""


def _said(name: str, what: str, value: Any, read: Callable[[Any], Any], wanted: str) -> Callable[..., Any]:
    """A declaration as a function, also where the class has a plain value; `InputError` for no proper answer."""

    def say(*given: Any) -> Any:
        try:
            told = value(*given) if callable(value) else value
            found = read(told)
            shown = repr(told)[:100]
        except InputError:
            raise
        except Exception as error:  # as above
            raise InputError(f"{name}.{what} raised {type(error).__name__}: {error}") from error
        if found is None:
            raise InputError(f"{name}.{what} must give {wanted}, got {shown}")
        return found

    return say


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
