"""Groups picked on one half of the rows and measured on the other: laws, a plain transcription, planted ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import recall_score, roc_auc_score

from imgid_audit.comparison import MethodRuns, compare_methods, primary_changes
from imgid_audit.comparison.halves import HALVINGS, MEASURED, Halves, picked_apart
from imgid_audit.comparison.levels import Network
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.evaluation.breakdowns import breakdown
from tests.comparison.world import BINARY, MANY, SEEDS, World, changes, reordered, spec


def halves_of(world: World) -> tuple[Decisions, Halves]:
    decisions = world.decisions(0.0, 0.3)
    return decisions, Halves([decisions], breakdown(decisions, ("group",)), 0)


@pytest.mark.parametrize("images", [1, 4])
def test_halves_are_halves_of_every_group_and_divide_no_subject(images: int) -> None:
    world = World(rows=602, images=images)
    _, halves = halves_of(world)
    owner = np.arange(602) // images
    units = np.unique(owner, return_index=True)[1]
    assert halves.second.shape == (HALVINGS, 602)
    for half in halves.second:
        assert_array_equal(half, half[units][owner])
        for mask in (np.ones(len(units), dtype=bool), *(world.group[units] == g for g in range(3))):
            assert abs(2 * half[units][mask].sum() - mask.sum()) <= 1
        if images == 1:
            for cell in range(9):
                mask = world.group * 3 + world.label == cell
                assert abs(2 * half[mask].sum() - mask.sum()) <= 1


def test_halves_differ_are_the_same_again_and_follow_the_seed() -> None:
    decisions, halves = halves_of(World(rows=100))
    part = breakdown(decisions, ("group",))
    first, again, other = halves.second, Halves([decisions], part, 0).second, Halves([decisions], part, 1).second
    assert_array_equal(first, again)
    assert (first != other).any()
    assert len(np.unique(first, axis=0)) == HALVINGS
    # a row is with any other in half of the halvings or so
    together = (first[:, :1] == first[:, 1:]).mean(axis=0)
    assert 0.4 < together.mean() < 0.6


@pytest.mark.parametrize("images", [1, 3])
def test_rows_fall_the_same_way_in_any_order_of_rows_and_networks(images: int) -> None:
    world = World(rows=300, images=images)
    baseline = world.runs("baseline")
    part = breakdown(baseline.decisions[0], ("group",))
    halves = Halves(baseline.decisions, part, 0).second
    rows, seeds = np.random.default_rng(0).permutation(300), np.array([2, 0, 3, 1])
    moved = reordered(baseline, rows, seeds).decisions
    assert_array_equal(Halves(moved, breakdown(moved[0], ("group",)), 0).second, halves[:, rows])


def test_halves_do_not_look_at_the_answers() -> None:
    """The number of right rows in a half varies as in halves that are drawn by labels and groups alone."""
    world = World(BINARY, rows=400)
    decisions = replace(world.decisions(0.0, 0.3), scores=None)
    right = decisions.predicted == decisions.label
    halves = [Halves([decisions], breakdown(decisions, ("group",)), seed).second for seed in range(20)]
    counts = (np.concatenate(halves) & right).sum(axis=1)
    cells = world.group * 2 + world.label
    n, k = np.bincount(cells), np.bincount(cells[right], minlength=6)
    hypergeometric = (n / 4 * (k / n) * (1 - k / n) * n / (n - 1)).sum()
    assert 0.8 < counts.var() / hypergeometric < 1.25


@pytest.mark.parametrize("images", [1, 3])
def test_values_of_halves_are_those_of_their_rows(images: int) -> None:
    """Rates by counting, others by measuring; against scikit-learn on the rows of a half and a group."""
    world = World(BINARY, images=images)
    decisions, halves = halves_of(world)
    network, part = Network(decisions, IntervalSpec()), breakdown(decisions, ("group",))
    assert decisions.scores is not None
    recall = network.levels("recall", "yes", part).halved(halves)
    area = network.levels("auroc", "yes", part).halved(halves)
    assert (len(recall), len(area)) == (HALVINGS, MEASURED)
    for h in (0, MEASURED - 1):
        for side in (0, 1):
            for g in range(3):
                here = (halves.second[h] == bool(side)) & (world.group == g)
                label, said, score = decisions.label[here], decisions.predicted[here], decisions.scores[here, 1]
                assert_allclose(recall[h, side, g], recall_score(label, said))
                assert_allclose(area[h, side, g], roc_auc_score(label, score))


def test_a_group_without_a_row_in_a_half_keeps_its_whole_value() -> None:
    """One subject cannot be on both sides."""
    world = World(BINARY, rows=120, images=20)
    group = np.where(np.arange(120) < 20, 0, 1).astype(np.int32)
    decisions = replace(world.decisions(0.0, 0.3), attributes=(Factor("group", ("a", "b"), group),))
    part = breakdown(decisions, ("group",))
    levels = Network(decisions, IntervalSpec()).levels("accuracy", None, part)
    found = levels.halved(Halves([decisions], part, 0))
    assert (found[:, :, 0] == levels.value[0]).all()
    assert (found[:, :, 1] != levels.value[1]).any()


def test_picks_are_worth_what_the_other_half_says() -> None:
    halves = np.array([[[0.5, 0.6, 0.1], [0.9, 0.7, 0.2]], [[0.8, 0.3, 0.9], [0.4, 0.6, 0.1]]])
    used = np.array([True, True, False])
    # smallest: .9 and .6 of the first halving, .6 and .8 of the second
    assert_allclose(picked_apart(halves, ((1.0, 1),), used), (0.9 + 0.6 + 0.6 + 0.8) / 4)
    gaps = (0.7 - 0.9) + (0.5 - 0.6) + (0.4 - 0.6) + (0.3 - 0.8)
    assert_allclose(picked_apart(halves, ((1.0, -1), (-1.0, 1)), used), gaps / 4)


@pytest.mark.parametrize("quantity", ["worst_group", "gap"])
def test_the_interval_is_the_hull_of_both(quantity: str) -> None:
    """Around the change and around one whose groups are picked on the other half, transcribed with a loop over rows."""
    world = World(rows=500, images=2)
    baseline, method = world.runs("baseline"), world.runs("m", 0.3)
    asked = spec(quantity=quantity)  # type: ignore[arg-type]
    (one,) = primary_changes(baseline, [method], asked)
    halves = Halves(baseline.decisions, breakdown(baseline.decisions[0], ("group",)), asked.intervals.seed)

    def apart(runs: MethodRuns) -> float:
        found = []
        for decisions in runs.decisions:
            right = decisions.predicted == decisions.label
            for half in halves.second:
                for picks in (half, ~half):
                    there = [right[picks & (world.group == g)].mean() for g in range(3)]
                    here = [right[~picks & (world.group == g)].mean() for g in range(3)]
                    worst = here[int(np.argmin(there))]
                    found.append(worst if quantity == "worst_group" else here[int(np.argmax(there))] - worst)
        return float(np.mean(found))

    assert one.interval is not None
    assert isinstance(one.value, float)
    second = apart(method) - apart(baseline)
    half = min(one.value - one.interval.low, one.interval.high - one.value)
    assert_allclose(one.interval.low, min(one.value, second) - half, atol=1e-12)
    assert_allclose(one.interval.high, max(one.value, second) + half, atol=1e-12)
    assert "cross-fitted" in one.interval.method


def test_only_what_is_picked_has_a_second_value() -> None:
    world = World()
    found = compare_methods(world.runs("baseline"), [world.runs("m", 0.3)], spec())
    named = {one.quantity: "cross-fitted" in one.interval.method for one in found.changes if one.interval}
    assert named == {"overall": False, "group": False, "worst_group": True, "gap": True, "worst_class": True}
    for quantity in ("overall", "group"):
        for one in changes(found, quantity):  # type: ignore[arg-type]
            assert one.interval is not None
            assert_allclose(one.interval.low + one.interval.high, 2 * one.value)  # type: ignore[operator]


def tied(seed: int, before: list[float], after: list[float], rows: int) -> tuple[MethodRuns, MethodRuns]:
    """Networks that are right with set probabilities; a row that one network has right most have right."""
    generator = np.random.default_rng(seed)
    group = np.repeat(np.arange(len(before)), rows).astype(np.int32)
    names = tuple(f"g{g}" for g in range(len(before)))
    label = generator.integers(2, size=len(group)).astype(np.int32)
    first = Decisions(BINARY, label, label, None, None, (Factor("group", names, group),))
    hard = generator.random(len(group))

    def runs(name: str, accuracy: list[float]) -> MethodRuns:
        decisions = []
        for _ in SEEDS:
            drawn = np.where(generator.random(len(group)) < 0.2, generator.random(len(group)), hard)
            right = drawn < np.array(accuracy)[group]
            decisions.append(replace(first, predicted=np.where(right, label, 1 - label).astype(np.int32)))
        return MethodRuns(name, SEEDS, tuple(decisions))

    return runs("baseline", before), runs("m", after)


@pytest.mark.parametrize(
    ("quantity", "before", "after", "truth"),
    [
        ("worst_group", [0.8, *[0.95] * 9], [0.8] * 10, 0.0),
        ("worst_group", [0.8] * 10, [0.8, *[0.95] * 9], 0.0),
        ("gap", [0.75, *[0.95] * 9], [0.85] * 10, -0.2),
    ],
)
def test_ties_in_one_method_alone_are_covered(
    quantity: str, before: list[float], after: list[float], truth: float
) -> None:
    """The smallest of ten equal groups is below them; without the second value three intervals in four hold."""
    held, plain, draws = 0, 0, 60
    for seed in range(draws):
        baseline, method = tied(seed, before, after, 150)
        (one,) = primary_changes(baseline, [method], spec(quantity=quantity))  # type: ignore[arg-type]
        assert one.interval is not None
        assert isinstance(one.value, float)
        half = min(one.value - one.interval.low, one.interval.high - one.value)
        held += one.interval.low <= truth <= one.interval.high
        plain += abs(one.value - truth) <= half
        # of one method alone nothing is adjusted, and both estimates are in the p-value
        assert one.p_adjusted == one.p_value
    assert held / draws >= 0.95 - 3 * np.sqrt(0.0475 / draws)
    assert plain / draws < 0.85


def test_worst_class_is_picked_apart_too() -> None:
    world = World(MANY, rows=900)
    baseline, method = world.runs("baseline"), world.runs("m", 0.4)
    found = compare_methods(baseline, [method], spec())
    (one,) = changes(found, "worst_class")
    halves = Halves(baseline.decisions, breakdown(baseline.decisions[0], ("group",)), 0)
    assert IntervalSpec().seed == 0

    def apart(runs: MethodRuns) -> float:
        values = []
        for decisions in runs.decisions:
            for half in halves.second[:MEASURED]:
                for picks in (half, ~half):
                    there, here = (
                        recall_score(world.label[rows], decisions.predicted[rows], average=None)
                        for rows in (picks, ~picks)
                    )
                    values.append(here[np.argmin(there)])
        return float(np.mean(values))

    assert one.interval is not None
    assert isinstance(one.value, float)
    second = apart(method) - apart(baseline)
    middle = (one.interval.low + one.interval.high) / 2
    assert_allclose(middle, (one.value + second) / 2, atol=1e-12)
