"""The commands: each opens a job, takes the steps it needs, and says what came out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from imgid_audit.config import Config, load_config, load_policy
from imgid_audit.core.comparison import Comparison
from imgid_audit.core.errors import InputError, Problem, raise_all
from imgid_audit.core.fit import Search
from imgid_audit.core.policy import EvaluationSpec, Policy
from imgid_audit.core.progress import SILENT, Progress
from imgid_audit.core.result import AuditResult, Privacy
from imgid_audit.evaluation import evaluate as evaluate_decisions
from imgid_audit.evaluation.suppression import protect
from imgid_audit.evaluation.waivers import with_waivers
from imgid_audit.export import read_audit
from imgid_audit.export.junit import render_junit
from imgid_audit.io.run_folder import RunFolder
from imgid_audit.pipeline import gating, steps
from imgid_audit.pipeline.baseline import for_gate, open_baseline
from imgid_audit.pipeline.comparing import compare_step, kept_comparison
from imgid_audit.pipeline.fitting import explain, kept_fit
from imgid_audit.pipeline.following import follow, follows
from imgid_audit.pipeline.job import epoch, open_job
from imgid_audit.pipeline.searching import join_search, search_step, searches, settled
from imgid_audit.pipeline.settled import require_same_settings
from imgid_audit.pipeline.unmet import unknown_levels
from imgid_audit.pipeline.writing import write_report
from imgid_audit.report.published_comparison import publishable_comparison
from imgid_audit.report.published_fit import publishable_search


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command leaves: the result (None for steps before it), where, and the exit code.

    `removed` are published files of an earlier audit that the command did not write anew; `comparison` is
    what `compare` found and `search` what a search tried, as far as it may be published. `silent`: another
    process tells of it.
    """

    result: AuditResult | None
    folder: Path
    files: tuple[Path, ...]
    exit_code: int
    removed: tuple[Path, ...] = ()
    comparison: Comparison | None = None
    search: Search | None = None
    silent: bool = False


def run(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Everything that the config asks for; resumes by itself where the same run was interrupted."""
    if follows():
        return Outcome(None, follow(config, out=out), (), 0, silent=True)
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        open_baseline(config, job.inputs.task)  # before hours of training, not after
        job = search_step(job)
        training = steps.train_step(job)
        predictions = steps.predict_step(job)
        explain(job)
        comparison = compare_step(job) if config.mitigations is not None and config.trains else None
        result = replace(steps.evaluate_step(job, predictions, training), comparison=comparison)
        files, removed = write_report(job, result, images=steps.pictures(job, predictions))
        return Outcome(result, job.folder.path, files, exit_code(result, config.policy.policy()), removed)


def train(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Train alone. Raises `InputError` where the config names weights or predictions: nothing trains then."""
    if not config.trains:
        raise InputError(Problem("[model > weights]", "nothing to train: the config names weights or predictions"))
    if follows():
        return Outcome(None, follow(config, out=out), (), 0, silent=True)
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        job = search_step(job)
        record = steps.train_step(job)
        assert record is not None
        explain(job)
        return Outcome(None, job.folder.path, (job.folder.model / record.weights,), 0)


def search(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Take trials of the search that the config asks for, until none is left.

    Any number of processes may do so on one run folder, beside `run` or `train` too, which then goes on with
    what was chosen. Raises `InputError` where the config asks for no search.
    """
    if not searches(config):
        message = "is not there: say which settings to search" if config.trains else "is of no use: nothing is trained"
        raise InputError(Problem("[train > search]", message))
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code, alone=False) as job:
        found = join_search(job)
        if config.privacy is not None:
            found = publishable_search(found, Privacy(config.privacy.min_cell))
        return Outcome(None, job.folder.path, (job.folder.search / "study.db",), 0, search=found)


def predict(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Predict with the weights that the config names, or with those that `train` left in the folder."""
    if config.predictions is not None:
        raise InputError(Problem("[predictions]", "nothing to predict: the config brings its predictions"))
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        steps.predict_step(settled(job))
        return Outcome(None, job.folder.path, (job.folder.predictions,), 0)


def evaluate(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Evaluate the predictions that the folder holds, or that the config brings; writes audit.json.

    Published files of an earlier audit are removed: `report` makes those of this one.
    """
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        job = settled(job)
        predictions = steps.stored_predictions(job)
        training = steps.finished_training(job) if config.trains else None
        result = steps.evaluate_step(job, predictions, training)
        files, removed = write_report(job, result, formats=("json",))
        return Outcome(result, job.folder.path, files, exit_code(result, config.policy.policy()), removed)


def compare(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Compare the mitigations that the config asks for; trains the backbone where that is not done yet.

    Writes comparison.json and the winner's weights; `report` and `run` show it.
    """
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        found = compare_step(search_step(job))
        files = [job.folder.comparison]
        if found.winner is not None and found.winner.weights:
            files.append(job.folder.path / found.winner.weights)
        if config.privacy is not None:
            found = publishable_comparison(found, Privacy(config.privacy.min_cell))
        return Outcome(None, job.folder.path, tuple(files), 0, comparison=found)


def report(
    config: Config, *, out: Path | None = None, progress: Progress = SILENT, trust_model_code: bool = False
) -> Outcome:
    """Write the report of the audit that the folder holds, in the formats that the config asks for.

    Raises `InputError` where the config has other settings than the audit was evaluated with.
    """
    with open_job(config, out=out, progress=progress, trust_model_code=trust_model_code) as job:
        result = read_audit(job.folder.audit)
        require_same_settings(config, result, job.folder.audit)
        job = settled(job)
        result = replace(result, comparison=kept_comparison(job), fit=kept_fit(job, result))
        if result.comparison is None and config.mitigations is not None and job.folder.comparison.is_file():
            stale = (
                "The comparison in the run folder was made with other settings and is left out: `imgid-audit compare`."
            )
            result = replace(result, notes=(*result.notes, stale))
        images = None
        if config.report.worst_images:
            images = steps.pictures(job, steps.stored_predictions(job))
        files, removed = write_report(job, result, images=images, evaluated=False)
        return Outcome(result, job.folder.path, files, 0, removed)


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
    return replace(outcome, exit_code=0)


def exit_code(result: AuditResult, policy: Policy) -> int:
    """0 where every rule passes, inconclusive ones too if the policy says warn; else 1.

    A rule whose waiver holds does not count; one whose waiver has expired does.
    """
    met = {"pass"} | ({"inconclusive"} if policy.on_inconclusive == "warn" else set())
    return int(any(not verdict.waived and verdict.status not in met for verdict in result.evaluation.verdicts))
