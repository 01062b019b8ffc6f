"""What a `train.search` block must be, beyond the types of its keys."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError

from imgid_audit.core.naming import unknown
from imgid_audit.vision.search.space import OF_MODEL, SEARCHABLE, Space
from imgid_audit.vision.settings import AverageSettings, FineTuneSettings, ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import RangeSettings, SearchSettings

Complaint = tuple[tuple[str | int, ...], str]

LARGEST_GRID = 100_000
"""Combinations that a grid may have: their order is drawn at once."""

BLOCKS = {"fine_tune": FineTuneSettings, "average": AverageSettings}
"""Optional blocks of `train` that must be there for a setting of theirs to be searched."""


def complaints(settings: SearchSettings, model: ModelSettings, train: TrainSettings) -> Iterator[Complaint]:
    """(trail within the block, message) of everything that is wrong with the space.

    The settings as given may lie outside it: they are tried first all the same.
    """
    if settings.trials < 2:
        told = "the first trial is the settings as given, so that nothing would be searched"
        yield ("trials",), f"must be >= 2, got {settings.trials}: {told}"
    sound = True
    for name, entry in settings.space.items():
        found = list(_entry(name, entry, model, train, settings.sampler))
        for trail, message in found or _against(name, entry, train, settings):
            sound = False
            yield ("space", name, *trail), message
    if not sound:
        return
    space = Space.of(settings, model, train)
    if space.distinct(2) < 2:
        message = "holds nothing but the settings as given, so that nothing would be searched"
        yield ("space",), f"{message}: add values to try, or remove `search`"
    if settings.sampler == "grid":
        size = space.size
        if size is not None and size > LARGEST_GRID:
            message = f"has {size:,} combinations, more than the {LARGEST_GRID:,} of a grid"
            yield ("space",), f"{message}: give larger steps or fewer values, or another sampler"


def _entry(name: str, entry: Any, model: ModelSettings, train: TrainSettings, sampler: str) -> Iterator[Complaint]:
    if name not in SEARCHABLE:
        yield (), _unsearched(name)
        return
    block = name.partition(".")[0]
    if block in BLOCKS and getattr(train, block) is None:
        yield (), f"needs `train.{block}`, which is absent: add it, an empty block takes its defaults"
    if name == "architecture" and train.init not in (None, "DEFAULT"):
        yield (), f"cannot be searched from one starting point, the weights file {train.init!r} of `train.init`"
    if model.weights is not None:
        yield (), "would change nothing: `model.weights` is audited as it is and nothing trains"
    if not isinstance(entry, RangeSettings):
        yield from _choices(name, entry)
        return
    wrong = list(_bounds(name, entry, sampler))
    yield from wrong or _refused(name, {"low": entry.low, "high": entry.high})


def _against(name: str, entry: Any, train: TrainSettings, settings: SearchSettings) -> Iterator[Complaint]:
    """What is right by itself, and no sense with the settings beside it."""
    if name in METHOD_OF and train.average is not None:
        method, searched = METHOD_OF[name], settings.space.get("average.method")
        tried = searched if isinstance(searched, tuple) else (train.average.method,)
        if method not in tried:
            message = f"has no effect: `average.method: {method}` reads it, and that is {', '.join(map(str, tried))}"
            yield (), f"{message}; remove it, or search `average.method` too"
    values = {"low": entry.low, "high": entry.high} if isinstance(entry, RangeSettings) else dict(enumerate(entry))
    if name == "fine_tune.frozen_epochs":
        for key, value in values.items():
            if value > train.epochs:
                yield (key,), f"must be at most `train.epochs`, {train.epochs}, got {value:g}"
    if name == "batch_size" and train.accumulate != "auto":
        for key, value in values.items():
            if value < train.accumulate:
                yield (key,), f"must be at least `train.accumulate`, its parts, {train.accumulate}, got {value:g}"


METHOD_OF = {"average.decay": "ema", "average.start": "swa"}
"""Settings of an average that one method alone reads."""


def _unsearched(name: str) -> str:
    if name == "epochs":
        return "cannot be searched: trials are compared after as many epochs each; give `train.patience` instead"
    if name == "seed":
        return "cannot be searched: the best of several seeds is luck"
    return unknown("setting to search", name, SEARCHABLE)


def _choices(name: str, choices: tuple[Any, ...]) -> Iterator[Complaint]:
    """Equal ones are refused by the block's own types, before they come here, unless they are spelt differently."""
    if not choices:
        yield (), "must have values to choose among, got none"
        return
    wrong = list(_refused(name, dict(enumerate(choices))))
    yield from wrong
    if wrong:
        return
    for place, choice in enumerate(choices):
        if choice in choices[:place]:
            yield (place,), f"must be different, got {choice!r} twice"


def _bounds(name: str, entry: RangeSettings, sampler: str) -> Iterator[Complaint]:
    whole, words = SEARCHABLE[name] is int, SEARCHABLE[name] is str
    if words:
        yield (), "must be a list of names, got a range of numbers"
        return
    if entry.low >= entry.high:
        how = "reversed" if entry.low > entry.high else "equal"
        yield (), f"must have `low` below `high`, got them {how}: {entry.low:g} and {entry.high:g}"
        return
    if entry.log and entry.low <= 0:
        yield ("low",), f"must be > 0 where the logarithm is drawn, got {entry.low:g}"
    if entry.log and entry.step is not None:
        yield ("step",), "cannot stand beside `log`: steps are even, logarithms are not; remove one of them"
    if entry.step is not None and entry.step > entry.high - entry.low:
        yield ("step",), f"must be at most the range, {entry.high - entry.low:g}, got {entry.step:g}"
    for key in ("low", "high", "step"):
        value = getattr(entry, key)
        if whole and value is not None and not float(value).is_integer():
            yield (key,), f"must be an integer, as `{name}` is, got {value:g}"
    if sampler == "grid" and entry.step is None and (entry.log or not whole):
        yield (), "is a continuum, of which a grid has no values: give a list or a `step`, or another sampler"


def _refused(name: str, values: dict[str | int, Any]) -> Iterator[Complaint]:
    """Values that the setting itself would refuse."""
    kind: type[BaseModel] = ModelSettings if name in OF_MODEL else TrainSettings
    block, _, leaf = name.rpartition(".")
    for key, value in values.items():
        if SEARCHABLE[name] is int and isinstance(value, float) and value.is_integer():
            value = int(value)  # bounds of a range are numbers of one type
        try:
            kind.model_validate({block: {leaf: value}} if block else {leaf: value})
        except ValidationError as error:
            yield (key,), _message(error, value)
        else:
            if isinstance(value, bool) or (isinstance(value, str) and SEARCHABLE[name] is not str):
                yield (key,), f"must be a number, got {value!r}"


def _message(error: ValidationError, value: Any) -> str:
    """The first thing that a setting's own type says of a value."""
    item = error.errors(include_url=False)[0]
    context = item.get("ctx", {})
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    for key, sign in signs.items():
        if key in context:
            return f"must be {sign} {context[key]:g}, got {value!r}"
    if item["type"] == "problem_at":
        return str(item["msg"])
    if item["type"] == "literal_error":
        return f"must be {context['expected']}, got {value!r}"
    if isinstance(value, float) and not math.isfinite(value):
        return f"must be a finite number, got {value!r}"
    return f"must be {_NOUNS.get(item['type'], 'valid')}, got {value!r}"


_NOUNS = {"int_type": "an integer", "int_from_float": "an integer", "int_parsing": "an integer"}
_NOUNS |= {"float_type": "a number", "float_parsing": "a number", "string_type": "text"}
