"""Any sampler of imbalanced-learn by its name: on row numbers, or on training embeddings where it looks at features."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Self

from pydantic import Field, model_validator

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Codes
from imgid_audit.io.settings import problem_at
from imgid_audit.mitigations.base import Ask, Counts, Mitigation, Place
from imgid_audit.mitigations.points import resampled, too_few
from imgid_audit.mitigations.resampling import (
    ResampleParams,
    Rows,
    corrects_prior,
    groups_without_rows,
    needs,
    sampled_rows,
    strata,
    stratum_sizes,
)
from imgid_audit.vision.treatment import Part, Treatment

_REFUSED = {
    "SMOTENC": "is for tables with categorical columns, and embeddings have none: use SMOTE",
    "SMOTEN": "is for categorical columns, and embeddings have none: use SMOTE",
    "FunctionSampler": "takes a function, which a config cannot hold: name a method of your own, package.module:Class",
}


class ImblearnParams(ResampleParams):
    """Which sampler, with which of its own parameters."""

    sampler: str = Field(description="a class of imblearn.over_sampling, under_sampling or combine, such as NearMiss")
    params: dict[str, Any] = Field(
        default_factory=dict, description="the sampler's own; `random_state` is the comparison's seed"
    )

    @model_validator(mode="after")
    def _sampler_takes_them(self) -> Self:
        known = samplers()
        if self.sampler in _REFUSED:
            raise problem_at(f"{self.sampler} {_REFUSED[self.sampler]}", "sampler")
        if self.sampler not in known:
            near = get_close_matches(self.sampler, known, n=3)
            hint = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            message = f"imbalanced-learn has no sampler {self.sampler!r}: {hint}known are {', '.join(known)}"
            raise problem_at(message, "sampler")
        _check_params(known[self.sampler], self.params)
        strategy = self.params.get("sampling_strategy")
        if self.by != "class" and isinstance(strategy, dict | list):
            message = f"names labels, but strata are by {self.by}: give a word such as 'auto', or `by: class`"
            raise problem_at(message, "params", "sampling_strategy")
        if self.by == "group" and not selects_rows(self):
            message = f"{self.sampler} makes new points, which would have no label: use class or class_and_group"
            raise problem_at(message, "by")
        return self


def samplers() -> dict[str, type]:
    """The sampler classes that can be named, by name."""
    from imblearn import combine, over_sampling, under_sampling

    found = {name: getattr(home, name) for home in (over_sampling, under_sampling, combine) for name in home.__all__}
    return {name: found[name] for name in sorted(found) if name not in _REFUSED}


def _check_params(sampler: type, params: Mapping[str, Any]) -> None:
    takes = [name for name in inspect.signature(sampler).parameters if name != "random_state"]
    for name in params:
        if name == "random_state":
            raise problem_at("comes from the seeds of the comparison: remove it", "params", name)
        if name not in takes:
            near = get_close_matches(name, takes, n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            message = f"is no parameter of {sampler.__name__}: {hint}known are {', '.join(takes)}"
            raise problem_at(message, "params", name)
    plain = {name: value for name, value in params.items() if name != "sampling_strategy"}
    try:
        sampler(**plain)._validate_params()  # scikit-learn's check of types and ranges
    except (ValueError, TypeError) as error:
        raise problem_at(" ".join(str(error).split()), "params") from error


def reads_features(params: ImblearnParams) -> bool:
    """Whether the sampler looks at more than strata: the random ones do not, unless they shake the points."""
    if params.sampler == "RandomOverSampler":
        return params.params.get("shrinkage") is not None
    return params.sampler != "RandomUnderSampler"


def selects_rows(params: ImblearnParams) -> bool:
    """Whether the sampler only chooses among rows, as it says of itself."""
    if params.sampler == "RandomOverSampler":
        return not reads_features(params)
    tags = samplers()[params.sampler]().__sklearn_tags__()
    return bool(tags.sampler_tags.sample_indices)


def acts_on(params: ImblearnParams) -> tuple[Place, ...]:
    """Row numbers, or the training embeddings."""
    return ("embeddings",) if reads_features(params) else ("sampler",)


def shifts_prior(params: ImblearnParams) -> bool:
    """Whether classes come out in another frequency: samplers that only clean borders hardly change it."""
    return bool(samplers()[params.sampler]._sampling_type != "clean-sampling")


def corrects(params: ImblearnParams) -> bool:
    """Whether classes are meant to come out in another frequency."""
    return corrects_prior(params) and shifts_prior(params)


def make(params: ImblearnParams, ask: Ask, seed: int) -> Any:
    """The sampler, with `seed` as its random state where it has one."""
    chosen = samplers()[params.sampler]
    state = {"random_state": seed} if "random_state" in inspect.signature(chosen).parameters else {}
    return chosen(**{**params.params, **_strategy(params, ask), **state})


def _strategy(params: ImblearnParams, ask: Ask) -> dict[str, Any]:
    """`sampling_strategy` with labels as the codes that the sampler sees; {} where it is not given."""
    given = params.params.get("sampling_strategy")
    if given is None:
        return {}
    if isinstance(given, float) and params.by == "class" and len(ask.labels) > 2:
        raise InputError(f"{params.sampler}: a sampling_strategy of {given:g} needs two classes, got {len(ask.labels)}")
    if not isinstance(given, dict | list):
        return {"sampling_strategy": given}
    code = {label: number for number, label in enumerate(ask.labels)}
    names = {entry: str(getattr(entry, "text", entry)) for entry in given}
    for name in names.values():
        if name not in code:
            known = ", ".join(ask.labels) or "none here"
            raise InputError(f"{params.sampler}: sampling_strategy names {name!r}: known labels are {known}")
    if isinstance(given, dict):
        return {"sampling_strategy": {code[names[entry]]: amount for entry, amount in given.items()}}
    return {"sampling_strategy": [code[names[entry]] for entry in given]}


def build(params: ImblearnParams, ask: Ask) -> Treatment:
    """A choice of rows in every epoch where features do not matter; else of embeddings, once, in scope head alone."""
    make(params, ask, 0)  # what does not fit the task is said now

    def resample(labels: Codes, groups: Codes | None, seed: int) -> Rows:
        return sampled_rows(make(params, ask, seed), strata(params, labels, groups))

    def points(part: Part, _classes: int, seed: int) -> Part:
        return resampled(part, make(params, ask, seed), strata(params, part.labels, part.groups))

    if not reads_features(params):
        return Treatment(rows=resample)
    if ask.scope == "full":
        message = f"{params.sampler} looks at embeddings, which change while a whole network trains: use scope head"
        raise InputError(message)
    return Treatment(points=points)


def unmet(params: ImblearnParams, ask: Ask, counts: Counts) -> Iterator[str]:
    """Groups without rows, and strata with too few rows for the neighbours that are asked for."""
    yield from groups_without_rows(params, counts)
    sampler, sizes = make(params, ask, 0), stratum_sizes(params, counts)
    if not selects_rows(params) and (neighbours := _neighbours(sampler)):
        yield from too_few(sizes, sampler.sampling_strategy, neighbours, params.sampler)
    elif problem := _bad_strategy(sampler, sizes):
        yield problem


def _neighbours(sampler: Any) -> int:
    """Neighbours of its own stratum that an oversampled row must have; 0 where it needs none."""
    if hasattr(sampler, "smote"):  # those that combine make a plain SMOTE themselves
        return 5
    found = getattr(sampler, "k_neighbors", getattr(sampler, "n_neighbors", 0))
    if type(sampler).__name__ == "KMeansSMOTE":
        return 0  # looks for them within clusters, which only the fit knows
    return found if isinstance(found, int) else 0


def _bad_strategy(sampler: Any, sizes: dict[str, int]) -> str:
    from imblearn.utils import check_sampling_strategy

    if len(sizes) < 2:
        return ""
    codes = [code for code, rows in enumerate(sizes.values()) for _ in range(rows)]
    try:
        check_sampling_strategy(sampler.sampling_strategy, codes, sampler._sampling_type)
    except ValueError as error:
        return f"sampling_strategy: {' '.join(str(error).split())}"
    return ""


METHOD = Mitigation(
    name="imblearn",
    summary="any sampler of imbalanced-learn by name: on rows, or on training embeddings where it needs features",
    source="imbalanced-learn; Lemaître et al., JMLR 18(17), 2017",
    Params=ImblearnParams,
    build=build,
    acts_on=acts_on,
    needs=needs,
    shifts_prior=shifts_prior,
    corrects_prior=corrects,
    unmet=unmet,
)
