"""Early stops against Optuna's own pruners, fed the same trials in the same order."""

from __future__ import annotations

import numpy as np
import optuna
import pytest

from imgid_audit.vision.search.pruning import STARTUP, bracket_of, brackets, reason_to_stop, rungs, warmup
from imgid_audit.vision.search.records import Record

SEED = 5


def curve(rng: np.random.Generator, epochs: int, higher: bool) -> np.ndarray:
    """Rises to an end of its own, with noise; falls where lower is better."""
    values = rng.random() * (1 - 0.6 ** np.arange(1, epochs + 1)) + 0.05 * rng.standard_normal(epochs)
    return values if higher else -values


def ours(pruner: str, curves: list[np.ndarray], epochs: int, higher: bool) -> list[int]:
    """After how many epochs each trial ended."""
    records: list[Record] = []
    for position, values in enumerate(curves):
        reported: dict[int, float] = {}
        stopped = False
        for epoch in range(1, epochs + 1):
            reported[epoch] = float(values[epoch - 1])
            own = Record(position, {}, "running", None, dict(reported), 0, "", 0)
            stopped = bool(reason_to_stop(pruner, own, epoch, records, epochs, SEED, higher=higher))
            if stopped:
                break
        state, value = ("pruned", None) if stopped else ("complete", reported[epochs])
        records.append(Record(position, {}, state, value, reported, len(reported), "", 0))
    return [record.epochs for record in records]


def theirs(pruner: optuna.pruners.BasePruner, curves: list[np.ndarray], epochs: int, higher: bool) -> list[int]:
    """The same by Optuna; in the last epoch nothing is stopped, which it would do."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(study_name=str(SEED), direction="maximize" if higher else "minimize", pruner=pruner)
    ended = []
    for values in curves:
        trial = study.ask()
        for epoch in range(1, epochs + 1):
            trial.report(float(values[epoch - 1]), epoch)
            if trial.should_prune() and epoch < epochs:
                study.tell(trial, state=optuna.trial.TrialState.PRUNED)
                break
        else:
            study.tell(trial, float(values[-1]))
        ended.append(epoch)
    return ended


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_median_as_optuna(seed: int, higher: bool) -> None:
    rng = np.random.default_rng(seed)
    curves = [curve(rng, 8, higher) for _ in range(30)]
    pruner = optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=warmup(8) + 1)
    found = ours("median", curves, 8, higher)
    assert found == theirs(pruner, curves, 8, higher)
    assert found[:STARTUP] == [8] * STARTUP
    assert min(found) == warmup(8) + 1


@pytest.mark.parametrize("higher", [True, False])
@pytest.mark.parametrize("epochs", [1, 2, 3, 8, 9, 10, 27, 30])
def test_hyperband_as_optuna(epochs: int, higher: bool) -> None:
    rng = np.random.default_rng(epochs)
    curves = [curve(rng, epochs, higher) for _ in range(40)]
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3)
    found = ours("hyperband", curves, epochs, higher)
    assert found == theirs(pruner, curves, epochs, higher)
    assert (set(found) != {epochs}) == (epochs > 1)


def test_brackets_as_optuna_s() -> None:
    pruner = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    study = optuna.create_study(study_name=str(SEED), pruner=pruner)
    pruner._try_initialization(study)
    assert list(brackets(27).values()) == pruner._trial_allocation_budgets
    for _ in range(50):
        trial = study.ask()
        assert bracket_of(trial.number, 27, SEED) == pruner._get_bracket_id(study, trial)
    assert rungs(0, 27, SEED) == tuple(3**k for k in range(bracket_of(0, 27, SEED), 4))


def record(position: int, state: str, values: list[float]) -> Record:
    reported = dict(enumerate(values, 1))
    return Record(position, {}, state, values[-1] if state == "complete" else None, reported, len(values), "", 0)


def test_a_reason_says_what_was_compared() -> None:
    others = [record(i, "complete", [0.1, 0.5 + i / 100, 0.9]) for i in range(5)]
    told = reason_to_stop("median", record(5, "running", [0.3, 0.4]), 2, others, 3, 0, higher=True)
    assert told == (
        "in the first 2 epochs its best value (0.4) was worse than the median of 5 complete trials after as many (0.52)"
    )
    first = next(i for i in range(40) if 1 in rungs(i, 9, 0))
    rivals = [record(i, "complete", [0.5 + i / 100]) for i in range(40) if i != first]
    third = reason_to_stop("hyperband", record(first, "running", [0.1]), 1, rivals, 9, 0, higher=True)
    assert third.startswith("after 1 epoch its value (0.1) was not in the best third of ")
    assert reason_to_stop("median", record(5, "running", [0.3, 0.4]), 2, others, 3, 0, higher=False) == ""


def test_failed_pruned_and_running_trials_make_no_median() -> None:
    others = [record(i, state, [0.9, 0.9, 0.9]) for i, state in enumerate(["failed", "pruned", "running"] * 3)]
    assert reason_to_stop("median", record(9, "running", [0.1, 0.1]), 2, others, 3, 0, higher=True) == ""


def test_the_last_epoch_and_no_pruner_stop_nothing() -> None:
    others = [record(i, "complete", [0.9, 0.9, 0.9]) for i in range(9)]
    own = record(9, "running", [0.1, 0.1, 0.1])
    for pruner in ("median", "hyperband", "none"):
        assert reason_to_stop(pruner, own, 3, others, 3, 0, higher=True) == ""
    assert reason_to_stop("none", own, 2, others, 3, 0, higher=True) == ""
