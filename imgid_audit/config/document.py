"""A YAML file, or a dict, as plain values that remember where each was written.

YAML 1.1 has traps for tables of metadata: ``NO`` is a boolean, ``2020-01-01`` a date, ``010`` is
eight. The traps that lose information are kept here as they were written (`Digits`) or are told as
problems, so that a label or a level is never something else than the text of its cell.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from imgid_audit.core.errors import InputError, Problem

Trail = tuple[str | int, ...]

MAX_DEPTH = 50
MAX_VALUES = 100_000
"""Deeper or larger documents are refused: no config needs them, and YAML aliases can grow without end."""


class Digits(int):
    """An integer that remembers how it was written, so that the label 01 stays ``01``."""

    text: str

    def __new__(cls, value: int, text: str) -> Digits:
        number = super().__new__(cls, value)
        number.text = text
        return number


@dataclass(slots=True)
class Document:
    """Plain values (`root`), and for each trail the place where it was written (``audit.yaml:31``)."""

    source: str
    root: Any
    places: dict[Trail, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place(self, trail: Trail) -> str:
        """Where `trail` was written, or else the nearest thing around it that was."""
        for end in range(len(trail), -1, -1):
            if trail[:end] in self.places:
                return self.places[trail[:end]]
        return self.source

    def problem(self, trail: Trail, message: str) -> Problem:
        """A problem at `trail`, such as ``audit.yaml:31 [policy > rules > 1 > max_gap] must be > 0``."""
        inside = " > ".join(str(part) for part in trail)
        place = self.place(trail)
        return Problem(f"{place} [{inside}]" if inside else place, message)


def read_document(path: Path) -> Document:
    """Read a YAML file; everything that is wrong with it as YAML is raised or gathered.

    Raises `InputError` where the file cannot be read or is not YAML; duplicate keys and keys that
    are no text are gathered in `Document.problems`.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(Problem(str(path), f"cannot be read: {error.strerror or error}")) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start}): save the file as UTF-8"
        raise InputError(Problem(str(path), message)) from None
    return parse_document(text, path.name)


def parse_document(text: str, source: str) -> Document:
    """The document of a YAML text; `source` names it in problems."""
    document = Document(source, None)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            raise InputError(Problem(source, "is empty: `imgid-audit init` writes a config to begin with"))
        document.root = _Builder(document).value(node, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}" if mark else source
        raise InputError(Problem(place, f"is not valid YAML: {error.problem or error}")) from None
    except yaml.YAMLError as error:
        raise InputError(Problem(source, f"is not valid YAML: {error}")) from None
    except RecursionError:
        raise InputError(Problem(source, f"is nested deeper than {MAX_DEPTH} blocks")) from None
    return document


def wrap_document(values: Mapping[str, Any], source: str = "config") -> Document:
    """The document of a dict given from Python; problems have trails but no lines."""
    return Document(source, dict(values))


class _Builder:
    """Turns YAML nodes into plain values and notes their lines."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.constructor = yaml.constructor.SafeConstructor()
        self.values = 0

    def value(self, node: yaml.Node, trail: Trail) -> Any:
        self.values += 1
        if len(trail) > MAX_DEPTH or self.values > MAX_VALUES:
            what = f"nested deeper than {MAX_DEPTH} blocks" if len(trail) > MAX_DEPTH else "too large for a config"
            raise InputError(Problem(self._line(node), f"is {what}"))
        self.document.places.setdefault(trail, self._line(node))
        self._join_surrogates(node, trail)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, trail)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*trail, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, trail)

    def _mapping(self, node: yaml.MappingNode, trail: Trail) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, trail)
            if key is None:
                continue
            inside: Trail = (*trail, key)
            if key in result:
                first = self.document.places[inside].rpartition(":")[2]
                self._complain(key_node, inside, f"is given twice, first in line {first}: keep one")
                continue
            self.document.places[inside] = self._line(key_node)
            result[key] = self.value(value_node, inside)
        return result

    def _key(self, node: yaml.Node, trail: Trail) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._complain(node, trail, "has a key that is a list or a block: keys are text")
            return None
        self._join_surrogates(node, trail)
        kind = node.tag.rpartition(":")[2]
        if kind == "merge":
            self._complain(node, trail, "uses the merge key <<, which is not supported: write the keys out")
            return None
        if kind in ("str", "int"):
            return str(node.value)
        self._complain(node, trail, f"has the key {node.value}, which YAML reads as {NOUNS.get(kind, kind)}: quote it")
        return None

    def _join_surrogates(self, node: yaml.Node, trail: Trail) -> None:
        """JSON writes a character beyond the basic plane as two escapes, which YAML leaves apart."""
        if not isinstance(node, yaml.ScalarNode) or node.value.isascii():
            return
        try:
            node.value = node.value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            self._complain(node, trail, "has half of a character that is written as two escapes: write both")
            node.value = ""

    def _scalar(self, node: yaml.Node, trail: Trail) -> Any:
        try:
            value = self.constructor.construct_object(node)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            problem = error.problem if isinstance(error, yaml.MarkedYAMLError) else error
            self._complain(node, trail, f"cannot be read by YAML ({problem}): quote it if it is text")
            return None
        if isinstance(value, int) and not isinstance(value, bool):
            return Digits(value, str(node.value))
        return value

    def _line(self, node: yaml.Node) -> str:
        return f"{self.document.source}:{node.start_mark.line + 1}"

    def _complain(self, node: yaml.Node, trail: Trail, message: str) -> None:
        inside = " > ".join(str(part) for part in trail)
        where = f"{self._line(node)} [{inside}]" if inside else self._line(node)
        self.document.problems.append(Problem(where, message))


NOUNS = {"bool": "a boolean", "float": "a decimal number", "timestamp": "a date", "null": "nothing"}
"""How a YAML type is called in messages."""

_STEP = re.compile(r"[^.]+")


def apply_override(document: Document, assignment: str) -> Problem | None:
    """Set one value, ``predict.batch_size=8``: dots lead inwards, list items are numbered from 0.

    The value is read as YAML. Returns the problem where the assignment makes no sense.
    """
    source = f"--set {assignment}"
    path, equals, text = assignment.partition("=")
    steps = _STEP.findall(path.strip())
    if not equals or not steps or ".".join(steps) != path.strip():
        return Problem(source, "is not of the form key=value, such as predict.batch_size=8")
    try:
        given = parse_document(text, source) if text.strip() else Document(source, None)
    except InputError as error:
        return Problem(source, error.problems[0].message)
    if given.problems:
        return Problem(source, given.problems[0].message)
    trail, problem = _assign(document.root, steps, given.root)
    if problem:
        return Problem(source, problem)
    for old in [place for place in document.places if place[: len(trail)] == trail]:
        del document.places[old]
    document.places[trail] = source
    return None


def _assign(root: Any, steps: list[str], value: Any) -> tuple[Trail, str]:
    """Put `value` at `steps` below `root`, making blocks on the way; the trail, or what is wrong."""
    here: Any = root
    trail: list[str | int] = []
    for number, step in enumerate(steps):
        last = number == len(steps) - 1
        key: Any = step
        if isinstance(here, list):
            if not step.isdecimal() or int(step) > len(here):
                return (), f"{step!r} is no place in a list of {len(here)}: items are numbered from 0"
            key = int(step)
            if key == len(here):
                here.append(None)
        elif not isinstance(here, dict):
            return (), f"{'.'.join(steps[:number])} is neither a block nor a list"
        trail.append(key)
        if last:
            here[key] = value
        else:
            inner = here[key] if isinstance(here, list) else here.get(key)
            here[key] = inner if inner is not None else {}
            here = here[key]
    return tuple(trail), ""
