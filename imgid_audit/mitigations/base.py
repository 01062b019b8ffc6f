"""What a mitigation is: what it declares of itself, and how its parameters become a `Treatment`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from imgid_audit.io.settings import Settings
from imgid_audit.vision.treatment import Treatment

Place = Literal["sampler", "embeddings", "pixels", "augmentation", "loss", "head", "decision"]
"""Where a method acts. Two methods that act at one place cannot be combined."""

Need = Literal["class labels", "group labels in training", "group labels in validation", "group labels at inference"]
"""What a method must be told of the rows."""

Scope = Literal["head", "full"]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a method is built for: the labels in class order, the task's kind, and the scope.

    `costs[true][predicted]` are the config's own, None without any; `positive`: the positive label of a binary task.
    """

    labels: tuple[str, ...]
    binary: bool
    scope: Scope
    costs: Mapping[str, Mapping[str, float]] | None = None
    positive: str | None = None


class NoParams(Settings):
    """A method without parameters."""


@dataclass(frozen=True, slots=True)
class Mitigation:
    """A registered method.

    - `acts_on(params)`: the places where it acts; `needs(params)`: what it must be told
    - `shifts_prior(params)`: whether it makes scores speak of another frequency of classes than the data's, also
      in passing: classes and groups often go together
    - `corrects_prior(params)`: whether it is made to change the frequency of classes, so that a second such
      method would change it twice; None: where it shifts the prior
    - `goes_with`: methods that it may stand beside although both correct the prior, because it does not add up
    - `source`: the paper or library that it comes from; `Params`: the pydantic model of its parameters
    - `scopes`: where it can be used; `excludes`: methods that it must not be combined with, beyond those
      that act at the same place or correct the class prior a second time
    - `space`: values that tuning may try, by parameter; parameters that the user gave stay as they are
    - `build(params, ask)` makes the treatment; raises `InputError` for parameters that do not fit the task
    - `unmet(params, ask, counts)`: what only the data can refuse, as messages (see `Counts`)
    - `warning`: what a reader must know, or a function of the parameters; '' for nothing
    - `starts_over`: its last layer does not depend on the one that was trained, nor on how
    - `idle(params)`: names of parameters that have no effect beside the values of others
    - `falls_back`: without group labels it does something sensible instead, and runs
    - `uses_adjust`: it learns from the rows set aside, so that nothing else may be fitted on them afterwards
    - `fits_rule`: its decision rule, where it has one, is fitted on the rows set aside, else on val
    """

    name: str
    summary: str
    source: str
    Params: type[BaseModel]
    build: Callable[[Any, Ask], Treatment]
    acts_on: Callable[[Any], tuple[Place, ...]]
    needs: Callable[[Any], frozenset[Need]]
    shifts_prior: Callable[[Any], bool] = field(default=lambda _: False)
    scopes: tuple[Scope, ...] = ("head", "full")
    corrects_prior: Callable[[Any], bool] | None = None
    goes_with: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    space: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    unmet: Callable[[Any, Ask, Counts], Sequence[str]] = field(default=lambda _params, _ask, _counts: ())
    warning: str | Callable[[Any], str] = ""
    idle: Callable[[Any], frozenset[str]] = field(default=lambda _: frozenset())
    falls_back: bool = False
    starts_over: bool = False
    uses_adjust: bool = False
    fits_rule: bool = True

    def corrects(self, params: Any) -> bool:
        """Whether a second method that corrects the frequency of classes would correct it twice."""
        return (self.corrects_prior or self.shifts_prior)(params)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many rows there are, as a method may refuse them: by class, by group, by both.

    - `classes[label]`, `groups[group]`: training rows; `val_groups[group]`: validation rows
    - `cells[(label, group)]`: training rows of a class within a group; groups are empty without `train.groups`
    - `adjust`: rows set aside for adjusting
    """

    classes: Mapping[str, int]
    groups: Mapping[str, int]
    val_groups: Mapping[str, int]
    cells: Mapping[tuple[str, str], int]
    adjust: int
