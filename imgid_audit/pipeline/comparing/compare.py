"""The step: from a job to ``comparison.json``."""

from __future__ import annotations

from itertools import chain

from imgid_audit.comparison import ComparisonSpec, MethodRuns, compare_methods, primary_value
from imgid_audit.core.comparison import Comparison, Primary, Selected
from imgid_audit.core.errors import InputError, Problem
from imgid_audit.core.predictions import Decisions
from imgid_audit.export.comparison_json import encode_comparison
from imgid_audit.export.comparison_reader import read_comparison
from imgid_audit.io import atomic
from imgid_audit.io.kept_networks import NetworkShelf, network_key
from imgid_audit.metrics import METRICS
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.comparing.answers import recalibrated_decisions
from imgid_audit.pipeline.comparing.bench import BASELINE, CRITERIA, Bench, plain_settings, set_up
from imgid_audit.pipeline.comparing.heads import open_heads
from imgid_audit.pipeline.comparing.laboratory import Laboratory
from imgid_audit.pipeline.comparing.tried import Tried, Workshop, not_run
from imgid_audit.pipeline.comparing.whole import open_whole
from imgid_audit.pipeline.comparing.winner import export_winner
from imgid_audit.pipeline.job import STUDIES, Job
from imgid_audit.pipeline.unmet_mitigations import lacking

ORDER: tuple[Selected, ...] = ("declared", "average")
"""What networks are picked by: only what was declared gets verdicts."""


def compare_step(job: Job) -> Comparison:
    """Compare the methods that the config asks for, and keep the answer as ``comparison.json``.

    Networks that are kept from before are not trained again. Raises `StoppedError` where the user asks
    to stop; `InputError` where the config asks for no comparison or the baseline has no networks.
    """
    bench = set_up(job)
    laboratory: Laboratory = open_heads(bench) if bench.settings.scope == "head" else open_whole(bench)
    job.progress.step("compare")
    spec = spec_of(bench)
    workshop = Workshop(
        bench,
        laboratory,
        NetworkShelf(job.folder.mitigations / "kept"),
        lambda decisions: primary_value(decisions, spec),
        len(bench.remedies) * (bench.settings.trials + len(bench.seeds)),
        [0],
    )
    tried = [_one(workshop, remedy) for remedy in bench.remedies]
    if tried[0].record.status == "not_run":
        raise InputError(Problem("[mitigations]", f"the baseline has no networks: {tried[0].record.reason}"))
    comparison = conclude(bench, laboratory, spec, tried)
    atomic.write_bytes(job.folder.comparison, encode_comparison(comparison))
    return comparison


def kept_comparison(job: Job) -> Comparison | None:
    """The comparison in the run folder, where it is the one that the config asks for."""
    settings = job.config.mitigations
    if settings is None or not job.folder.comparison.is_file():
        return None
    found = read_comparison(job.folder.comparison)
    return found if found.hashes.get("asked") == asked(job) else None


def asked(job: Job) -> str:
    """Names a comparison by all that it reads of the config and of the data."""
    from imgid_audit import __version__

    plain = job.fitted.plain()
    for study in ("search", *STUDIES):
        plain.get("train", {}).pop(study, None)
    read = ("task", "data", "model", "train", "operating_point", "costs", "calibration", "metrics", "intervals")
    settings = {name: plain[name] for name in (*read, "mitigations") if name in plain}
    support = job.config.policy.min_support
    return network_key(
        {"settings": settings, "min_support": support, "hashes": dict(job.inputs.hashes), "version": __version__}
    )


def spec_of(bench: Bench) -> ComparisonSpec:
    """What is judged, as it was declared."""
    config, asked = bench.job.config, bench.settings.primary
    per_class = METRICS[asked.metric].per_class
    class_name = asked.class_name if asked.class_name not in (None, "macro") else None
    if class_name is None and per_class:
        class_name = bench.job.inputs.task.positive
    primary = Primary(
        asked.metric,
        class_name,
        asked.across,
        "overall" if not asked.across else "gap" if asked.of == "gap" else "worst_group",
        asked.ignore,
    )
    return ComparisonSpec(primary, config.metrics, config.interval_spec(), config.policy.min_support)


def _one(workshop: Workshop, remedy: Remedy) -> Tried:
    bench = workshop.bench
    why = lacking(remedy, groups=bench.groups is not None)
    if why is not None:
        return Tried(not_run(remedy, bench, why), {})
    return workshop.try_out(remedy)


def conclude(bench: Bench, laboratory: Laboratory, spec: ComparisonSpec, tried: list[Tried]) -> Comparison:
    """Decisions of all networks, paired with the baseline's; and the winner as a weights file."""
    base, others = tried[0], [one for one in tried[1:] if one.record.status == "ran"]
    compared = [
        compare_methods(
            runs_of(bench, laboratory, base, selected),
            [runs_of(bench, laboratory, one, selected) for one in others if selected in one.picks],
            spec,
        )
        for selected in ORDER
        if selected in base.picks
    ]
    return Comparison(
        scope=bench.settings.scope,
        backbone=laboratory.backbone,
        baseline=base.record.name,
        primary=spec.primary,
        criterion=CRITERIA[bench.select],
        seeds=bench.seeds,
        trials=bench.settings.trials,
        rows={name: len(rows) for name, rows in laboratory.rows.items()},
        records=tuple(one.record for one in tried),
        estimates=tuple(chain.from_iterable(one.estimates for one in compared)),
        changes=tuple(chain.from_iterable(one.changes for one in compared)),
        winner=export_winner(bench, laboratory, tried),
        left_out=compared[0].left_out,
        notes=_notes(laboratory),
        level=spec.intervals.level,
        settings=plain_settings(bench.settings),
        hashes={**laboratory.hashes, "asked": asked(bench.job)},
    )


def runs_of(bench: Bench, laboratory: Laboratory, one: Tried, selected: Selected) -> MethodRuns:
    """What the networks of one method, picked in one way, say of the test rows."""
    pick = one.picks[selected]
    recalibrated: tuple[Decisions, ...] | None = None
    if selected == "declared" and (one.record.shifts_prior or pick.remedy.methods == (BASELINE,)):
        recalibrated = tuple(
            recalibrated_decisions(bench, laboratory, network, selected, each)
            for network, each in zip(pick.networks, pick.decisions, strict=True)
        )
    return MethodRuns(one.record.name, bench.seeds, pick.decisions, recalibrated, selected)


def _notes(laboratory: Laboratory) -> tuple[str, ...]:
    """What a reader must know of the comparison as a whole."""
    if not laboratory.failed:
        return ()
    return (f"{len(laboratory.failed)} images did not decode and were left out of every method alike.",)
