"""The commands: each opens a job, takes the steps it needs, and says what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from imgid_audit.config import Config, load_config, load_policy
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.manifest import Status
from imgid_audit.core.policy import EvaluationSpec, Policy
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.result import AuditResult
from imgid_audit.evaluation import evaluate as evaluate_decisions
from imgid_audit.export import read_audit
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import steps
from imgid_audit.pipeline.inputs import Inputs, read_inputs, weights_path
from imgid_audit.pipeline.job import open_job
from imgid_audit.pipeline.writing import write_report


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command leaves: the result (None for steps before it), where, and the exit code."""

    result: AuditResult | None
    folder: Path
    files: tuple[Path, ...]
    exit_code: int


@dataclass(frozen=True, slots=True)
class CheckSummary:
    """What would be audited, in lines for a person."""

    lines: tuple[str, ...]


def run(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Everything that the config asks for; resumes by itself where the same run was interrupted."""
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        training = steps.train_step(job)
        predictions = steps.predict_step(job)
        result = steps.evaluate_step(job, predictions, training)
        files = write_report(job, result, images=steps.pictures(job, predictions))
        return Outcome(result, job.folder.path, files, exit_code(result, config.policy.policy()))


def train(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Train alone. Raises `InputError` where the config names weights or predictions: nothing trains then."""
    if not config.trains:
        raise InputError(Problem("[model > weights]", "nothing to train: the config names weights or predictions"))
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        record = steps.train_step(job)
        assert record is not None
        return Outcome(None, job.folder.path, (job.folder.model / record.weights,), 0)


def predict(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Predict with the weights that the config names, or with those that `train` left in the folder."""
    if config.predictions is not None:
        raise InputError(Problem("[predictions]", "nothing to predict: the config brings its predictions"))
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        steps.predict_step(job)
        return Outcome(None, job.folder.path, (job.folder.predictions,), 0)


def evaluate(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Evaluate the predictions that the folder holds, or that the config brings; writes audit.json."""
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        predictions = steps.stored_predictions(job)
        training = steps.finished_training(job) if config.trains else None
        result = steps.evaluate_step(job, predictions, training)
        files = write_report(job, result, formats=("json",))
        return Outcome(result, job.folder.path, files, exit_code(result, config.policy.policy()))


def report(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Write the report of the audit that the folder holds, in the formats that the config asks for."""
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        result = read_audit(job.folder.audit)
        images = None
        if config.report.worst_images:
            images = steps.pictures(job, steps.stored_predictions(job))
        return Outcome(result, job.folder.path, write_report(job, result, images=images), 0)


def gate(folder: Path, policy: Path | None = None) -> Outcome:
    """Apply the run's policy, or another one, to the cells kept in the run; changes nothing.

    The outcome's result is the run's own with the verdicts of that policy.
    """
    kept = RunFolder.existing(folder)
    config, result = load_config(kept.config), read_audit(kept.audit)
    decisions = steps.kept_decisions(kept, result)
    chosen = config.policy.policy()
    if policy is not None:
        chosen = load_policy(policy, task=decisions.task, attributes=[f.name for f in decisions.attributes])
    spec = EvaluationSpec(metrics=(), intervals=config.interval_spec(), policy=chosen)
    verdicts = evaluate_decisions(decisions, spec).verdicts
    judged = replace(result, evaluation=replace(result.evaluation, verdicts=verdicts))
    return Outcome(judged, folder, (), exit_code(judged, chosen))


def demo(folder: Path, *, progress: Progress = SILENT) -> Outcome:
    """Write the embedded example to `folder` and audit it; exits 0 when the job is done, whatever the verdicts."""
    from imgid_audit.demo import write_demo

    progress.step("demo data")
    config = load_config(write_demo(folder / "data"))
    outcome = run(config, out=folder / "run", progress=progress)
    return Outcome(outcome.result, outcome.folder, outcome.files, 0)


def check(config: Config) -> CheckSummary:
    """Validate everything that the config names and say what would be audited; runs nothing.

    Weights are loaded into their architecture, unless loading them would run code.
    """
    inputs = read_inputs(config)
    weights = weights_path(config)
    if weights is not None and config.model is not None:
        from imgid_audit.vision.weights import kind_of, load_model

        if kind_of(weights) in ("safetensors", "torch") or config.model.sha256 is None:
            load_model(config.model, weights, len(inputs.task.labels))
    return CheckSummary((*_data_lines(config, inputs), *_plan_lines(config), *inputs.notes))


def exit_code(result: AuditResult, policy: Policy) -> int:
    """0 where every rule passes, inconclusive ones too if the policy says warn; else 1."""
    met = {"pass"} | ({"inconclusive"} if policy.on_inconclusive == "warn" else set())
    return int(any(verdict.status not in met for verdict in result.evaluation.verdicts))


def _data_lines(config: Config, inputs: Inputs) -> list[str]:
    manifest, task = inputs.manifest, inputs.task
    excluded = int((manifest.status == Status.EXCLUDED).sum())
    splits = ", ".join(
        f"{name} {len(manifest.rows(name))}" for name in manifest.split.levels if len(manifest.rows(name))
    )
    positive = f", positive {task.positive}" if task.positive else ""
    lines = [
        f"{config.name}: {task.kind} task, {len(task.labels)} labels ({', '.join(task.labels[:12])}){positive}",
        f"{len(manifest)} rows, {excluded} excluded; {splits}",
    ]
    if manifest.subject is not None:
        lines.append(f"{len(manifest.subject.levels)} subjects (column {manifest.subject.name})")
    for factor in manifest.attributes:
        counts = ", ".join(f"{level} {n}" for level, n in zip(factor.levels, factor.counts(), strict=True))
        lines.append(f"attribute {factor.name}: {counts}")
    lines += [f"intersection {' x '.join(names)}" for names in config.data.intersections]
    return lines


def _plan_lines(config: Config) -> list[str]:
    lines = []
    if config.predictions is not None:
        lines.append(f"predictions: {config.predictions.table}; no model is run")
    elif config.model is not None:
        weights = config.model.weights
        trained = f"trained for {config.train.epochs} epochs" if weights is None else f"weights {weights}"
        lines.append(f"model: {config.model.architecture}, {trained}")
    lines.append(f"metrics: {', '.join(config.metrics)}")
    lines += [f"rule {r.id}: {r.metric} {r.kind} {r.tolerance:g}" for r in config.policy.policy().rules]
    lines.append(f"report: {', '.join(config.report.formats)}")
    return lines
