"""The step: from a job to its studies, each kept as ``studies/<kind>.json``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.fit import Fit, Study, StudyKind
from imgid_audit.core.progress import SILENT
from imgid_audit.export.fit_json import encode_fit
from imgid_audit.export.fit_reader import read_fit
from imgid_audit.io import atomic
from imgid_audit.io.kept_networks import network_key
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies.augment_effect import augment_effect
from imgid_audit.pipeline.studies.data_ladder import data_ladder
from imgid_audit.pipeline.studies.ladder import ladder
from imgid_audit.pipeline.training import versions
from imgid_audit.vision.study_settings import StudySettings

KINDS: tuple[StudyKind, ...] = ("ladder", "data_ladder", "augment_effect")
READ = ("task", "data", "model", "train", "predict", "operating_point", "costs", "calibration", "intervals")
"""Blocks of the config that a study depends on."""


def study_steps(job: Job) -> tuple[Study, ...]:
    """The studies that the config asks for, in the order ladder, data ladder, effect of augmentation.

    Networks that are kept from before are not trained again. Raises `StoppedError` where the user asks to stop.
    """
    return tuple(_read(job, kind, settings) or _kept(job, kind, settings) for kind, settings in _asked(job))


def kept_studies(job: Job) -> tuple[Study, ...]:
    """The studies that the run folder can tell without any training: those whose networks are all there.

    Where intervals, costs or the operating point have changed since, they are made anew of the kept networks.
    """
    return tuple(found for _, found in _told(job) if found is not None)


def untold_studies(job: Job) -> tuple[StudyKind, ...]:
    """The studies that the config asks for and that the run folder cannot tell: networks of theirs are missing."""
    return tuple(kind for kind, found in _told(job) if found is None)


def _told(job: Job) -> Iterator[tuple[StudyKind, Study | None]]:
    idle = replace(job, stop=lambda: True, progress=SILENT)
    for kind, settings in _asked(job):
        try:
            yield kind, _read(job, kind, settings) or _kept(idle, kind, settings)
        except StoppedError:
            yield kind, None


def _asked(job: Job) -> Iterator[tuple[StudyKind, StudySettings]]:
    if not job.config.trains:
        return
    for kind in KINDS:
        settings = getattr(job.config.train, kind)
        if settings is not None:
            yield kind, settings


def _kept(job: Job, kind: StudyKind, settings: StudySettings) -> Study:
    """The study, made now and kept."""
    made = {"ladder": ladder, "data_ladder": data_ladder, "augment_effect": augment_effect}[kind](job, settings)
    name = _name(job, kind, settings)
    atomic.write_bytes(_path(job, kind), encode_fit(Fit(None, (), None, (made,), {"asked": name})))
    return made


def _read(job: Job, kind: StudyKind, settings: StudySettings) -> Study | None:
    """The study as it was kept; None where there is none, or it is of other settings, or damaged."""
    path = _path(job, kind)
    if not path.is_file():
        return None
    try:
        found = read_fit(path)
    except InputError:
        return None  # it is made again of the networks that are kept
    return found.studies[0] if found.hashes.get("asked") == _name(job, kind, settings) and found.studies else None


def _name(job: Job, kind: StudyKind, settings: StudySettings) -> str:
    """Names a study by all that it reads of config and data."""
    plain = job.fitted.plain()
    train = {name: value for name, value in plain["train"].items() if name not in (*KINDS, "search")}
    return network_key(
        {
            "settings": {**{name: plain[name] for name in READ if name in plain}, "train": train},
            "study": [kind, settings.model_dump(mode="json")],
            "min_support": job.config.policy.min_support,
            "hashes": dict(job.inputs.hashes),
            "versions": versions(),
        }
    )


def _path(job: Job, kind: StudyKind) -> Path:
    return job.folder.path / "studies" / f"{kind}.json"
