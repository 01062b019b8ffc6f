"""`check`: everything that a config names is read and validated, and what would be audited is told in lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from imgid_audit.config import Config
from imgid_audit.core.manifest import Status
from imgid_audit.core.policy import Rule
from imgid_audit.pipeline.baseline import open_baseline
from imgid_audit.pipeline.checking_mitigations import comparison_lines
from imgid_audit.pipeline.checking_search import search_lines
from imgid_audit.pipeline.checking_studies import study_lines
from imgid_audit.pipeline.checking_training import training_lines
from imgid_audit.pipeline.deciding import require_few_unpredicted, unpredicted
from imgid_audit.pipeline.inputs import Inputs, read_inputs, weights_path
from imgid_audit.pipeline.job import epoch

MOST_COSTS = 12
"""Costs that are listed; of a larger table their number."""


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What would be audited, in lines for a person."""

    lines: tuple[str, ...]


def check(config: Config) -> CheckSummary:
    """Validate everything that the config names and say what would be audited; runs nothing.

    Weights are loaded into their architecture, unless loading them would run code.
    """
    inputs = read_inputs(config)
    open_baseline(config, inputs.task)
    if config.predictions is not None and inputs.brought is not None:
        require_few_unpredicted(config.predictions, inputs.manifest, inputs.brought)
    weights = weights_path(config)
    if weights is not None and config.model is not None:
        from imgid_audit.vision.weights import kind_of, load_model

        if kind_of(weights) in ("safetensors", "torch") or config.model.sha256 is None:
            load_model(config.model, weights, len(inputs.task.labels))
    if "init" in inputs.hashes and config.model is not None:
        from imgid_audit.vision.starting import starting_model

        start = config.train.alone().model_copy(update={"init": str(config.path_of(str(config.train.init)))})
        starting_model(config.model, start, len(inputs.task.labels))
    training = (*training_lines(config), *search_lines(config, inputs.task), *study_lines(config))
    asked = (*_decision_lines(config), *training, *_policy_lines(config), *comparison_lines(config))
    lines = (*_data_lines(config, inputs), *asked)
    return CheckSummary((*lines, f"report: {', '.join(config.report.formats)}", *inputs.notes))


def _data_lines(config: Config, inputs: Inputs) -> Iterator[str]:
    manifest, task = inputs.manifest, inputs.task
    excluded = manifest.size(manifest.status == Status.EXCLUDED)
    splits = ", ".join(
        f"{name} {manifest.size(manifest.rows(name))}" for name in manifest.split.levels if len(manifest.rows(name))
    )
    positive = f", positive {task.positive}" if task.positive else ""
    yield f"{config.name}: {task.kind} task, {len(task.labels)} labels ({', '.join(task.labels[:12])}){positive}"
    yield f"{manifest.size()} rows, {excluded} excluded; {splits}"
    if inputs.brought is not None:
        lost = unpredicted(manifest, inputs.brought)
        if lost.failed:
            yield f"{lost.failed} of {lost.audited} audited rows have no usable prediction: {lost.reasons}"
    if manifest.subject is not None:
        yield f"{len(manifest.subject.levels)} subjects (column {manifest.subject.name})"
    for factor in manifest.attributes:
        held = factor.counts(manifest.count)
        least = 0 if config.privacy is None else config.privacy.min_cell
        hidden = bool(((held > 0) & (held < least)).any())
        pairs = zip(factor.levels, held, strict=True)
        counts = ", ".join(level if hidden else f"{level} {n}" for level, n in pairs)
        why = f" (counts hidden: one is below {least})" if hidden else ""
        yield f"attribute {factor.name}: {counts}{why}"
    yield from (f"intersection {' x '.join(names)}" for names in config.data.intersections)


def _decision_lines(config: Config) -> Iterator[str]:
    """Where predictions come from, and what makes a class of them."""
    if config.predictions is not None:
        yield f"predictions: {config.predictions.table}; no model is run"
    elif config.model is not None:
        weights = config.model.weights
        trained = f"trained for {config.train.epochs} epochs" if weights is None else f"weights {weights}"
        yield f"model: {config.model.architecture}, {trained}"
    if config.calibration is not None:
        yield f"calibration: {config.calibration.method}, fitted on the val split"
    point = config.operating_point
    if point is not None and point.threshold is not None:
        yield f"operating point: threshold {point.threshold:g}, given"
    elif point is not None:
        target = point.target()
        what = f"{target.criterion} {target.value:g}" if target.value is not None else f"largest {target.criterion}"
        yield f"operating point: {what}, found on the val split"
    if config.costs is not None:
        yield f"costs: decisions of least expected cost; {_costs(config.costs)}"


def _costs(table: dict[str, dict[str, float]]) -> str:
    written = [f"{true} taken for {said} {cost:g}" for true, row in table.items() for said, cost in row.items()]
    return ", ".join(written) if len(written) <= MOST_COSTS else f"{len(written)} of them"


def _policy_lines(config: Config) -> Iterator[str]:
    """Metrics, what is hidden, and the rules with their waivers."""
    yield f"metrics: {', '.join(config.metrics)}"
    if config.privacy is not None:
        yield f"privacy: cells below {config.privacy.min_cell} rows are hidden in what is published"
    if config.policy.baseline is not None:
        yield f"baseline: {config.policy.baseline}"
    for rule in config.policy.policy().rules:
        yield f"rule {rule.id}: {rule.metric} {rule.kind} {rule.tolerance:g}"
        if rule.waiver is not None:
            yield f"  {_waiver(rule)}"


def _waiver(rule: Rule) -> str:
    """Held against today, as a run would: one that has expired lets nothing off."""
    waiver = rule.waiver
    assert waiver is not None
    by, why = (" ".join(text.split()) for text in (waiver.by, waiver.why))
    if waiver.until < epoch(datetime.now(UTC)).date():
        return f"waiver expired on {waiver.until}, the rule counts (by {by}: {why})"
    return f"waiver until {waiver.until} by {by}: {why}"
