"""`load_config`: from a file or a dict to a valid `Config`, or to every problem at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from imgid_audit.config.crosscheck import cross_complaints
from imgid_audit.config.document import Document, Trail, apply_override, read_document, wrap_document
from imgid_audit.config.draft import Draft
from imgid_audit.config.messages import problems_of, value_at
from imgid_audit.config.mitigation_checks import mitigation_complaints
from imgid_audit.config.models import Config, PolicySettings, RuleSettings, TaskSettings
from imgid_audit.config.rules import IndexedRule, rule_complaints
from imgid_audit.config.training_checks import of_what_is_left, training_complaints, without_wrong
from imgid_audit.core.errors import Problem, raise_all
from imgid_audit.core.policy import Policy
from imgid_audit.core.task import Task

Model = TypeVar("Model", bound=BaseModel)


def load_config(
    source: str | Path | Mapping[str, Any], *, overrides: Sequence[str] = (), folder: Path | None = None
) -> Config:
    """The config in a YAML file, or in a dict.

    `overrides` are assignments such as ``predict.batch_size=8``. Relative paths are relative to the
    file's folder, for a dict to `folder` (default: the working directory). Touches no other file.

    Raises `InputError` with all problems: each has its trail, and its line where it has one.
    """
    if isinstance(source, Mapping):
        document, path = wrap_document(source), None
        folder = folder or Path.cwd()
    else:
        path = Path(source)
        document = read_document(path)
        folder = folder or path.resolve().parent
    _require_block(document)
    problems = list(document.problems)
    for assignment in overrides:
        problem = apply_override(document, assignment)
        problems += [problem] if problem else []
    _drop_empty_blocks(document.root)
    config, found = _validate(Config, document)
    problems += found
    problems += _cross_problems(document)
    raise_all(_in_order(problems))
    if config is None:
        raise AssertionError("a config that is not valid has problems")
    return config.located(folder.resolve(), path.resolve() if path else None)


def load_policy(path: str | Path, *, task: Task, attributes: Sequence[str]) -> Policy:
    """The policy in a YAML file: a `policy:` block, whole configs included, or the block's keys alone.

    `task` and `attributes` are those of the run that it is applied to. Raises `InputError` with all
    problems.
    """
    document = read_document(Path(path))
    _require_block(document)
    at: Trail = ("policy",) if "policy" in document.root else ()
    settings, problems = _validate(PolicySettings, document, at)
    known = TaskSettings(type=task.kind, positive=task.positive, labels=task.labels)
    rules = rule_complaints(_rules(document, at), known, attributes)
    problems += [document.problem((*at, *trail), message) for trail, message in rules]
    raise_all(_in_order([*document.problems, *problems]))
    if settings is None:
        raise AssertionError("a policy that is not valid has problems")
    return settings.policy()


def _drop_empty_blocks(root: dict[str, Any]) -> None:
    """A block that is written as null is the same as one that is not written."""
    for key, field in Config.model_fields.items():
        if key in root and root[key] is None and not field.is_required():
            del root[key]


def _require_block(document: Document) -> None:
    if not isinstance(document.root, dict):
        raise_all([*document.problems, Problem(document.source, "must be a block of keys, such as `name: my-audit`")])


def _validate(model: type[Model], document: Document, at: Trail = ()) -> tuple[Model | None, list[Problem]]:
    raw = value_at(document.root, at)
    try:
        return model.model_validate(raw), []
    except ValidationError as error:
        return None, problems_of(error, model, document, at)


def _cross_problems(document: Document) -> list[Problem]:
    """What is wrong between the blocks, read from those that are right by themselves."""
    blocks = _sound_blocks(document.root)
    cut: tuple[Trail, ...] = ()
    if "train" not in blocks:
        train, cut = without_wrong(document.root["train"])
        blocks |= {} if train is None else {"train": train}
    draft = Draft(given=frozenset(document.root), blocks=blocks)
    mitigations = mitigation_complaints(document.root.get("mitigations"), draft)
    training = (one for one in training_complaints(draft) if of_what_is_left(one, cut))
    found = (*cross_complaints(draft), *training, *mitigations)
    problems = [document.problem(trail, message) for trail, message in found]
    written = value_at(document.root, ("data", "attributes"))
    data = draft.data()
    attributes = tuple(data.attributes) if data else tuple(written) if isinstance(written, dict) else None
    rules = rule_complaints(_rules(document, ("policy",)), draft.task(), attributes)
    return problems + [document.problem(("policy", *trail), message) for trail, message in rules]


def _sound_blocks(root: Mapping[str, Any]) -> dict[str, Any]:
    """The top-level blocks that validate by themselves, and the defaults of those not given."""
    blocks: dict[str, Any] = {}
    checks = root.get("checks")
    if isinstance(checks, dict):
        root = {
            **root,
            "checks": {code: given for code, given in checks.items() if given is False or isinstance(given, dict)},
        }
    for key, field in Config.model_fields.items():
        if key not in root:
            if not field.is_required():
                blocks[key] = field.get_default(call_default_factory=True)
            continue
        try:
            blocks[key] = TypeAdapter(Any if field.annotation is None else field.annotation).validate_python(root[key])
        except ValidationError:
            continue
    return blocks


def _rules(document: Document, at: Trail) -> list[IndexedRule]:
    """The policy's rules that validate by themselves, each with its place in the list."""
    raw = value_at(document.root, (*at, "rules"))
    rules: list[IndexedRule] = []
    for index, item in enumerate(raw if isinstance(raw, list | tuple) else ()):
        try:
            rules.append((index, RuleSettings.model_validate(item)))
        except ValidationError:
            continue
    return rules


def _in_order(problems: Sequence[Problem]) -> list[Problem]:
    """Problems in the order of the file's lines, each once."""

    def line(problem: Problem) -> int:
        number = problem.where.partition(" ")[0].rpartition(":")[2]
        return int(number) if number.isdecimal() else 0

    return sorted(dict.fromkeys(problems), key=line)
