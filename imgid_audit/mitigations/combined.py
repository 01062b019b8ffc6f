"""A method as a config names it: one registered method, or several used together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from itertools import combinations
from typing import Any

from pydantic import BaseModel, ValidationError

from imgid_audit.core.errors import InputError
from imgid_audit.mitigations.base import Ask, Counts, Mitigation, Need, Place
from imgid_audit.mitigations.settings import MethodSettings
from imgid_audit.vision.treatment import PLAIN, Treatment


@dataclass(frozen=True, slots=True)
class Remedy:
    """Methods with their parameters, used together under one `name`; `fixed` are the parameters that the user gave."""

    name: str
    parts: tuple[tuple[Mitigation, BaseModel], ...]
    fixed: tuple[frozenset[str], ...]

    @staticmethod
    def of(settings: MethodSettings, find: Any) -> Remedy:
        """The remedy that a config's entry asks for; `find(name)` gives a method."""
        parts, fixed = [], []
        for entry in settings.entries:
            method = find(entry.name)
            parts.append((method, method.Params.model_validate(entry.params)))
            fixed.append(frozenset(entry.params))
        return Remedy(settings.title, tuple(parts), tuple(fixed))

    @property
    def methods(self) -> tuple[str, ...]:
        return tuple(method.name for method, _ in self.parts)

    @property
    def acts_on(self) -> tuple[Place, ...]:
        return tuple(dict.fromkeys(place for method, params in self.parts for place in method.acts_on(params)))

    @property
    def needs(self) -> tuple[Need, ...]:
        """Sorted, each once."""
        return tuple(sorted({need for method, params in self.parts for need in method.needs(params)}))

    @property
    def required(self) -> tuple[Need, ...]:
        """What it cannot run without; methods that fall back run without groups."""
        return tuple(
            need
            for need in self.needs
            if any(
                need in method.needs(params) and not (method.falls_back and need.startswith("group labels"))
                for method, params in self.parts
            )
        )

    @property
    def source(self) -> str:
        return "; ".join(dict.fromkeys(method.source for method, _ in self.parts))

    @property
    def shifts_prior(self) -> bool:
        return any(method.shifts_prior(params) for method, params in self.parts)

    @property
    def starts_over(self) -> bool:
        return any(method.starts_over for method, _ in self.parts)

    @property
    def uses_adjust(self) -> bool:
        """Whether it learns from the rows set aside."""
        return any(method.uses_adjust for method, _ in self.parts)

    @property
    def fits_rule(self) -> bool:
        """Whether it has a decision rule that is fitted on rows."""
        return any(method.fits_rule and "decision" in method.acts_on(params) for method, params in self.parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        told = [
            (method.name, method.warning if isinstance(method.warning, str) else method.warning(params))
            for method, params in self.parts
        ]
        return tuple(f"{name}: {text}" for name, text in told if text)

    @property
    def space(self) -> Mapping[str, tuple[Any, ...]]:
        """What tuning may vary, as ``method.parameter``: the declared values of parameters that nobody gave."""
        return {
            f"{method.name}.{name}": tuple(values)
            for (method, params), fixed in zip(self.parts, self.fixed, strict=True)
            for name, values in method.space.items()
            if name not in fixed and name in type(params).model_fields
        }

    @property
    def parameters(self) -> dict[str, Any]:
        """All parameters that act as plain values, as ``method.parameter``."""
        return {
            f"{method.name}.{name}": value
            for method, params in self.parts
            for name, value in params.model_dump(mode="json", by_alias=True).items()
            if name not in method.idle(params)
        }

    def with_values(self, values: Mapping[str, Any]) -> Remedy:
        """The same with some parameters replaced, named as in `space`; others are left alone.

        Raises `InputError` for values that a method refuses together.
        """
        parts = []
        for method, params in self.parts:
            new = {name: values[key] for name in method.space if (key := f"{method.name}.{name}") in values}
            try:
                tried = type(params).model_validate({**params.model_dump(by_alias=True), **new})
            except ValidationError as error:
                raise InputError(f"{method.name} refuses {new}: {error.errors()[0]['msg']}") from error
            parts.append((method, tried))
        return Remedy(self.name, tuple(parts), self.fixed)

    def treatment(self, ask: Ask) -> Treatment:
        """What is done at every place. Raises `InputError` for parameters that do not fit the task."""
        return together([method.build(params, ask) for method, params in self.parts])

    def misfits(self, ask: Ask) -> Iterator[str]:
        """Why these methods cannot be used together, or not in this scope."""
        for method, _ in self.parts:
            if ask.scope not in method.scopes:
                yield f"{method.name} works in scope {' and '.join(method.scopes)} alone, not in scope {ask.scope}"
        for (one, a), (two, b) in combinations(self.parts, 2):
            both = [place for place in one.acts_on(a) if place in two.acts_on(b)]
            if one.name == two.name:
                yield f"{one.name} is combined with itself"
            elif both:
                yield f"{one.name} and {two.name} both act on the {both[0]}: use one of them"
            elif one.corrects(a) and two.corrects(b) and not (two.name in one.goes_with or one.name in two.goes_with):
                yield f"{one.name} and {two.name} both correct the frequency of classes: together they correct it twice"
            elif two.name in one.excludes or one.name in two.excludes:
                yield f"{one.name} and {two.name} must not be combined"
            elif ask.scope == "head" and (lost := _without_effect((one, a), (two, b))):
                yield f"{lost[0]} fits the last layer anew, so {lost[1]} has no effect in scope head: use one of them"

    def unmet(self, ask: Ask, counts: Counts) -> Iterator[str]:
        """What only the data can refuse."""
        for method, params in self.parts:
            try:
                found = tuple(method.unmet(params, ask, counts))
            except InputError as error:  # a method of the user's own may fail to say
                found = tuple(problem.message for problem in error.problems)
            yield from (f"{method.name}: {message}" for message in found)


def _without_effect(*parts: tuple[Mitigation, BaseModel]) -> tuple[str, str] | None:
    """The method that starts over, and the one whose training it throws away."""
    for (one, _), (two, params) in (parts, parts[::-1]):
        if one.starts_over and set(two.acts_on(params)) - {"decision"}:
            return one.name, two.name
    return None


def together(treatments: list[Treatment]) -> Treatment:
    """One treatment of several that act at different places; refits in their order."""
    merged: dict[str, Any] = {}
    for one in treatments:
        for each in fields(Treatment):
            value = getattr(one, each.name)
            if isinstance(value, tuple):
                merged[each.name] = (*merged.get(each.name, ()), *value)
            elif value != getattr(PLAIN, each.name):
                merged[each.name] = value
    return Treatment(**merged)
