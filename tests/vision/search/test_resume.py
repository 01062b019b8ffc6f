"""A search that is killed anywhere ends as one that was not, and processes share one without repeating a trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from imgid_audit.io.lock import RunLock
from imgid_audit.vision.search import study as study_module
from imgid_audit.vision.search.claims import Claim
from tests.vision.search.driver import EPOCHS, objective, opened, run, settings_of, trained

DRIVER = Path(__file__).with_name("driver.py")
WAIT = 500
"""Seconds that only a process that hangs takes."""


def started(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    folder.mkdir(exist_ok=True, parents=True)
    command = [sys.executable, str(DRIVER), str(folder), *arguments]
    root = Path(__file__).parents[3]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return subprocess.Popen(command, **pipes, text=True, env=environment)


def told(process: subprocess.Popen[str], sent: str | None = None) -> Any:
    out, errors = process.communicate(sent, timeout=WAIT)
    assert process.returncode == 0, errors
    return json.loads(out)


def unbroken(folder: Path, sampler: str, pruner: str, trials: int = 12) -> list[dict[str, Any]]:
    folder.mkdir(parents=True)
    with opened(folder / "study.db", settings_of(sampler, pruner, trials)) as study:
        return run(study)


def moments(expected: list[dict[str, Any]]) -> list[str]:
    """Of every other trial: asked, after the first and the last epoch, before and after its end is told."""
    complete = next(trial for trial in expected[5:] if trial["state"] == "complete")["number"]
    stopped = next((trial for trial in expected[complete + 1 :] if trial["state"] != "complete"), expected[-1])
    late = stopped["number"]
    return [
        *("asked 0", "reported 1 1", "told 2", f"asked {complete}", f"trained {complete}", f"told {complete}"),
        *(f"reported {late} 1", f"reported {late} {stopped['epochs']}", f"told {late}"),
    ]


@pytest.mark.parametrize(("sampler", "pruner"), [("tpe", "median"), ("random", "hyperband"), ("grid", "none")])
def test_two_searches_with_one_seed_are_the_same(tmp_path: Path, sampler: str, pruner: str) -> None:
    found = unbroken(tmp_path / "a", sampler, pruner)
    assert found == unbroken(tmp_path / "b", sampler, pruner)
    assert [trial["number"] for trial in found] == list(range(12))
    different = [json.dumps(trial["parameters"], sort_keys=True) for trial in found]
    assert len(set(different)) == 12


def test_gp_and_failures_too(tmp_path: Path) -> None:
    found = unbroken(tmp_path / "a", "gp", "median", 10)
    assert found == unbroken(tmp_path / "b", "gp", "median", 10)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sampler", "pruner"), [("tpe", "median"), ("tpe", "hyperband"), ("gp", "median"), ("grid", "hyperband")]
)
def test_killed_at_every_stage_it_ends_as_if_it_had_not_been(tmp_path: Path, sampler: str, pruner: str) -> None:
    expected = json.loads(json.dumps(unbroken(tmp_path / "whole", sampler, pruner)))
    folder = tmp_path / "broken"
    for moment in moments(expected):
        process = started(folder, sampler, pruner, "12", "--die", moment)
        process.communicate(timeout=WAIT)
        assert process.returncode == -9, moment
    assert told(started(folder, sampler, pruner, "12")) == expected
    logged = (folder / "log").read_text().split()
    assert len(logged) == len(set(logged)), "a trial that was told was trained again"


def test_a_trial_in_a_dead_process_s_hands_is_taken_up_with_what_it_reported(tmp_path: Path) -> None:
    process = started(tmp_path, "random", "none", "3", "--die", "reported 1 2")
    process.communicate(timeout=WAIT)
    assert process.returncode == -9
    with opened(tmp_path / "study.db", settings_of("random", "none", 3)) as study:
        assert [trial.number for trial in study.trials()] == [0]
        assert study.waiting() == 1
        assert study.ended == ""
        ticket = study.ask()
        assert ticket is not None
        assert ticket.number == 1
        assert list(ticket._record.reported.values()) == [objective(ticket.parameters, epoch) for epoch in (1, 2)]
        assert study.waiting() == 0


def test_two_processes_share_one_study(tmp_path: Path) -> None:
    processes = [started(tmp_path, "tpe", "median", "16", "--pause", "0.02") for _ in range(2)]
    first, second = map(told, processes)
    assert first == second
    assert [trial["number"] for trial in first] == list(range(16))
    logged = (tmp_path / "log").read_text().split()
    assert sorted(map(int, logged)) == list(range(16))
    different = {json.dumps(trial["parameters"], sort_keys=True) for trial in first}
    assert len(different) == 16
    with opened(tmp_path / "study.db", settings_of("tpe", "median", 16)) as study:
        assert len(study._storage.sessions()) == 2


def test_one_of_two_processes_dies_and_the_other_finishes_its_trial(tmp_path: Path) -> None:
    """The dying one has the first trial in hand; the other begins meanwhile, and waits for it in the end."""
    dying = started(tmp_path, "random", "none", "8", "--wait", "--die", "reported 0 4")
    assert dying.stdout is not None
    assert dying.stdout.readline() == "0\n"
    other = started(tmp_path, "random", "none", "8", "--wait")
    assert other.stdout is not None
    assert other.stdout.readline() == "1\n"
    dying.communicate("\n", timeout=WAIT)
    assert dying.returncode == -9
    found = told(other, "\n")
    assert [trial["number"] for trial in found] == list(range(8))
    assert all(trial["state"] in ("complete", "failed") for trial in found)


def test_a_released_trial_is_given_to_the_next_who_asks(tmp_path: Path) -> None:
    with opened(tmp_path / "study.db", settings_of("random", "none", 2)) as study:
        ticket = study.ask()
        assert ticket is not None
        ticket.report(1, 0.5)
        ticket.release()
        again = study.ask()
        assert again is not None
        assert (again.number, again.parameters) == (0, ticket.parameters)


def test_a_trial_that_ends_while_another_asks_is_not_given_out_again(tmp_path: Path) -> None:
    """It is running when the other reads the file, and over when its lock can be had."""
    settings = settings_of("random", "none", 2)
    with opened(tmp_path / "study.db", settings) as mine, opened(tmp_path / "study.db", settings) as other:
        ticket = mine.ask()
        read = other._storage.claim

        def ends_meanwhile(position: int) -> Any:
            if position == 0 and other.trials() == ():
                ticket.complete(objective(ticket.parameters), EPOCHS)
            return read(position)

        other._storage.claim = ends_meanwhile
        asked = other.ask()
        assert (asked.number, mine.trials()[0].state) == (1, "complete")
        asked.complete(0.0, EPOCHS)
        assert other.ask() is None
        assert other.waiting() == 0
        assert mine.ended == "all trials"


def test_whoever_asks_to_stop_gets_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "study.db", settings_of("random", "none", 2)) as study:
        assert study.ask(lambda: True) is None
        assert study.ended == ""
        assert study.ask() is not None


def test_more_trials_go_on_and_fewer_are_the_first(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    found = {}
    for trials in (4, 7, 3):
        with opened(path, settings_of("tpe", "none", trials)) as study:
            found[trials] = run(study)
            assert study.ended == "all trials"
    assert found[4] == found[7][:4]
    assert found[3] == found[7][:3]
    assert found[7] == unbroken(tmp_path / "other", "tpe", "none", 7)


@pytest.mark.parametrize(
    "change", [{"seed": 4}, {"sampler": "tpe"}, {"pruner": "median"}, {"space": {"lr": [0.1, 0.2]}}]
)
def test_another_search_in_the_same_file_is_kept_apart(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "study.db"
    with opened(path, settings_of("random", "none", 2)) as study:
        run(study)
        before = study.trials()
    with opened(path, settings_of(**{"sampler": "random", "pruner": "none", "trials": 2, **change})) as study:
        assert study.trials() == ()
        assert study.ask() is not None
    with opened(path, settings_of("random", "none", 2)) as study:
        assert study.trials() == before


def test_no_trial_begins_once_the_time_is_over_also_in_a_later_session(tmp_path: Path) -> None:
    now = [1000.0]
    settings = settings_of("random", "none", 5, minutes=1)
    path = tmp_path / "study.db"
    with opened(path, settings, clock=lambda: now[0]) as study:
        ticket = study.ask()
        assert ticket is not None
        now[0] += 40
        trained(ticket, "")
    now[0] += 3600  # nothing ran: it counts for nothing
    with opened(path, settings, clock=lambda: now[0]) as study:
        assert study.elapsed == pytest.approx(40)
        ticket = study.ask()
        assert ticket is not None
        now[0] += 30
        trained(ticket, "")
        assert study.ask() is None
        assert study.ended == "time"
        assert [trial.number for trial in study.trials()] == [0, 1]
    with opened(path, settings, clock=lambda: now[0]) as study:
        assert study.ask() is None
        assert study.ended == "time"
    with opened(path, settings_of("random", "none", 5, minutes=2), clock=lambda: now[0]) as study:
        assert study.ended == ""
        assert study.ask() is not None


def test_whoever_ends_a_search_by_its_time_ends_it_for_all(tmp_path: Path) -> None:
    """Time runs out while one process looks; another, opened after its last sign of life, must not begin a trial."""
    path, settings = tmp_path / "study.db", settings_of("random", "none", 5, minutes=1)
    now = [100.0]
    with opened(path, settings, clock=lambda: now[0]) as one:
        trained(one.ask(), "")
        now[0] = 159.9
        one._beat(always=True)
        now[0] = 160.5
        with opened(path, settings, clock=lambda: now[0]) as two:
            ended_before = one.ended
            begun = two.ask()
            assert not (ended_before and begun), "a trial that the search, which has ended, does not tell of"
            if begun is not None:
                trained(begun, "")
            assert one.ask() is None
            assert one.ended == "time"
            assert two.ask() is None
            assert two.ended == "time"
            assert one.trials() == two.trials()


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_clock_that_is_set_meanwhile_does_not_move_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    wall, even = [1e9], [50.0]
    monkeypatch.setattr(study_module.time, "time", lambda: wall[0])
    monkeypatch.setattr(study_module.time, "monotonic", lambda: even[0])
    with opened(tmp_path / "study.db", settings_of("random", "none", 5, minutes=2)) as study:
        for _ in range(2):
            trained(study.ask(), "")
            wall[0] += jump + 50
            even[0] += 50
        assert study.elapsed == pytest.approx(100)
        assert study.ask() is not None
        even[0] += 50
        assert study.ask() is None
        assert study.elapsed == pytest.approx(150)


def test_a_training_whose_epochs_nobody_asks_about_gives_signs_of_life(tmp_path: Path) -> None:
    """Else a search that is killed within long trainings would never come to the end of its time."""
    now = [100.0]
    with opened(tmp_path / "study.db", settings_of("random", "none", 5), clock=lambda: now[0]) as study:
        ticket = study.ask()
        now[0] = 3700.0
        ticket.report(1, None)
        assert list(study._storage.sessions().values()) == [[100.0, 3700.0]]


def test_an_interrupt_while_a_trial_is_taken_leaves_it_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also to one in this very process, such as a notebook's."""
    settings = settings_of("random", "none", 1)

    def interrupted(claim: Claim) -> bool:
        RunLock.__enter__(claim)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        taken = Claim.take
        patched.setattr(Claim, "take", lambda self: taken(self) if self.path.name == "asking" else interrupted(self))
        with pytest.raises(KeyboardInterrupt), opened(tmp_path / "study.db", settings) as study:
            study.ask()
    with opened(tmp_path / "study.db", settings) as study:
        assert study.ask() is not None


def test_two_processes_at_once_count_the_wall_clock_once(tmp_path: Path) -> None:
    path, settings = tmp_path / "study.db", settings_of("random", "none", 5)
    clocks = [[100.0], [110.0]]
    with (
        opened(path, settings, clock=lambda: clocks[0][0]) as one,
        opened(path, settings, clock=lambda: clocks[1][0]) as two,
    ):
        clocks[0][0], clocks[1][0] = 130.0, 150.0
        for study in (one, two):
            study._beat(always=True)
            assert study.elapsed == pytest.approx(50 if study is two else 30)
        assert one.elapsed == pytest.approx(50)


def test_a_grid_ends_when_it_is_exhausted_and_every_point_was_tried_once(tmp_path: Path) -> None:
    for sampler in ("grid", "tpe"):
        settings = settings_of(
            sampler, "none", 50, space={"lr": [0.001, 0.01], "dropout": {"low": 0, "high": 0.5, "step": 0.25}}
        )
        with opened(tmp_path / f"{sampler}.db", settings) as study:
            while (ticket := study.ask()) is not None:
                ticket.complete(ticket.parameters["lr"], 9)
            assert study.ended == "grid exhausted"
            points = [tuple(trial.parameters.values()) for trial in study.trials()]
        assert points[0] == (0.5, 0.0)  # as given
        assert sorted(points[1:]) == [(lr, drop) for lr in (0.001, 0.01) for drop in (0.0, 0.25, 0.5)]


def test_how_a_trial_ended_is_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "study.db", settings_of("random", "none", 6)) as study:
        tickets = [study.ask() for _ in range(6)]
        ends = [
            lambda one: one.complete(0.5, 9),
            lambda one: (one.report(3, 0.25), one.prune(3, "too low")),
            lambda one: one.fail("out of memory", 2),
            lambda one: one.complete(float("nan"), 9),
            lambda one: one.complete(None, 9),
            lambda one: (one.report(1, None), one.report(2, float("inf")), one.prune(2, "nothing seen")),
        ]
        for ticket, end in zip(tickets, ends, strict=True):
            end(ticket)
        found = [(trial.state, trial.value, trial.epochs, trial.reason) for trial in study.trials()]
        assert asdict(study.trials()[1])["number"] == 1
    undefined = "the objective is undefined on val"
    assert found == [
        ("complete", 0.5, 9, ""),
        ("pruned", 0.25, 3, "too low"),
        ("failed", None, 2, "out of memory"),
        ("failed", None, 9, undefined),
        ("failed", None, 9, undefined),
        ("pruned", None, 2, "nothing seen"),
    ]
