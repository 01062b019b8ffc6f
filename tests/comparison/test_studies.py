"""Studies of training: what a step may say, what is enough, where a curve is flat."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score

from imgid_audit.comparison import MethodRuns
from imgid_audit.comparison.studies import (
    CLASS,
    TRUE_CLASS,
    StudySpec,
    answer_of,
    enough,
    flattening,
    steps,
    study_estimates,
)
from imgid_audit.core.factor import Factor
from imgid_audit.core.fit import Answer, Step
from imgid_audit.core.policy import IntervalSpec
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task
from imgid_audit.core.values import Interval, Undefined
from tests.comparison.world import World, reordered

SPEC = StudySpec(("group",), 0.02, IntervalSpec(), 10)
SEEDS = tuple(range(6))


def only(found: tuple[Step, ...], quantity: str, level: str | None = None) -> Step:
    (one,) = [each for each in found if each.quantity == quantity and (level is None or level in each.slice.levels)]
    return one


def step(before: MethodRuns, after: MethodRuns, spec: StudySpec = SPEC) -> tuple[Step, ...]:
    (found,) = steps(before, [after], spec)
    return found


def accuracy(runs: MethodRuns, rows: np.ndarray | None = None) -> float:
    """Mean over seeds, by scikit-learn."""
    chosen = slice(None) if rows is None else rows
    return float(np.mean([accuracy_score(one.label[chosen], one.predicted[chosen]) for one in runs.decisions]))


def recall(runs: MethodRuns, code: int) -> float:
    return float(np.mean([recall_score(d.label, d.predicted, labels=[code], average=None)[0] for d in runs.decisions]))


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [
        (-0.01, 0.01, "same"),
        (0.001, 0.009, "same"),
        (-0.009, -0.001, "same"),
        (0.001, 0.011, "better"),
        (-0.011, -0.001, "worse"),
        (-0.011, 0.001, "unknown"),
        (0.0, 0.02, "unknown"),
    ],
)
def test_an_answer_is_what_the_whole_interval_says(low: float, high: float, answer: Answer) -> None:
    assert answer_of(Interval(low, high, 0.95, "any"), 0.01) == answer
    mirrored = {"better": "worse", "worse": "better"}.get(answer, answer)
    assert answer_of(Interval(-high, -low, 0.95, "any"), 0.01) == mirrored


def test_without_an_interval_nothing_is_known() -> None:
    assert answer_of(None, 0.5) == "unknown"


FAMILIES = (("overall",), ("group", "worst_group"), (CLASS, "worst_class"))


@pytest.mark.parametrize("classes", [False, True])
@pytest.mark.parametrize("groups", [1, 3])
def test_each_family_has_one_chance_of_error(groups: int, classes: bool) -> None:
    """All rows; groups and their worst; classes and theirs: the chances of each sum to the study's."""
    world = World(rows=600, groups=groups)
    found = step(world.runs("a"), world.runs("b"), replace(SPEC, classes=classes))
    for family, members in zip(FAMILIES, (1, groups + (groups > 1), 4 if classes else 1), strict=True):
        levels = [each.interval.level for each in found if each.quantity in family and each.interval]
        assert len(levels) == members
        assert levels == pytest.approx([1 - 0.05 / members] * members)


def test_values_are_differences_of_accuracy_and_recall() -> None:
    world = World(rows=900)
    before, after = world.runs("small"), world.runs("large", gain=0.4)
    found = step(before, after, replace(SPEC, classes=True))
    assert only(found, "overall").value == pytest.approx(accuracy(after) - accuracy(before))
    for code, name in enumerate(("g0", "g1", "g2")):
        rows = world.group == code
        expected = accuracy(after, rows) - accuracy(before, rows)
        assert only(found, "group", name).value == pytest.approx(expected)
    for code, label in enumerate(world.task.labels):
        one = only(found, CLASS, label)
        assert one.slice == Slice((TRUE_CLASS,), (label,))
        assert one.value == pytest.approx(recall(after, code) - recall(before, code))
    assert found[0].slice == TOTAL, "all rows come first"
    assert only(found, "worst_class").slice.attributes == (TRUE_CLASS,)


def test_estimates_are_accuracies_of_every_seed() -> None:
    world = World(rows=600)
    runs = world.runs("small"), world.runs("large", gain=0.4)
    found = study_estimates(runs, SPEC)
    assert {one.quantity for one in found} == {"overall", "group", "worst_group", "worst_class"}
    for one in runs:
        of = {each.seed: each.value for each in found if (each.method, each.quantity) == (one.name, "overall")}
        assert of[None] == pytest.approx(accuracy(one))
        for seed, each in zip(one.seeds, one.decisions, strict=True):
            assert of[seed] == pytest.approx(accuracy_score(each.label, each.predicted))


def test_a_planted_rise_is_found_for_the_group_that_has_it_alone() -> None:
    world = World(rows=3000)
    before = world.runs("small", noise=0.1, seeds=SEEDS)
    after = world.runs("large", gain=np.where(world.group == 1, 1.5, 0.0), noise=0.1, seeds=SEEDS)
    found = step(before, after)
    assert only(found, "overall").answer == "better"
    assert only(found, "group", "g1").answer == "better"
    assert {only(found, "group", name).answer for name in ("g0", "g2")} <= {"same", "unknown"}
    back = step(after, before)
    assert only(back, "group", "g1").answer == "worse"
    for one, other in zip(found, back, strict=True):
        if one.quantity in ("overall", "group"):
            assert one.value == pytest.approx(-other.value)  # type: ignore[operator]
            assert one.interval is not None
            assert other.interval is not None
            assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))


def test_many_rows_and_seeds_tell_that_nothing_changed() -> None:
    world = World(rows=20000)
    before, after = (world.runs(name, noise=0.05, seeds=SEEDS) for name in ("small", "large"))
    assert only(step(before, after), "overall").answer == "same"


def test_order_of_rows_and_seeds_changes_nothing() -> None:
    world = World(rows=500)
    before, after = world.runs("a"), world.runs("b", gain=0.3)
    rows, seeds = np.random.default_rng(1).permutation(500), np.array([2, 0, 3, 1])
    plain = step(before, after)
    moved = step(reordered(before, rows, seeds), reordered(after, rows, seeds))
    for one, other in zip(plain, moved, strict=True):
        assert (one.slice, one.answer) == (other.slice, other.answer)
        assert one.value == pytest.approx(other.value)


def test_a_group_without_rows_is_undefined_and_unknown() -> None:
    world = World(rows=300, groups=3)
    empty = tuple(replace(factor, levels=(*factor.levels, "g9")) for factor in world.attributes)

    def with_empty(runs: MethodRuns) -> MethodRuns:
        return replace(runs, decisions=tuple(replace(one, attributes=empty) for one in runs.decisions))

    found = step(with_empty(world.runs("a")), with_empty(world.runs("b")))
    one = only(found, "group", "g9")
    assert isinstance(one.value, Undefined)
    assert (one.interval, one.answer) == (None, "unknown")
    assert only(found, "group", "g0").interval.level == pytest.approx(1 - 0.05 / 4)  # type: ignore[union-attr]


def test_other_rows_are_refused() -> None:
    with pytest.raises(ValueError, match="rows are not those"):
        steps(World(rows=300, seed=1).runs("a"), [World(rows=300, seed=2).runs("b")], SPEC)


@pytest.mark.slow
@pytest.mark.parametrize("images", [1, 4])
def test_of_equal_ways_a_step_says_a_difference_no_more_often_than_its_level(images: int) -> None:
    """Any slice of a family, at 95 %: 5 in 100 on average, 12 at most in 99.8 of 100 such tests."""
    false = np.zeros(len(FAMILIES))
    for draw in range(100):
        world = World(rows=480, images=images, seed=draw)
        before, after = (world.runs(name, noise=0.8, seeds=(0, 1, 2)) for name in ("a", "b"))
        found = step(before, after, replace(SPEC, classes=True))
        told = [each.quantity for each in found if each.answer in ("better", "worse")]
        false += [any(quantity in family for quantity in told) for family in FAMILIES]
    assert (false <= 12).all()


@pytest.mark.slow
def test_five_seeds_beside_ten_classes_tell_a_change_of_one_group() -> None:
    """Networks whose group accuracies scatter by 1.4 points, and so changes by 2: a step of 6 points is told.

    By the noncentral t distribution the chance is 93 % at the level of four slices that hold together; were all
    fifteen to share half of the chance of error, 47 %.
    """
    told = 0
    for draw in range(40):
        rng = np.random.default_rng(draw)
        before, after = (scattered(rng, name, gain) for name, gain in (("a", 0.0), ("b", 0.06)))
        told += only(step(before, after, replace(SPEC, classes=True)), "group", "g1").answer == "better"
    assert told >= 32


def scattered(rng: np.random.Generator, name: str, gain: float) -> MethodRuns:
    """Five networks, ten classes, 12,000 rows, three groups: 80 % right, of g1 `gain` more, and each its own chance."""
    task = Task("multiclass", tuple("abcdefghij"))
    rows = np.arange(12_000)
    label, group = (rows % 10).astype(np.int32), (rows // 10 % 3).astype(np.int32)
    factor = Factor("group", ("g0", "g1", "g2"), group)
    networks = []
    for _ in range(5):
        chance = 0.8 + gain * (np.arange(3) == 1) + 0.02 / 2**0.5 * rng.normal(size=3)
        # the same rows are hard for every network, so that rows add little to the scatter of seeds
        right = (rows // 30 + 0.5) / (len(rows) / 30) < chance[group]
        networks.append(
            Decisions(task, label, np.where(right, label, (label + 1) % 10).astype(np.int32), None, None, (factor,))
        )
    return MethodRuns(name, tuple(range(5)), tuple(networks))


@pytest.mark.slow
def test_a_change_as_large_as_the_tolerance_is_seldom_called_none() -> None:
    """One side of the interval: 2.5 in 100 for all rows, 8 at most in 99.9 of 100 such tests."""
    false = 0
    for draw in range(100):
        rng = np.random.default_rng(draw)
        world = World(rows=1500, seed=draw)
        before = world.runs("a", noise=0.1, seeds=SEEDS)

        def spoiled(one: Decisions, rng: np.random.Generator = rng) -> Decisions:
            """Every right answer is wrong with a chance that costs exactly the tolerance."""
            right = one.predicted == one.label
            lost = right & (rng.random(len(right)) < SPEC.tolerance / right.mean())
            return replace(one, predicted=np.where(lost, (one.label + 1) % 3, one.predicted).astype(np.int32))

        after = replace(before, name="b", decisions=tuple(spoiled(one) for one in before.decisions))
        false += only(step(before, after), "overall").answer == "same"
    assert false <= 8


def told(before: str, after: str, *answers: Answer) -> tuple[Step, ...]:
    """Steps of all rows, then of groups."""
    slices = (TOTAL, *(Slice(("group",), (f"g{place}",)) for place in range(len(answers) - 1)))
    kinds = ("overall", *["group"] * (len(answers) - 1))
    return tuple(
        Step(before, after, kind, where, 0.0, None, answer)
        for kind, where, answer in zip(kinds, slices, answers, strict=True)
    )


def ladder(**pairs: tuple[Answer, ...]) -> dict[tuple[str, str], tuple[Step, ...]]:
    return {(name[0], name[1]): told(name[0], name[1], *answers) for name, answers in pairs.items()}


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"ab": ("better", "same"), "ac": ("better", "same"), "bc": ("same", "same")}, "b"),
        ({"ab": ("same", "same"), "ac": ("same", "unknown"), "bc": ("same", "same")}, "a"),
        # the middle one is no better, and the largest is
        ({"ab": ("same", "same"), "ac": ("better", "same"), "bc": ("better", "same")}, None),
        # better for a group alone
        ({"ab": ("same", "better"), "ac": ("same", "better"), "bc": ("worse", "same")}, "b"),
        ({"ab": ("unknown", "same"), "ac": ("same", "same"), "bc": ("same", "same")}, None),
        ({"ab": ("better", "same"), "ac": ("better", "same"), "bc": ("unknown", "same")}, None),
    ],
)
def test_enough_is_the_smallest_that_no_larger_one_beats(
    pairs: dict[str, tuple[Answer, ...]], expected: str | None
) -> None:
    assert enough(("a", "b", "c"), ladder(**pairs)) == expected


def test_one_variant_alone_is_never_enough() -> None:
    assert enough(("a",), {}) is None


def test_a_curve_is_flat_from_where_all_later_pairs_are_the_same() -> None:
    names = ("a", "b", "c")
    pairs = ladder(ab=("better", "same"), ac=("better", "better"), bc=("same", "same"))
    rows = {
        name: {TOTAL: n, Slice(("group",), ("g0",)): n // 10} for name, n in zip(names, (100, 200, 400), strict=True)
    }
    total, group = flattening(names, rows, pairs)
    assert (total.slice, total.rows, total.at, total.last) == (TOTAL, 400, 200, "same")
    assert (group.rows, group.at) == (40, 20), "two small steps that add up are a rise"


def test_a_curve_that_still_rises_or_that_is_unknown_flattens_nowhere() -> None:
    names = ("a", "b")
    rows = {name: {TOTAL: 10, Slice(("group",), ("g0",)): 5} for name in names}
    total, group = flattening(names, rows, ladder(ab=("better", "unknown")))
    assert (total.at, total.last, group.at, group.last) == (None, "better", None, "unknown")


def test_a_planted_curve_flattens_where_it_does() -> None:
    """Gain up to the third of four rungs, none after; group g2 gains to the end."""
    world = World(rows=15000)
    rungs = []
    for place, name in enumerate(("1/8", "1/4", "1/2", "1")):
        gain = np.where(world.group == 2, 0.7 * place - 1, 0.5 * min(place, 2))
        rungs.append(world.runs(name, gain=gain, noise=0.02, seeds=SEEDS))
    names = tuple(one.name for one in rungs)
    pairs = {(one.name, other.name): step(one, other) for one, other in combinations(rungs, 2)}
    slices = [TOTAL, *(Slice(("group",), (f"g{k}",)) for k in range(3))]
    rows = {name: dict.fromkeys(slices, n) for name, n in zip(names, (125, 250, 500, 1000), strict=True)}
    found = {each.slice: each for each in flattening(names, rows, pairs)}
    assert [only(pairs[pair], "overall").answer for pair in pairwise(names)] == ["better", "better", "better"]
    assert found[TOTAL].at is None
    assert {found[where].at for where in slices[1:3]} == {500}
    assert (found[slices[3]].at, found[slices[3]].last) == (None, "better")
