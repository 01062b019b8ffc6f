"""The `mitigations:` block of a config. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from imgid_audit.io.settings import Level, Settings, problem_at
from imgid_audit.vision.settings import PluginEntry
from imgid_audit.vision.study_settings import PrimarySettings


def _as_entry(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


MOST_SEEDS = 100
HIGHEST_SEED = 2**31 - 2
TITLE_LENGTH = 60


def _as_seeds(value: Any) -> Any:
    """5 as 0 to 4; a list as it is: integers from 0, each once, two or more."""
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise problem_at(f"must be a number of seeds, such as 5 for 0 to 4, or a list of them, got {value!r}")
    whole = isinstance(value, int)
    given: Sequence[Any] = range(min(value, MOST_SEEDS + 1)) if isinstance(value, int) else value
    for place, seed in enumerate(given):
        at = () if whole else (place,)
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= HIGHEST_SEED:
            got = str(seed).lower() if isinstance(seed, bool) else repr(seed)
            raise problem_at(f"must be an integer from 0 to {HIGHEST_SEED:,}, got {got}", *at)
        if not whole and seed in given[:place]:
            raise problem_at(f"must be different seeds, got {seed} twice", *at)
    if len(given) < 2:
        why = "the scatter between seeds is part of every interval, and one seed has none"
        raise problem_at(f"must be two seeds or more, got {value}: {why}")
    if len(given) > MOST_SEEDS:
        raise problem_at(f"must be {MOST_SEEDS} seeds or fewer, got {value if whole else len(given):,}")
    return tuple(given)


def _title(value: str) -> str:
    if not value.strip() or not value.isprintable() or len(value) > TITLE_LENGTH:
        raise problem_at(f"must be one line of 1 to {TITLE_LENGTH} characters, not blank, got {value[:80]!r}")
    return value


def _not_empty(value: Any) -> Any:
    # A length that the field asks for would count the entries that are right, and complain of others twice.
    if isinstance(value, list | tuple) and not value:
        raise problem_at("must list one method or more, got none")
    return value


def _as_entries(value: Any) -> Any:
    return (value,) if isinstance(value, str | dict) else value


class MethodSettings(PluginEntry):
    """A method by name, with its parameters; others that it is combined with; how the report calls it."""

    with_: Annotated[tuple[Annotated[PluginEntry, BeforeValidator(_as_entry)], ...], BeforeValidator(_as_entries)] = (
        Field((), alias="with", description="other methods used together with it, one or a list")
    )
    label: Annotated[Level, AfterValidator(_title)] | None = Field(
        None, description="how the report calls it; default: the names joined by +"
    )

    @property
    def title(self) -> str:
        """The label, or the names joined by ``+``."""
        return self.label or "+".join(one.name for one in self.entries)

    @property
    def entries(self) -> tuple[PluginEntry, ...]:
        """The method and those it is combined with."""
        return (PluginEntry(name=self.name, params=self.params), *self.with_)


class HeadSettings(Settings):
    """How a head is trained on embeddings (AdamW, cosine schedule)."""

    epochs: int = Field(50, ge=1)
    batch_size: int = Field(256, ge=1)
    lr: float = Field(0.01, gt=0)
    weight_decay: float = Field(0.0001, ge=0)


class MitigationsSettings(Settings):
    """Which remedies are compared, under which budget, by what."""

    scope: Literal["head", "full"] = Field(
        "head", description="head: a new last layer on frozen embeddings; full: the whole network"
    )
    methods: Annotated[
        tuple[Annotated[MethodSettings, BeforeValidator(_as_entry)], ...], BeforeValidator(_not_empty)
    ] = Field(description="names, or {name, params, with, label}; the baseline is always among them")
    seeds: Annotated[tuple[int, ...], BeforeValidator(_as_seeds)] = Field(
        (0, 1, 2, 3, 4), description="5 means 0 to 4, or a list; two or more"
    )
    trials: int = Field(
        8, ge=1, le=1000, description="settings that are tried on val, the same number for every method"
    )
    select: Literal["worst_group", "worst_class", "average"] | None = Field(
        None,
        description="accuracy on val that picks trial and epoch; "
        "default: worst_group with `train.groups`, else worst_class",
    )
    primary: PrimarySettings
    backbone: Literal["trained", "init"] = Field(
        "trained", description="head: embeddings of the trained (or given) network, or of `train.init` as it is"
    )
    head: HeadSettings = Field(default_factory=HeadSettings)
