"""The commands: each opens a job, takes the steps it needs, and says what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from imgid_audit.config import Config, load_config, load_policy
from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.manifest import Status
from imgid_audit.core.policy import EvaluationSpec, Policy
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.result import AuditResult
from imgid_audit.evaluation import evaluate as evaluate_decisions
from imgid_audit.evaluation.suppression import protect
from imgid_audit.evaluation.waivers import with_waivers
from imgid_audit.export import read_audit
from imgid_audit.export.junit import render_junit
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import gating, steps
from imgid_audit.pipeline.baseline import for_gate, open_baseline
from imgid_audit.pipeline.deciding import require_few_unpredicted
from imgid_audit.pipeline.inputs import Inputs, read_inputs, weights_path
from imgid_audit.pipeline.job import epoch, open_job
from imgid_audit.pipeline.unmet import unknown_levels
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
        open_baseline(config, job.inputs.task)  # before hours of training, not after
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
        _require_same_privacy(config, result, job.folder.audit)
        images = None
        if config.report.worst_images:
            images = steps.pictures(job, steps.stored_predictions(job))
        return Outcome(result, job.folder.path, write_report(job, result, images=images), 0)


def gate(folder: Path, policy: Path | None = None, *, junit: Path | None = None) -> Outcome:
    """Apply the run's policy, or another one, to the cells kept in the run; changes nothing in it.

    The outcome's result is the run's own with the verdicts of that policy. Waivers are held against
    today (`SOURCE_DATE_EPOCH` where it is set), not against the day of the audit: a gate asks whether
    this may ship now, and a waiver that has expired since must not let it. `junit` names a file for
    the verdicts as JUnit XML.
    """
    now = epoch(datetime.now(UTC))
    kept = RunFolder.existing(folder)
    config, result = load_config(kept.config), read_audit(kept.audit)
    decisions = steps.kept_decisions(kept, result)
    chosen = config.policy.policy()
    if policy is not None:
        chosen = load_policy(policy, task=decisions.task, attributes=[f.name for f in decisions.attributes])
        raise_all(unknown_levels(chosen.rules, decisions.attributes, config.data.attributes))
    spec = EvaluationSpec(metrics=(), intervals=config.interval_spec(), policy=chosen)
    baseline = for_gate(kept, result, decisions, chosen, policy)
    verdicts = with_waivers(evaluate_decisions(decisions, spec, baseline).verdicts, chosen.rules, now.date())
    judged = gating.judged(result, chosen, verdicts)
    if config.privacy is not None:
        # another policy may cross other attributes than the run printed
        spec = replace(spec, intersections=config.data.intersections)
        judged = replace(judged, privacy=protect(decisions, spec, config.privacy.min_cell))
    files = () if junit is None else (gating.write_file(junit, render_junit(judged, now)),)
    return Outcome(judged, folder, files, exit_code(judged, chosen))


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
    open_baseline(config, inputs.task)
    if config.predictions is not None and inputs.brought is not None:
        require_few_unpredicted(config.predictions, inputs.manifest, inputs.brought)
    weights = weights_path(config)
    if weights is not None and config.model is not None:
        from imgid_audit.vision.weights import kind_of, load_model

        if kind_of(weights) in ("safetensors", "torch") or config.model.sha256 is None:
            load_model(config.model, weights, len(inputs.task.labels))
    return CheckSummary((*_data_lines(config, inputs), *_plan_lines(config), *inputs.notes))


def _require_same_privacy(config: Config, result: AuditResult, path: Path) -> None:
    """What is hidden was found when the audit was evaluated: a report cannot hide more, or less, than that."""
    asked = None if config.privacy is None else config.privacy.min_cell
    found = None if result.privacy is None else result.privacy.min_cell
    if asked != found:
        was = f"with privacy.min_cell {found}" if found else "without privacy.min_cell"
        message = f"was evaluated {was}, the config has {asked or 'none'}: `imgid-audit evaluate` first"
        raise InputError(Problem(str(path), message))


def exit_code(result: AuditResult, policy: Policy) -> int:
    """0 where every rule passes, inconclusive ones too if the policy says warn; else 1.

    A rule whose waiver holds does not count; one whose waiver has expired does.
    """
    met = {"pass"} | ({"inconclusive"} if policy.on_inconclusive == "warn" else set())
    return int(any(not verdict.waived and verdict.status not in met for verdict in result.evaluation.verdicts))


def _data_lines(config: Config, inputs: Inputs) -> list[str]:
    manifest, task = inputs.manifest, inputs.task
    excluded = manifest.size(manifest.status == Status.EXCLUDED)
    splits = ", ".join(
        f"{name} {manifest.size(manifest.rows(name))}" for name in manifest.split.levels if len(manifest.rows(name))
    )
    positive = f", positive {task.positive}" if task.positive else ""
    lines = [
        f"{config.name}: {task.kind} task, {len(task.labels)} labels ({', '.join(task.labels[:12])}){positive}",
        f"{manifest.size()} rows, {excluded} excluded; {splits}",
    ]
    if manifest.subject is not None:
        lines.append(f"{len(manifest.subject.levels)} subjects (column {manifest.subject.name})")
    for factor in manifest.attributes:
        held = factor.counts(manifest.count)
        least = 0 if config.privacy is None else config.privacy.min_cell
        hidden = bool(((held > 0) & (held < least)).any())
        pairs = zip(factor.levels, held, strict=True)
        counts = ", ".join(level if hidden else f"{level} {n}" for level, n in pairs)
        why = f" (counts hidden: one is below {least})" if hidden else ""
        lines.append(f"attribute {factor.name}: {counts}{why}")
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
    if config.calibration is not None:
        lines.append(f"calibration: {config.calibration.method}, fitted on the val split")
    lines.append(f"metrics: {', '.join(config.metrics)}")
    lines += [f"rule {r.id}: {r.metric} {r.kind} {r.tolerance:g}" for r in config.policy.policy().rules]
    lines.append(f"report: {', '.join(config.report.formats)}")
    return lines
