"""What a config's `mitigations:` block must be: methods that exist and fit together, a primary metric that can be met.

What a method lacks in this data set (group labels, rows set aside) is no error: it is reported as not run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from imgid_audit.config.draft import Draft, lacks_val
from imgid_audit.config.messages import Complaint, complaints
from imgid_audit.config.models import MACRO, TaskSettings
from imgid_audit.config.rules import GAP_METRICS
from imgid_audit.core.cost_table import cost_complaints
from imgid_audit.core.errors import InputError
from imgid_audit.core.naming import unknown
from imgid_audit.metrics import METRICS
from imgid_audit.mitigations import find
from imgid_audit.mitigations.base import Ask, Mitigation, Scope
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.mitigations.own import undeclared
from imgid_audit.mitigations.settings import MethodSettings, PrimarySettings
from imgid_audit.vision.settings import PluginEntry

AT = "mitigations"
BASELINE = "baseline"
Trail = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Written:
    """The parts of the block that are right by themselves; `methods` with their places in the list.

    `scope`, `select` and `backbone` are as written, None where absent or not one of their values.
    """

    methods: tuple[tuple[int, MethodSettings], ...]
    primary: PrimarySettings | None
    scope: Scope | None
    select: str | None
    backbone: str | None


def mitigation_complaints(raw: Any, draft: Draft) -> Iterator[Complaint]:
    """(trail, message) of everything that is wrong; `raw` is the block as plain values."""
    if not isinstance(raw, Mapping) or "predictions" in draft.given:
        return
    block = _written(raw)
    yield from _block(block, draft)
    yield from _titles(block.methods)
    ask, threshold = _ask(block, draft), "operating_point" in draft.given
    for index, entry in block.methods:
        if not is_own(entry):
            yield from entry_complaints(entry, (AT, "methods", index), ask, threshold=threshold)
    if block.primary is not None:
        data = draft.data()
        attributes = None if data is None else tuple(data.attributes)
        for trail, message in primary_complaints(block.primary, draft.task(), attributes):
            yield (AT, "primary", *trail), message


def method_of(entry: PluginEntry, at: Trail) -> tuple[Mitigation | None, list[Complaint]]:
    """The method of an entry, None where there is none of that name, and what is wrong with name and parameters."""
    try:
        method = find(entry.name)
    except InputError as error:
        return None, [((*at, "name"), problem.message) for problem in error.problems]
    unsaid = [((*at, "name"), message) for message in undeclared(method, entry.params)] if ":" in entry.name else []
    return method, unsaid or list(params_complaints(method.Params, entry.params, (*at, "params")))


def params_complaints(model: type[BaseModel], params: Mapping[str, Any], at: Trail) -> Iterator[Complaint]:
    """What a plugin's own `Params` find wrong."""
    try:
        model.model_validate(params)
    except ValidationError as error:
        for trail, message in complaints(error, model, params):
            yield (*at, *trail), message


def _written(raw: Mapping[str, Any]) -> Written:
    methods = []
    listed = raw.get("methods")
    for index, item in enumerate(listed if isinstance(listed, list | tuple) else ()):
        try:
            methods.append((index, MethodSettings.model_validate({"name": item} if isinstance(item, str) else item)))
        except ValidationError:
            continue
    try:
        primary = PrimarySettings.model_validate(raw.get("primary"))
    except ValidationError:
        primary = None
    scope = raw.get("scope", "head")
    words = [value if isinstance(value, str) else None for value in (raw.get("select"), raw.get("backbone"))]
    return Written(tuple(methods), primary, scope if scope in get_args(Scope) else None, *words)


def _block(block: Written, draft: Draft) -> Iterator[Complaint]:
    """What the block needs of the others."""
    train, data = draft.train(), draft.data()
    if "model" not in draft.given:
        yield (AT,), "needs `model`: the network that is trained"
    if draft.trains and data is not None and data.split is not None and lacks_val(data):
        yield (AT,), "needs train and val rows: give `data.split` a fraction `val`, by which settings are picked"
    if block.methods and all(entry.name == BASELINE and not entry.with_ for _, entry in block.methods):
        yield (AT, "methods"), "must have a method besides the baseline, with which all are compared"
    if train is None:
        return
    if block.select == "worst_group" and not train.groups:
        yield (AT, "select"), "worst_group needs `train.groups`: the attributes that define a group"
    if block.backbone == "init" and block.scope == "full":
        yield (AT, "backbone"), "has no effect in scope full, which trains the whole network: remove it"
    elif block.backbone == "init" and train.init is None:
        yield (AT, "backbone"), "init needs `train.init`: DEFAULT (torchvision's or timm's weights) or a file"
    if block.scope == "full" and train.resample is not None:
        message = "would be part of the baseline in scope full, which is plain training"
        yield ("train", "resample"), f"{message}: list it in `mitigations.methods` instead"


def _titles(methods: Sequence[tuple[int, MethodSettings]]) -> Iterator[Complaint]:
    """Names that the report cannot tell apart."""
    first: dict[str, int] = {}
    plain: list[int] = []
    for index, entry in methods:
        at = (AT, "methods", index)
        is_baseline = entry.name == BASELINE and not entry.with_
        plain += [index] if is_baseline else []
        if entry.title in first:
            message = f"is called {entry.title!r}, as method {first[entry.title]} is: give it a `label` of its own"
            yield at, message
        elif entry.title == BASELINE and not is_baseline:
            yield (*at, "label"), f"{BASELINE!r} is the name of plain training: call it something else"
        elif is_baseline and len(plain) > 1:
            yield at, f"lists the baseline again, method {plain[0]} is it already: remove it"
        first.setdefault(entry.title, index)


def is_own(entry: MethodSettings) -> bool:
    """Whether a method of the user's own is among them: their code is imported when data are read, not here."""
    return any(":" in one.name for one in entry.entries)


def entry_complaints(entry: MethodSettings, at: Trail, ask: Ask | None, *, threshold: bool) -> Iterator[Complaint]:
    """One entry: its methods by themselves, together, and for the task.

    `ask` None: the scope is not known; without labels in it what needs them is not asked. `threshold`: the
    config has an `operating_point`.
    """
    found = [complaint for one, place in _places(entry, at) for complaint in method_of(one, place)[1]]
    yield from found
    if entry.with_ and BASELINE in (one.name for one in entry.entries):
        yield at, f"combines {BASELINE}, which changes nothing: remove it"
        return
    if found or ask is None:
        return
    remedy = Remedy.of(entry, find)
    misfits = list(remedy.misfits(ask))
    yield from ((at, message) for message in misfits)
    if "decision" in remedy.acts_on and threshold:
        yield at, f"{remedy.name} decides by itself and cannot stand beside `operating_point`: remove one of them"
    if not misfits and ask.labels:
        yield from build_complaints(remedy, ask, at)


def build_complaints(remedy: Remedy, ask: Ask, at: Trail) -> Iterator[Complaint]:
    """Parameters that do not fit the task: a method tells when it is built."""
    for number, (method, params) in enumerate(remedy.parts):
        try:
            method.build(params, ask)
        except InputError as error:
            place = (*at, "with", number - 1) if number else at
            for problem in error.problems:
                known = method.name in problem.message
                yield place, problem.message if known else f"{method.name}: {problem.message}"


def _ask(block: Written, draft: Draft) -> Ask | None:
    """What methods are built for, as far as the config tells; without labels where its costs are wrong."""
    task, costs = draft.task(), _sound_costs(draft)
    if block.scope is None:
        return None
    unsound = costs is None and "costs" in draft.given
    labels = None if task is None or unsound else task.labels
    return Ask(labels or (), task is not None and task.type == "binary", block.scope, costs)


def _places(entry: MethodSettings, at: Trail) -> Iterator[tuple[PluginEntry, Trail]]:
    one, *others = entry.entries
    yield one, at
    for number, other in enumerate(others):
        yield other, (*at, "with", number)


def _sound_costs(draft: Draft) -> dict[str, dict[str, float]] | None:
    costs, task = draft.blocks.get("costs"), draft.task()
    if costs is None or any(cost_complaints(costs, None if task is None else task.labels)):
        return None
    return dict(costs)


def primary_complaints(
    primary: PrimarySettings, task: TaskSettings | None, attributes: Sequence[str] | None
) -> Iterator[Complaint]:
    """(trail within `primary`, message); None stands for a block that is itself wrong."""
    for place, name in enumerate(primary.across):
        if attributes is not None and name not in attributes:
            yield ("across",) if len(primary.across) == 1 else ("across", place), unknown("attribute", name, attributes)
    if len(set(primary.across)) < len(primary.across):
        yield ("across",), f"must be different attributes, got {list(primary.across)}"
    if primary.of == "gap" and not primary.across:
        yield ("of",), "gap compares groups and needs `across`: the attribute whose levels are compared"
    elif "of" in primary.model_fields_set and not primary.across:
        yield ("of",), "speaks of groups and needs `across`: the attribute that has them"
    if primary.ignore and not primary.across:
        yield ("ignore",), "leaves out levels and needs `across`: the attribute that has them"
    if primary.metric in GAP_METRICS:
        yield ("metric",), f"{primary.metric!r} is a gap: name its metric, such as recall, with `of: gap`"
    elif primary.metric not in METRICS:
        yield ("metric",), METRICS.unknown(primary.metric)
    elif METRICS[primary.metric].better is None:
        yield ("metric",), f"{primary.metric} is neither better high nor low: nothing could be said to help"
    elif task is not None:
        yield from _primary_class(primary, task)


def _primary_class(primary: PrimarySettings, task: TaskSettings) -> Iterator[Complaint]:
    metric, name, at = METRICS[primary.metric], primary.class_name, ("class",)
    if name is None:
        if task.type == "multiclass" and metric.per_class and not metric.macro:
            yield (), f"needs `class`: {metric.name} has no mean over classes"
    elif not metric.per_class:
        yield at, f"has no meaning for {metric.name}, which speaks of all classes: remove it"
    elif task.type == "binary":
        if task.positive is not None and name != task.positive:
            message = f"must be the positive class {task.positive!r} in a binary task, got {name!r}"
            yield at, f"{message}: name that one, or leave `class` out"
    elif name == MACRO and not metric.macro:
        yield at, f"macro has no meaning for {metric.name}: name a label"
    elif name != MACRO and task.labels is not None and name not in task.labels:
        yield at, unknown("label", name, [*task.labels, MACRO])
