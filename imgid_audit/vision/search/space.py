"""What a search may choose among: settings of `train`, and of `model` dropout and architecture. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from imgid_audit.vision.settings import ModelSettings, TrainSettings
from imgid_audit.vision.study_settings import RangeSettings, SearchSettings

SEARCHABLE: dict[str, type] = {
    "lr": float,
    "weight_decay": float,
    "batch_size": int,
    "optimizer": str,
    "schedule": str,
    "dropout": float,
    "architecture": str,
    "augment.hflip": float,
    "augment.vflip": float,
    "augment.rotation": float,
    "augment.crop": float,
    "augment.colour": float,
    "augment.randaugment": int,
    "fine_tune.frozen_epochs": int,
    "fine_tune.backbone_lr": float,
    "fine_tune.layer_decay": float,
    "average.method": str,
    "average.decay": float,
    "average.start": float,
}
"""Every name that `train.search.space` may have, and what its values are.

`epochs` is none of them: trials are stopped early by what others had reached after as many. The seed is none:
the best of several seeds is luck. What speaks of machines (workers, precision, compile) changes no answer.
"""

OF_MODEL = ("dropout", "architecture")
"""Names that stand in `model`, not in `train`."""

DIGITS = 4
"""Significant digits of a drawn value: settings are read and copied by people, and are trained as they are printed."""


MOST_WORDS = 12
"""Choices that are told; the rest is counted."""


@dataclass(frozen=True, slots=True)
class Among:
    """One of a list of values, each different."""

    choices: tuple[Any, ...]

    @property
    def words(self) -> str:
        more = len(self.choices) - MOST_WORDS
        told = ", ".join(_word(choice) for choice in self.choices[:MOST_WORDS])
        return f"{told} and {more:,} more" if more > 0 else told

    @property
    def values(self) -> tuple[Any, ...]:
        return self.choices

    @property
    def size(self) -> int:
        return len(self.choices)

    def holds(self, value: Any) -> bool:
        return any(value == choice and isinstance(value, bool) == isinstance(choice, bool) for choice in self.choices)

    def plain(self, value: Any) -> Any:
        return value


@dataclass(frozen=True, slots=True)
class Between:
    """A number from `low` to `high`, both included; where there are steps, `high` is the last one."""

    low: float
    high: float
    log: bool
    step: float | None
    whole: bool

    @property
    def words(self) -> str:
        scale = ", logarithmic" if self.log else ""
        step = f", in steps of {_word(self.step)}" if self.step not in (None, 1) else ""
        return f"{_word(self.low)} to {_word(self.high)}{scale}{step}"

    @property
    def values(self) -> tuple[Any, ...]:
        """All values in order; only where there are steps."""
        step = self.step or 1
        return tuple(self.plain(self.low + place * step) for place in range(self.size or 0))

    @property
    def size(self) -> int | None:
        """How many values there are; None for a continuum."""
        if self.step is None and not self.whole:
            return None
        return round((self.high - self.low) / (self.step or 1)) + 1

    def holds(self, value: Any) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        steps = (value - self.low) / self.step if self.step else 0.0
        return abs(steps - round(steps)) < 1e-8

    def plain(self, value: float) -> Any:
        """`value` without digits that nobody reads, still inside."""
        if self.whole:
            return round(value)
        if self.log:
            digits = DIGITS if self.high / self.low > 1.1 else 12
            near = float(f"{value:.{digits}g}")
        elif self.step is not None:
            near = float(f"{value:.12g}")
        else:
            near = round(value, DIGITS - math.ceil(math.log10(self.high - self.low)))
        return min(max(near, self.low), self.high)


Parameter = Among | Between


@dataclass(frozen=True, slots=True)
class Space:
    """The settings that a search tries: parameters by name, and the settings that they stand in.

    - `given`: the values of the names as the config gives them; they may lie outside the parameters
    - `epochs`: of every trial
    """

    parameters: Mapping[str, Parameter]
    model: ModelSettings
    train: TrainSettings

    @classmethod
    def of(cls, settings: SearchSettings, model: ModelSettings, train: TrainSettings) -> Space:
        """The space of settings that `complaints` finds nothing wrong with."""
        return cls({name: parameter_of(name, entry) for name, entry in settings.space.items()}, model, train)

    @property
    def given(self) -> dict[str, Any]:
        return {name: _value(self.model if name in OF_MODEL else self.train, name) for name in self.parameters}

    @property
    def words(self) -> Mapping[str, str]:
        return {name: parameter.words for name, parameter in self.parameters.items()}

    @property
    def epochs(self) -> int:
        return self.train.epochs

    @property
    def size(self) -> int | None:
        """How many combinations there are; None where one parameter is a continuum."""
        sizes = [parameter.size for parameter in self.parameters.values()]
        return None if None in sizes else math.prod(size for size in sizes if size is not None)

    def holds(self, parameters: Mapping[str, Any]) -> bool:
        """Whether every value is one that the space may give."""
        return all(parameter.holds(parameters[name]) for name, parameter in self.parameters.items())

    def distinct(self, trials: int) -> int:
        """How many of `trials` can differ, the settings as given included."""
        size = self.size
        return trials if size is None else min(trials, size + (not self.holds(self.given)))

    def combinations(self, seed: int) -> Iterator[dict[str, Any]]:
        """Every combination of a space without a continuum once, in an order that `seed` makes."""
        every = [parameter.values for parameter in self.parameters.values()]
        order = np.random.default_rng(seed).permutation(math.prod(len(values) for values in every))
        for place in order:
            values = np.unravel_index(int(place), [len(values) for values in every])
            yield {name: every[i][int(at)] for i, (name, at) in enumerate(zip(self.parameters, values, strict=True))}

    def plain(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Drawn values as they are trained and printed."""
        return {name: parameter.plain(parameters[name]) for name, parameter in self.parameters.items()}

    def applied(self, parameters: Mapping[str, Any]) -> tuple[ModelSettings, TrainSettings]:
        """The settings with these values in their places."""
        of_model = {name: value for name, value in parameters.items() if name in OF_MODEL}
        of_train = {name: value for name, value in parameters.items() if name not in OF_MODEL}
        model, train = self.model.model_copy(update=of_model), self.train
        for name, value in of_train.items():
            block, _, leaf = name.rpartition(".")
            update = {block: getattr(train, block).model_copy(update={leaf: value})} if block else {leaf: value}
            train = train.model_copy(update=update)
        return model, train


def parameter_of(name: str, entry: RangeSettings | tuple[Any, ...] | list[Any]) -> Parameter:
    """What one entry of `space` says of the setting `name`, which is searchable."""
    kind = SEARCHABLE[name]
    if not isinstance(entry, RangeSettings):
        return Among(tuple(float(one) if kind is float and isinstance(one, int) else one for one in entry))
    low, high, step = entry.low, entry.high, entry.step
    if kind is int and step is None and not entry.log:
        step = 1.0
    if step is not None:
        high = float(f"{low + math.floor((high - low) / step + 1e-9) * step:.12g}")
    if kind is int:
        return Between(round(low), round(high), entry.log, None if step is None else round(step), whole=True)
    return Between(low, high, entry.log, step, whole=False)


def _value(settings: Any, name: str) -> Any:
    for part in name.split("."):
        settings = getattr(settings, part)
    return settings


def _word(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)
