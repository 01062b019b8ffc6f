"""The parts of `train:` that train several times: search, ladders, the effect of augmentation. Imports no torch."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from imgid_audit.io.settings import Level, Settings, problem_at
from imgid_audit.vision.settings import TrainSettings


def _as_names(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


def _as_block(key: str, example: str) -> Any:
    """A list stands for a block that has nothing but `key`."""

    def block(value: Any) -> Any:
        if isinstance(value, list | tuple):
            return {key: value}
        if value is not None and not isinstance(value, dict | StudySettings):
            raise problem_at(f"must be a list, such as {example}, or a block of keys with `{key}`, got {_shown(value)}")
        return value

    return BeforeValidator(block)


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _as_share(value: Any) -> Any:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and value > 1:
        raise problem_at(f"must be <= 1, got {value:g}: these are shares, not percent; 25 % is 0.25")
    return value


Share = Annotated[float, BeforeValidator(_as_share), Field(gt=0, le=1)]


def _switch(value: Any) -> Any:
    """true for a block of defaults, false for none."""
    if isinstance(value, bool):
        return {} if value else None
    return value


def _each_once(values: Any) -> Any:
    for place, value in enumerate(values if isinstance(values, list | tuple) else ()):
        if value in values[:place]:
            raise problem_at(f"must be different, got {value!r} twice", place)
    return values


def _plain(value: Any) -> Any:
    """A number as it is: an integer of a config remembers how it was written, and YAML reads 1e-4 as text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", value):
        return int(value) if value.lstrip("+-").isdecimal() else float(value)
    return value


def _as_entry(value: Any) -> Any:
    """What may be tried of one setting: its type is told by its form, so that errors speak of that form alone."""
    if isinstance(value, list | tuple):
        return _each_once(tuple(map(_plain, value)))
    if isinstance(value, dict) and value and not set(value) & set(RangeSettings.model_fields):
        inner = next(iter(value))
        message = "is a block: name its settings with a dot, such as `augment.hflip`, one by one"
        raise problem_at(f"{message}; got {inner!r}")
    if isinstance(value, dict | RangeSettings):
        return RangeSettings.model_validate(value)
    raise problem_at(f"must be a list of values, or {{low, high, log, step}}, got {value!r}")


Names = Annotated[tuple[Level, ...], BeforeValidator(_as_names)]


class PrimarySettings(Settings):
    """What is to become better, declared before anything is tried: verdicts speak of this alone."""

    metric: str
    across: Names = Field((), description="an attribute, or a list: their intersection; none: all rows")
    class_name: Level | None = Field(None, alias="class", description="a label; default: the mean over classes")
    of: Literal["worst", "gap"] = Field("worst", description="the worst group of `across`, or the gap between groups")
    ignore: tuple[Level, ...] = Field((), description="levels that are left out of the worst group and the gap")


class RangeSettings(Settings):
    """Numbers between two bounds, both included."""

    low: float
    high: float
    log: bool = Field(False, description="draw the logarithm evenly: for rates")
    step: float | None = Field(None, gt=0, description="multiples of it from `low` on; a grid needs one")


Choice = bool | int | float | str | None
"""One value of a setting that a search chooses among several."""


class SearchSettings(Settings):
    """A search of training settings by Optuna, on val alone."""

    sampler: Literal["tpe", "gp", "random", "grid"] = "tpe"
    trials: int = Field(20, le=10_000, description="settings that are tried, 2 or more; the first is as given")
    minutes: float | None = Field(None, gt=0, description="no trial starts later than this; null: no limit")
    objective: PrimarySettings | None = Field(
        None, description="what is to become best on val; default: the accuracy that `select` names"
    )
    pruner: Literal["none", "median", "hyperband"] = Field(
        "none", description="which trials are stopped early, for being worse than others were after as many epochs"
    )
    seed: int = Field(0, ge=0)
    confirm: int = Field(
        5, ge=2, le=100, description="networks of the chosen and of the given settings each, with seeds of their own"
    )
    space: dict[str, Annotated[Any, BeforeValidator(_as_entry)]] = Field(
        min_length=1, description="a setting of `train`, dropout or architecture: a list, or {low, high, log, step}"
    )


class StudySettings(Settings):
    """What every study has; what it shows is accuracy on val."""

    seeds: int = Field(5, ge=2, le=100, description="networks of each variant, from `train.seed` on")
    across: Names = Field((), description="an attribute, or a list: their intersection; default: `train.groups`")
    tolerance: float = Field(0.01, gt=0, lt=1, description="a change of accuracy that counts as none")


class LadderSettings(StudySettings):
    """Architectures from small to large."""

    architectures: Annotated[tuple[str, ...], BeforeValidator(_each_once)] = Field(min_length=2)


class DataLadderSettings(StudySettings):
    """Shares of the training rows, drawn by subject, each containing those before it."""

    fractions: Annotated[tuple[Share, ...], BeforeValidator(_each_once)] = Field((0.125, 0.25, 0.5, 1.0), min_length=2)
    by_group: bool = Field(False, description="also: half of one group's training rows taken away, group by group")


class AugmentEffectSettings(StudySettings):
    """Training without augmentation against `train.augment` as given."""

    each: bool = Field(False, description="also each of its parts alone")


class TrainingSettings(TrainSettings):
    """The `train:` block: how one classifier is trained, and which further trainings explain it."""

    search: SearchSettings | None = Field(None, description="absent: settings are used as given")
    ladder: Annotated[LadderSettings | None, _as_block("architectures", "[smallcnn, resnet18]")] = Field(
        None, description="architectures, or {architectures, seeds, across, tolerance}"
    )
    data_ladder: Annotated[DataLadderSettings | None, _as_block("fractions", "[0.25, 0.5, 1.0]")] = Field(
        None, description="fractions of the training rows, or {fractions, by_group, seeds, across, tolerance}"
    )
    augment_effect: Annotated[AugmentEffectSettings | None, BeforeValidator(_switch)] = Field(
        None, description="true, or {each, seeds, across, tolerance}"
    )

    def alone(self) -> TrainSettings:
        """The settings of one training."""
        return TrainSettings(**{name: getattr(self, name) for name in TrainSettings.model_fields})
