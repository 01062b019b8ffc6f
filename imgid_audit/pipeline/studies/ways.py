"""What every study does: train each way of training with every seed, ask val, and make steps of the answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imgid_audit.comparison.runs import MethodRuns
from imgid_audit.comparison.studies import TRUE_CLASS, StudySpec, left_out, steps, study_estimates
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.fit import Step, Study, StudyKind, Variant
from imgid_audit.core.manifest import Manifest
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.evaluation.breakdowns import breakdown
from imgid_audit.pipeline.job import Job
from imgid_audit.pipeline.studies.networks import Network, decisions_of, trained, why_not
from imgid_audit.vision.study_settings import StudySettings

if TYPE_CHECKING:
    from imgid_audit.vision.settings import ModelSettings, TrainSettings

ON_VAL = (
    "Epochs, and thresholds that the config has found, are picked on the val rows that judge here, of every network "
    "alike: accuracies are a little too high, and their differences less so."
)
Pairs = Mapping[tuple[str, str], Sequence[Step]]


@dataclass(frozen=True, slots=True, eq=False)
class Training:
    """All that one network is trained from."""

    model: ModelSettings
    train: TrainSettings
    manifest: Manifest


@dataclass(frozen=True, slots=True, eq=False)
class Way:
    """A way of training: `training` of a seed; it raises `InputError` where there is none."""

    name: str
    parameters: Mapping[str, Any]
    training: Callable[[int], Training]


@dataclass(frozen=True, slots=True, eq=False)
class Ran:
    """A variant, what its networks say of val (None where it has not run), and its training rows by slice."""

    variant: Variant
    runs: MethodRuns | None
    rows: Mapping[Slice, int]


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A study before anything is trained: `seeds` of its networks, and what is asked of them."""

    job: Job
    kind: StudyKind
    seeds: tuple[int, ...]
    spec: StudySpec

    def run(self, ways: Sequence[Way], part: str = "") -> tuple[Ran, ...]:
        """Every way in order; one that cannot be trained has its reason, and the others go on.

        `part`: which ways of the study these are, as progress tells it.
        Raises `StoppedError` where the user asks to stop: the same call goes on with the next network.
        """
        name, total = f"{self.kind.replace('_', ' ')}{part}", len(ways) * len(self.seeds)
        return tuple(
            self._run(way, [f"{name} {place * len(self.seeds) + k + 1} of {total}" for k in range(len(self.seeds))])
            for place, way in enumerate(ways)
        )

    def pairs(self, ladder: Sequence[MethodRuns]) -> Pairs:
        """The steps of every pair (earlier, later)."""
        found: dict[tuple[str, str], Sequence[Step]] = {}
        for place, one in enumerate(ladder):
            later = ladder[place + 1 :]
            taken = steps(one, later, self.spec)
            found |= {(one.name, each.name): step for each, step in zip(later, taken, strict=True)}
        return found

    def pairs_from(self, first: MethodRuns, others: Sequence[MethodRuns]) -> list[Step]:
        """The steps from one variant to each of the others."""
        return [step for each in steps(first, others, self.spec) for step in each]

    def study(self, ran: Sequence[Ran], taken: Sequence[Step], notes: Sequence[str], **found: Any) -> Study:
        """The study of these variants; `found`: what only its kind has."""
        runs = [one.runs for one in ran if one.runs is not None]
        return Study(
            kind=self.kind,
            across=self.spec.across,
            tolerance=self.spec.tolerance,
            level=self.spec.intervals.level,
            seeds=self.seeds,
            variants=tuple(one.variant for one in ran),
            estimates=study_estimates(runs, self.spec) if runs else (),
            steps=tuple(taken),
            rows=len(runs[0].decisions[0]) if runs else 0,
            notes=(ON_VAL, *notes, *(_left_out(runs[0].decisions[0], self.spec) if runs else ())),
            **found,
        )

    def _run(self, way: Way, told: Sequence[str]) -> Ran:
        from imgid_audit.vision.errors import DivergedError

        job = self.job
        networks = []
        try:
            for seed, step in zip(self.seeds, told, strict=True):
                job.progress.step(step)
                one = way.training(seed)
                networks.append(trained(job, one.model, one.train, one.manifest, splits=("train", "val")))
            val, train = ([decisions_of(job, one, split) for one in networks] for split in ("val", "train"))
        except (InputError, DivergedError) as error:
            return _not_run(way, f"seed {seed}: {why_not(error)}")
        except StoppedError as error:  # memory ran out, unless the user asks to stop
            if job.stop():
                raise
            return _not_run(way, f"seed {seed}: {why_not(error)}")
        return _ran(way, self.seeds, networks, val, train, self.spec.across)


def bench_of(job: Job, kind: StudyKind, settings: StudySettings, *, classes: bool = False) -> Bench:
    """The study that `settings` ask for; seeds count from ``train.seed`` on."""
    config = job.fitted
    first = config.train.seed
    spec = StudySpec(
        across=settings.across or config.train.groups,
        tolerance=settings.tolerance,
        intervals=config.interval_spec(),
        min_support=config.policy.min_support,
        classes=classes,
    )
    return Bench(job, kind, tuple(range(first, first + settings.seeds)), spec)


def settings_of(job: Job) -> tuple[ModelSettings, TrainSettings]:
    """Model and training of the audited network: as given, or as a search chose them."""
    model = job.fitted.model
    assert model is not None
    return model, job.fitted.train.alone()


def _left_out(decisions: Decisions, spec: StudySpec) -> tuple[str, ...]:
    """Of whom the worst group and the worst class do not speak."""
    named = {"worst_group": "worst group", "worst_class": "worst class"}
    return tuple(
        f"Left out of the {named[quantity]} on val: {name}: {why}."
        for quantity, found in left_out(decisions, spec).items()
        for name, why in found.items()
    )


def _ran(
    way: Way,
    seeds: tuple[int, ...],
    networks: Sequence[Network],
    val: Sequence[Decisions],
    train: Sequence[Decisions],
    across: tuple[str, ...],
) -> Ran:
    rows = _rows(train, across)
    record = networks[0].record
    variant = Variant(
        name=way.name,
        parameters=way.parameters,
        weights=record.parameters,
        train_rows=rows[TOTAL],
        group_rows={", ".join(where.levels): n for where, n in rows.items() if where.attributes == across and across},
        train=tuple(float(np.mean(one.predicted == one.label)) if len(one) else None for one in train),
        images_seen=record.images_seen,
    )
    return Ran(variant, MethodRuns(way.name, seeds, tuple(unscored(one) for one in val)), rows)


def unscored(decisions: Decisions) -> Decisions:
    """The same decisions without scores: accuracy does not read them, and pairing is cheaper."""
    return replace(decisions, scores=None)


def _rows(train: Sequence[Decisions], across: tuple[str, ...]) -> dict[Slice, int]:
    """Training rows of all, of every group and of every class, mean over the seeds' draws."""
    totals: dict[Slice, int] = {}
    for one in train:
        totals[TOTAL] = totals.get(TOTAL, 0) + len(one)
        labels = enumerate(one.task.labels)
        parts = [(Slice((TRUE_CLASS,), (label,)), one.label == code) for code, label in labels]
        if across:
            found = breakdown(one, across)
            parts += [(where, found.codes == code) for code, where in enumerate(found.slices)]
        for where, members in parts:
            totals[where] = totals.get(where, 0) + int(np.count_nonzero(members))
    return {where: round(n / len(train)) for where, n in totals.items()}


def _not_run(way: Way, reason: str) -> Ran:
    return Ran(Variant(way.name, way.parameters, 0, 0, {}, (), 0, "not_run", reason), None, {})
