"""pydantic's errors as problems in one style: what must be, and what was found.

A union of types makes pydantic report every member that did not fit; here the members are folded
into one message, or into the messages of the member that was evidently meant.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ValidationError

from imgid_audit.config.document import Document, Trail
from imgid_audit.core.errors import Problem
from imgid_audit.core.naming import unknown

Complaint = tuple[Trail, str]

EXPECTED: dict[str, Callable[[dict[str, Any]], str]] = {
    "greater_than": lambda c: f"must be > {c['gt']:g}",
    "greater_than_equal": lambda c: f"must be >= {c['ge']:g}",
    "less_than": lambda c: f"must be < {c['lt']:g}",
    "less_than_equal": lambda c: f"must be <= {c['le']:g}",
    "string_pattern_mismatch": lambda c: f"must match {c['pattern']}",
    "too_short": lambda c: f"must have {c['min_length']} or more entries",
    "too_long": lambda c: f"must have {c['max_length']} entries or fewer",
    "finite_number": lambda _: "must be a finite number",
}
"""What a value of the right type must be."""

TYPES: dict[str, Callable[[dict[str, Any]], str]] = {
    **dict.fromkeys(("int_type", "int_parsing", "int_from_float", "int_parsing_size"), lambda _: "must be an integer"),
    **dict.fromkeys(("float_type", "float_parsing"), lambda _: "must be a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), lambda _: "must be true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), lambda _: "must be a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), lambda _: "must be a block of keys"),
    "string_type": lambda _: "must be text",
    "literal_error": lambda c: f"must be {c['expected'].replace('False', 'false').replace('True', 'true')}",
}
"""The same where the type itself is wrong: only these can mean "another member of a union was meant"."""


def problems_of(error: ValidationError, model: type[BaseModel], document: Document, at: Trail = ()) -> list[Problem]:
    """Everything that `model` found wrong with the value at `at` of the document."""
    raw = value_at(document.root, at)
    return [document.problem((*at, *trail), message) for trail, message in complaints(error, model, raw)]


def complaints(error: ValidationError, model: type[BaseModel], raw: Any) -> Iterator[Complaint]:
    """(trail, message) of every error, the members of a union folded."""
    grouped: dict[Trail, list[Any]] = {}
    members: dict[Trail, list[Any]] = {}
    for item in error.errors(include_url=False):
        if _falsely_short(item):
            continue
        trail, member_at = _true_trail(item["loc"], raw, item["type"])
        if item["type"] == "problem_at":
            trail = (*trail, *item["ctx"]["trail"])
        if member_at is None:
            grouped.setdefault(trail, []).append(item)
        else:
            members.setdefault(member_at, []).append((trail, item))
    for found in members.values():
        meant = [(trail, item) for trail, item in found if item["type"] not in TYPES or trail not in members]
        for trail, item in meant or found:
            grouped.setdefault(trail, []).append(item)
    for trail, items in grouped.items():
        yield trail, _message(items, model, trail)


def _falsely_short(item: Any) -> bool:
    """pydantic counts the entries that are right; where those given are enough, each wrong one has its own error."""
    given = item["input"]
    return item["type"] == "too_short" and isinstance(given, list | tuple) and len(given) >= item["ctx"]["min_length"]


def _true_trail(loc: Trail, raw: Any, kind: str) -> tuple[Trail, Trail | None]:
    """pydantic's location without the names of union members; where the outermost member stood, if any did."""
    trail: list[str | int] = []
    member_at: Trail | None = None
    here = raw
    for number, part in enumerate(loc):
        last = number == len(loc) - 1
        if isinstance(here, dict) and (part in here or (last and kind == "missing")):
            trail.append(part)
            here = here.get(str(part))
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            trail.append(part)
            here = here[part]
        elif member_at is None:
            member_at = tuple(trail)
    return tuple(trail), member_at


def _message(items: list[Any], model: type[BaseModel], trail: Trail) -> str:
    kinds = {item["type"] for item in items}
    first = items[0]
    if "problem_at" in kinds:
        return str(next(item for item in items if item["type"] == "problem_at")["msg"])
    if "missing" in kinds:
        return "is required"
    if "extra_forbidden" in kinds:
        return unknown("key", str(trail[-1]), keys_of(model, trail[:-1]))
    if "value_error" in kinds:
        return str(first["ctx"]["error"])
    expected: list[str] = []
    for item in items:
        say = EXPECTED.get(item["type"]) or TYPES.get(item["type"])
        text = say(item.get("ctx", {})) if say else f"must be valid ({item['msg']})"
        if text not in expected:
            expected.append(text)
    wanted = " or ".join([expected[0], *(text.removeprefix("must be ") for text in expected[1:])])
    hint = ": quote it" if wanted == "must be text" and not isinstance(first["input"], dict | list) else ""
    return f"{wanted}, got {show(first['input'])}{hint}"


def keys_of(model: type[BaseModel], trail: Trail) -> list[str]:
    """The keys that the block at `trail` may have; none where it is no block of `model`'s."""
    here: list[Any] = [model]
    for part in trail:
        here = [inner for kind in here for inner in _inside(kind, part)]
    keys: list[str] = []
    for kind in here:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            keys += [field.alias or name for name, field in kind.model_fields.items()]
    return keys


def _inside(kind: Any, part: str | int) -> list[Any]:
    """The possible types of what stands at `part` in a value of type `kind`."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        return _members(fields[str(part)].annotation) if part in fields else []
    return [member for argument in get_args(kind) for member in _members(argument)]


def _members(annotation: Any) -> list[Any]:
    """The members of a union, or the type itself, without what `Annotated` adds."""
    import types
    from typing import Union, get_origin

    if get_origin(annotation) is Annotated:
        return _members(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [inner for member in get_args(annotation) for inner in _members(member)]
    return [annotation]


def value_at(root: Any, trail: Trail) -> Any:
    """The plain value at `trail`, None where there is none."""
    here = root
    for part in trail:
        if isinstance(here, dict):
            here = here.get(str(part))
        elif isinstance(here, list | tuple) and isinstance(part, int) and part < len(here):
            here = here[part]
        else:
            return None
    return here


def show(value: Any) -> str:
    """A value as YAML would have it, short enough for a message."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a block of keys" if value else "an empty block"
    if isinstance(value, list | tuple):
        text = f"[{', '.join(show(item) for item in value)}]"
    elif isinstance(value, dt.date):
        text = f"the date {value.isoformat()}"
    else:
        text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
