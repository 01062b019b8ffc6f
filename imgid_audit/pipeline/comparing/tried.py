"""One method at work: its trials on val, then a network for every seed; each kept as soon as it is there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from imgid_audit.core.comparison import MethodRecord, Selected, Trial
from imgid_audit.core.errors import InputError, StoppedError
from imgid_audit.core.predictions import Decisions
from imgid_audit.io.kept_networks import KeptNetwork, NetworkShelf
from imgid_audit.mitigations.combined import Remedy
from imgid_audit.pipeline.comparing.answers import decisions_of
from imgid_audit.pipeline.comparing.bench import Bench
from imgid_audit.pipeline.comparing.laboratory import Laboratory, Setting, key_of
from imgid_audit.pipeline.comparing.tuning import best, trials_of

Judge = Callable[[Decisions], float | None]
"""The primary quantity of one network's decisions."""

FAILED: Mapping[str, Any] = {
    "val": {}, "undefined": [], "images_seen": 0, "images_shared": 0, "rows_seen": 0, "tuned": {}, "seconds": 0.0,
}  # fmt: skip


class NotRunError(Exception):
    """A method has no networks; its text says why. The others go on."""


@dataclass(frozen=True, slots=True, eq=False)
class Pick:
    """A method with the parameters that were picked, its networks by seed, and what they decide on the test rows."""

    remedy: Remedy
    networks: tuple[KeptNetwork, ...]
    decisions: tuple[Decisions, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Tried:
    """A method's record, and what was picked by every criterion; nothing where the method has not run."""

    record: MethodRecord
    picks: Mapping[Selected, Pick]


@dataclass(frozen=True, slots=True, eq=False)
class Workshop:
    """Trains what is not kept yet. `done` counts networks for the progress bar."""

    bench: Bench
    laboratory: Laboratory
    shelf: NetworkShelf
    judge: Judge
    total: int
    done: list[int]

    def try_out(self, remedy: Remedy) -> Tried:
        """All of one method: status ``not_run`` where it has no trial, or not all its seeds, to show."""
        try:
            return self._try_out(remedy)
        except NotRunError as error:
            why = str(error)
        except InputError as error:  # of a rule that cannot be fitted, or cannot decide some row
            why = "; ".join(problem.message for problem in error.problems)
        return Tried(not_run(remedy, self.bench, why), {})

    def _try_out(self, remedy: Remedy) -> Tried:
        bench = self.bench
        plan = trials_of(remedy, self.laboratory.default, bench.settings.trials, bench.settings.scope)
        tried = [self.network(*one, bench.tuning_seed) for one in plan] if len(plan) > 1 else []  # one needs no trial
        trials = tuple(self._trial(*one, network) for one, network in zip(plan, tried, strict=False))
        chosen = best([trial.val for trial in trials]) if trials else 0
        if chosen is None:
            raise NotRunError(trials[0].failed or f"the criterion ({bench.select}) is undefined on val")
        by_average = best([trial.average for trial in trials]) if trials else 0
        picks: dict[Selected, Pick] = {"declared": self._pick("declared", *plan[chosen])}
        if by_average is not None and (by_average == chosen or bench.settings.scope == "head"):
            picks["average"] = self._pick("average", *plan[by_average])
        declared = picks["declared"].networks
        record = replace(
            _record(remedy, bench),
            parameters=parameters_of(*plan[chosen], bench),
            seeds=bench.seeds,
            seconds=round(sum(float(one.facts["seconds"]) for one in (*tried, *declared)), 3),
            trials=trials,
            chosen=chosen if trials else None,
            chosen_by_average=by_average if trials else None,
            chosen_by_test=_best_on_test([trial.test for trial in trials], bench),
            val=self._values(picks["declared"]),
            images_seen=int(declared[0].facts["images_seen"]),
            rows_seen=int(declared[0].facts["rows_seen"]),
            images_total=_images_total((*tried, *declared)),
            rows_total=sum(int(one.facts["rows_seen"]) for one in (*tried, *declared)),
            tuned=_tuned(declared),
            notes=_notes(remedy, declared),
        )
        return Tried(record, picks)

    def _pick(self, selected: Selected, remedy: Remedy, setting: Setting) -> Pick:
        networks = self._seeds(remedy, setting)
        decisions = (
            decisions_of(self.bench, self.laboratory, remedy, network, selected, seed)
            for network, seed in zip(networks, self.bench.seeds, strict=True)
        )
        return Pick(remedy, networks, tuple(decisions))

    def _values(self, pick: Pick) -> tuple[float | None, ...]:
        """The declared criterion of every seed's decisions on val."""
        return tuple(
            self._on_val(pick.remedy, network, "declared", seed)
            for network, seed in zip(pick.networks, self.bench.seeds, strict=True)
        )

    def _on_val(self, remedy: Remedy, network: KeptNetwork, selected: Selected, seed: int) -> float | None:
        """The criterion of a network's decisions on val: as they are made on test."""
        bench = self.bench
        decisions = decisions_of(bench, self.laboratory, remedy, network, selected, seed, "val")
        groups = bench.groups_of(self.laboratory.rows["val"])
        select = bench.select if selected == "declared" else "average"
        from imgid_audit.vision.judge import criterion

        return criterion(decisions.predicted, decisions.label, groups, select)

    def _seeds(self, remedy: Remedy, setting: Setting) -> tuple[KeptNetwork, ...]:
        found = []
        for seed in self.bench.seeds:
            network = self.network(remedy, setting, seed)
            if network.facts["failed"]:
                raise NotRunError(f"seed {seed}: {network.facts['failed']}")
            found.append(network)
        return tuple(found)

    def network(self, remedy: Remedy, setting: Setting, seed: int) -> KeptNetwork:
        """The network, kept from before or trained now; a training that fails is kept as its reason.

        Raises `StoppedError` once the user asks to stop.
        """
        bench = self.bench
        protocol: dict[str, Any] = {
            "select": bench.select,
            "scope": bench.settings.scope,
            "groups": list(bench.job.fitted.train.groups),
            "ask": asdict(bench.ask),
        }
        if bench.settings.scope == "head":
            protocol["head"] = bench.settings.head.model_dump(mode="json", exclude={"lr", "weight_decay"})
        key = key_of(self.laboratory, remedy, setting, seed, protocol)
        kept = self.shelf.get(key)
        if kept is None:
            if bench.job.stop():
                raise StoppedError(f"stopped before {remedy.name}, seed {seed}: the same command continues there")
            kept = self._trained(remedy, setting, seed)
            self.shelf.put(key, kept)
        self.done[0] += 1
        bench.job.progress.update(min(self.done[0], self.total), self.total, f"{remedy.name}, seed {seed}")
        return kept

    def _trained(self, remedy: Remedy, setting: Setting, seed: int) -> KeptNetwork:
        from imgid_audit.vision.errors import DivergedError

        try:
            return self.laboratory.train(remedy, setting, seed)
        except DivergedError as error:
            return _failure(f"diverged: {error}")
        except InputError as error:
            return _failure("; ".join(problem.message for problem in error.problems))

    def _trial(self, remedy: Remedy, setting: Setting, network: KeptNetwork) -> Trial:
        parameters = parameters_of(remedy, setting, self.bench)
        if network.facts["failed"]:
            return Trial(parameters, None, None, None, str(network.facts["failed"]))
        seed = self.bench.tuning_seed
        try:
            declared, average = (self._on_val(remedy, network, by, seed) for by in ("declared", "average"))
            test = self.judge(decisions_of(self.bench, self.laboratory, remedy, network, "declared", seed))
        except InputError as error:
            return Trial(parameters, None, None, None, "; ".join(problem.message for problem in error.problems))
        return Trial(parameters, declared, average, test)


def parameters_of(remedy: Remedy, setting: Setting, bench: Bench) -> dict[str, Any]:
    """A method's own parameters, and what the training around it used: nothing, where a head starts over."""
    if bench.settings.scope == "head" and remedy.starts_over:
        return remedy.parameters
    own = remedy.treatment(bench.ask).weight_decay is not None
    return {**remedy.parameters, **({"lr": setting.lr} if own else setting.plain())}


def not_run(remedy: Remedy, bench: Bench, reason: str) -> MethodRecord:
    """The record of a method without networks."""
    return replace(_record(remedy, bench), status="not_run", reason=" ".join(reason.split()))


def _record(remedy: Remedy, bench: Bench) -> MethodRecord:
    return MethodRecord(
        name=remedy.name,
        methods=remedy.methods,
        scope=bench.settings.scope,
        acts_on=remedy.acts_on,
        needs=remedy.needs,
        source=remedy.source,
        parameters=remedy.parameters,
        status="ran",
        reason="",
        seeds=(),
        seconds=0.0,
        shifts_prior=remedy.shifts_prior,
        notes=remedy.warnings,
        uses_adjust=remedy.uses_adjust or (remedy.fits_rule and bool(len(bench.manifest.rows("adjust")))),
    )


def _failure(reason: str) -> KeptNetwork:
    return KeptNetwork({}, {**FAILED, "failed": reason})


def _notes(remedy: Remedy, networks: tuple[KeptNetwork, ...]) -> tuple[str, ...]:
    undefined = sorted({str(name) for network in networks for name in network.facts["undefined"]})
    told = (f"picked without {', '.join(undefined)}: no validation rows",) if undefined else ()
    return (*remedy.warnings, *told)


def _images_total(networks: tuple[KeptNetwork, ...]) -> int:
    """Images of all trainings of a method; the embedding pass that they share counts once."""
    shared = max((int(one.facts["images_shared"]) for one in networks), default=0)
    return shared + sum(int(one.facts["images_seen"]) - int(one.facts["images_shared"]) for one in networks)


def _tuned(networks: tuple[KeptNetwork, ...]) -> tuple[Mapping[str, float], ...]:
    """What the method chose by itself for each seed; () where it chose nothing."""
    found = tuple(dict(one.facts["tuned"].get("declared", {})) for one in networks)
    return found if any(found) else ()


def _best_on_test(values: list[float | None], bench: Bench) -> int | None:
    """The trial that test would have picked, in the direction of the primary quantity."""
    from imgid_audit.metrics import METRICS

    primary = bench.settings.primary
    falls = primary.of == "gap" and bool(primary.across)
    lower = falls or METRICS[primary.metric].better == "lower"
    return best([None if value is None else -value if lower else value for value in values])
