"""The steps of a search, and the job with what it chose. The answer is kept as ``search/search.json``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from imgid_audit.config import Config
from imgid_audit.core.errors import InputError, Problem, StoppedError
from imgid_audit.core.fit import Fit, Search
from imgid_audit.export.fit_json import encode_fit
from imgid_audit.export.fit_reader import read_fit
from imgid_audit.io import atomic
from imgid_audit.io.kept_networks import network_key
from imgid_audit.io.provenance import provenance
from imgid_audit.pipeline.job import STUDIES, Job
from imgid_audit.pipeline.searching.confirm import confirmed, unconfirmed
from imgid_audit.pipeline.searching.trials import run_trials, searched, space_of
from imgid_audit.pipeline.training import versions

STALE = (
    "The comparison of the choice with the settings as given was made with other intervals, metrics or support and is "
    "left out: `imgid-audit run` makes it anew."
)


def search_step(job: Job) -> Job:
    """Search where the config asks for it; the job with the settings that were chosen.

    A search that is finished in the folder is not repeated, nor is any trial that is. Raises `StoppedError` where
    the user asks to stop; `InputError` where no trial could be completed.
    """
    if not searches(job.config):
        return job
    found = kept_search(job)
    if found is None:
        job.progress.step("search")
        found = run_trials(searched(job), fingerprint(job))
        _require_choice(found)
        _keep(job, found)
    return _with_choice(job, found)


def join_search(job: Job) -> Search:
    """Take trials of the folder's search beside other processes, until none is left; keeps nothing but the trials."""
    found = kept_search(job)
    return run_trials(searched(job), fingerprint(job)) if found is None else found


def confirm_step(job: Job) -> None:
    """Compare what the search chose with the settings as given, on val and test; nothing where that is done."""
    kept = _read(job) if searches(job.config) else None
    if kept is not None and kept.search is not None and kept.hashes.get("judged") != judged_by(job):
        _keep(job, confirmed(searched(job), unconfirmed(kept.search)), judged_by(job))


def settled(job: Job) -> Job:
    """The job with what the folder's search chose. `InputError` where the config asks for one that is not done."""
    if not searches(job.config):
        return job
    found = kept_search(job)
    if found is None:
        damaged = "is damaged" if _path(job).is_file() and not _readable(_path(job)) else ""
        what = f"holds a search of which {_path(job).name} {damaged}" if damaged else "holds no finished search yet"
        message = f"{what}: `imgid-audit run` or `train` first"
        raise InputError(Problem(str(job.folder.path), message))
    return _with_choice(job, found)


def searches(config: Config) -> bool:
    """Whether training settings are searched."""
    return config.trains and config.train.search is not None


def kept_search(job: Job) -> Search | None:
    """The search in the run folder, where it is the one that the config asks for.

    Where intervals, metrics or the support that a verdict needs have changed since, its choice is compared anew, of
    networks that are kept; where some are not, it stands without a comparison and says so. Nothing is trained.
    """
    kept = _read(job)
    if kept is None or kept.search is None or kept.hashes.get("judged") in (None, judged_by(job)):
        return None if kept is None else kept.search
    plain = unconfirmed(kept.search)
    try:
        return confirmed(searched(replace(job, stop=lambda: True)), plain)
    except StoppedError:
        return replace(plain, notes=(*plain.notes, STALE))


def _readable(path: Path) -> bool:
    try:
        read_fit(path)
    except InputError:
        return False
    return True


def _read(job: Job) -> Fit | None:
    path = _path(job)
    if not path.is_file():
        return None
    try:
        found = read_fit(path)
    except InputError:
        return None  # damaged: its trials are in the study still, and `run` writes it anew
    whole = found.search is not None and found.search.ended != ""
    return found if whole and found.hashes.get("asked") == asked(job) else None


def fingerprint(job: Job) -> str:
    """Names the trials of a search by all that they depend on, versions of libraries and of our code included."""
    named = f"{versions()}, optuna {provenance()['versions'].get('optuna')}"
    return network_key({"asked": asked(job), "versions": named})


def asked(job: Job) -> str:
    """Names a search by what the config and the data ask; one that is finished stays so under another version."""
    plain = job.config.plain()
    train = {name: value for name, value in plain["train"].items() if name not in STUDIES}
    read = ("task", "data", "model", "operating_point", "costs", "calibration")
    support = job.config.policy.min_support  # of the groups that the objective is over
    settings = {**{name: plain[name] for name in read if name in plain}, "train": train, "min_support": support}
    return network_key({"settings": settings, "hashes": dict(job.inputs.hashes)})


def _with_choice(job: Job, found: Search) -> Job:
    assert found.choice is not None  # none is kept without
    model, train = space_of(job.config).applied(found.choice.parameters)
    changes = {name: getattr(train, name) for name in type(train).model_fields}
    block = job.config.train.model_copy(update={**changes, "search": None})
    return replace(job, settled=job.config.model_copy(update={"model": model, "train": block}))


def _require_choice(found: Search) -> None:
    if found.chosen is None:
        reasons = list(dict.fromkeys(trial.reason for trial in found.trials if trial.reason))
        told = "; ".join(reasons[:3]) or "none was begun in time"
        message = f"no trial could be completed: {told}. Change the space or the settings"
        raise InputError(Problem("[train > search]", message))


def judged_by(job: Job) -> str:
    """Names what the comparison of a choice depends on besides its networks."""
    plain = job.config.plain()
    read = {name: plain[name] for name in ("metrics", "intervals")}
    return network_key({**read, "min_support": job.config.policy.min_support})


def _keep(job: Job, found: Search, judged: str = "") -> None:
    hashes = {"asked": asked(job), **({"judged": judged} if judged else {})}
    atomic.write_bytes(_path(job), encode_fit(Fit(None, (), found, hashes=hashes)))


def _path(job: Job) -> Path:
    return job.folder.search / "search.json"
