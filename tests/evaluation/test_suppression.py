"""Which breakdowns are hidden: planted leaks, random tables against a solver that tries to compute small cells."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest

from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Privacy
from imgid_audit.core.task import Task
from imgid_audit.evaluation.suppression import cyclic_core, protect
from tests.attack import World, decisions_of, found_out, random_table

BINARY = ("no", "yes")


def spec(*crossed: Sequence[str], rules: Sequence[tuple[str, ...]] = ()) -> EvaluationSpec:
    policy = Policy(tuple(Rule("-".join(names) or "all", "recall", "min_value", 0.5, names) for names in rules))
    return EvaluationSpec(metrics=(), intersections=tuple(map(tuple, crossed)), policy=policy)


def world_of(*sides: int, labels: tuple[str, ...] = BINARY) -> World:
    return World({"abcd"[i]: tuple(str(level) for level in range(size)) for i, size in enumerate(sides)}, labels)


def attacked(table: np.ndarray, world: World, hiding: Privacy, asked: Sequence[tuple[str, ...]]) -> list[int]:
    """What is found out from all the breakdowns that are not hidden, and the matrix where it is not."""
    kept = [names for names in asked if "*".join(names) not in hiding.suppressed]
    equations = [cell for names in kept for cell in world.cells(names)]
    if not hiding.confusion:
        size = len(world.labels)
        equations += [world.sum_of({}, np.arange(size * size).reshape(size, size) == i) for i in range(size * size)]
    return found_out(table, world, equations, hiding.min_cell) if equations else []


def test_a_breakdown_with_a_small_cell_is_hidden_whole_and_an_empty_cell_is_not_small():
    world = world_of(3, 2)
    table = np.full((3, 2, 2, 2), 20)
    assert protect(decisions_of(table, world), spec(["a", "b"]), 11) == Privacy(11)
    table[2, :, 0, 1] = 0
    assert protect(decisions_of(table, world), spec(), 11).suppressed == (), "no rows is not few rows"
    table[2, 0, 0, 1] = 10
    assert protect(decisions_of(table, world), spec(["a", "b"]), 11).suppressed == ("a", "a*b")
    assert protect(decisions_of(table, world), spec(["a", "b"]), 10).suppressed == ()


def test_a_small_cell_of_all_rows_hides_everything():
    table = np.full((2, 2, 2), 50)
    table[:, 0, 1] = (10, 0)
    found = protect(decisions_of(table, world_of(2)), spec(rules=[(), ("a",)]), 11)
    assert found.suppressed == ("", "a")
    assert found.confusion
    assert found.rules == ("all", "a")


def test_breakdowns_that_rules_alone_name_are_judged_too_and_the_order_of_names_does_not_matter():
    table = np.full((2, 2, 2, 2), 20)
    table[0, 0, 0, 1] = 3
    found = protect(decisions_of(table, world_of(2, 2)), spec(rules=[("b", "a"), ("a",)]), 11)
    assert found.suppressed == ("b*a",)
    assert found.rules == ("b-a",)
    both = protect(decisions_of(table, world_of(2, 2)), spec(["a", "b"], rules=[("b", "a")]), 11)
    assert both.suppressed == ("a*b", "b*a")


def test_a_rule_against_an_earlier_run_tells_cells_of_that_run():
    drop = Rule("drop", "recall", "max_drop", 0.02, ("a",))
    asked = EvaluationSpec(metrics=(), policy=Policy((drop, replace(drop, id="floor", kind="min_value"))))
    found = protect(decisions_of(np.full((2, 2, 2), 50), world_of(2)), asked, 11)
    assert found == Privacy(11, rules=("drop",))


def test_levels_that_no_row_has_and_no_rows_at_all():
    world = World({"a": ("0", "1", "never")}, BINARY)
    table = np.zeros((3, 2, 2), dtype=int)
    table[:2] = 20
    assert protect(decisions_of(table, world), spec(), 11).suppressed == ()
    assert protect(decisions_of(table * 0, world), spec(["a"]), 11).suppressed == ()


def test_three_crossings_that_give_their_triple_away():
    """Each pair is large everywhere, and one empty combination makes a cell of the triple a difference of two pairs."""
    one = np.array([[[0, 0], [20, 20]], [[20, 20], [5, 20]]])
    table = np.stack([one] * 4, axis=-1).reshape(2, 2, 2, 2, 2)
    world = world_of(2, 2, 2)
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    asked = [(), ("a",), ("b",), ("c",), *pairs]
    assert 5 in attacked(table, world, Privacy(11), asked), "the attacker finds it where nothing is hidden"
    found = protect(decisions_of(table, world), spec(*pairs), 11)
    assert found.suppressed == ("b*c",), "the last one goes"
    assert attacked(table, world, found, asked) == []
    large = np.where(table == 5, 15, table)
    assert protect(decisions_of(large, world), spec(*pairs), 11).suppressed == (), "nothing small, nothing hidden"


def test_three_crossings_whose_empty_cells_are_of_one_outcome():
    """No pair of them tells anything: only the three together do."""
    table = np.full((2, 2, 3, 2, 2), 20)
    table[..., 1, 1] = [[[0, 32, 0], [12, 4, 0]], [[0, 36, 52], [0, 16, 56]]]
    world = world_of(2, 2, 3)
    pairs = (("a", "b"), ("a", "c"), ("b", "c"))
    asked = [(), ("a",), ("b",), ("c",), *pairs]
    assert attacked(table, world, Privacy(5), asked) == [4]
    for shown in itertools.combinations(pairs, 2):
        assert attacked(table, world, Privacy(5), [(), ("a",), ("b",), ("c",), *shown]) == []
        assert protect(decisions_of(table, world), spec(*shown), 5).suppressed == ()
    assert protect(decisions_of(table, world), spec(*pairs), 5).suppressed == ("b*c",)


def test_bins_of_one_column_under_two_attributes():
    """Ages 0-39, 40-79 beside 0-49, 50-79: who is 40 to 49 is a difference."""
    one = np.array([[100, 0], [5, 80]])
    table = np.stack([one] * 4, axis=-1).reshape(2, 2, 2, 2)
    world = world_of(2, 2)
    equations = [cell for names in ((), ("a",), ("b",)) for cell in world.cells(names)]
    assert 5 in found_out(table, world, equations, 11, possible=one > 0)
    assert protect(decisions_of(table, world), spec(), 11).suppressed == ("b",)


def test_nested_levels_give_nothing_away():
    """Hospitals within countries: whatever the two say together, the finer one says alone."""
    one = np.array([[30, 40, 0], [0, 0, 50]])
    table = np.stack([one] * 4, axis=-1).reshape(2, 3, 2, 2)
    assert protect(decisions_of(table, world_of(2, 3)), spec(), 11).suppressed == ()


def test_classes_that_are_never_predicted_tell_single_confusions():
    """Errors of a class add up over two kinds of error, each of which lies within one level of an attribute."""
    table = np.zeros((2, 2, 3, 3), dtype=int)
    for k in range(3):
        table[:, :, k, k] = 50
    table[:, :, 0, 1] = table[:, :, 1, 0] = 20
    table[0, :, 2, 0] = (2, 11)
    table[:, 0, 2, 1] = (3, 11)
    world = world_of(2, 2, labels=("x", "y", "z"))
    asked = [(), ("a",), ("b",)]
    assert attacked(table, world, Privacy(11), asked), "the attacker finds a small cell where nothing is hidden"
    found = protect(decisions_of(table, world), spec(), 11)
    assert found.suppressed == ("b",)
    assert attacked(table, world, found, asked) == []


CASES = [*((seed, (3, 2, 2), 2) for seed in range(60)), *((seed, (2, 3), 3) for seed in range(40))]
CASES += [(seed, (2, 2, 2), 3) for seed in range(15)]


def test_no_small_cell_can_be_computed_from_what_is_published():
    published, naive = 0, 0
    for seed, sides, classes in CASES:
        table, world = random_table(seed, sides, classes)
        names = tuple(world.attributes)
        crossed = [pair for size in (2, 3) for pair in itertools.combinations(names, size) if (seed + len(pair)) % 3]
        least = (2, 3, 5)[seed % 3]
        found = protect(decisions_of(table, world), spec(*crossed), least)
        asked = [(), *((name,) for name in names), *crossed]
        assert attacked(table, world, found, asked) == [], (seed, sides, classes, found)
        published += len(found.suppressed) < len(asked)
        naive += bool(attacked(table, world, Privacy(least), asked))
    assert published > len(CASES) / 2, "hiding everything is no feat"
    assert naive > len(CASES) / 2, "the attacker must succeed where nothing is hidden"


def test_bins_are_cells(random_decisions: Callable[..., Decisions]):
    decisions = random_decisions(n=4000, levels=(2,), seed=3)
    assert protect(decisions, spec(), 2).curves == ()
    few = protect(decisions, spec(), 60)
    assert few.suppressed == ()
    assert few.curves == ("", "attribute 0"), "the bins beside the threshold hold fewer"
    unscored = replace(decisions, scores=None)
    assert protect(unscored, spec(), 60).curves == ()


def test_a_curve_that_would_close_a_circle_is_hidden():
    """Crossing a and b, curves by a and curves by b are three pairs of a, b and the bin of the score."""
    asked = spec(["a", "b"])
    assert protect(scored(5), asked, 11).suppressed == ("a*b",)
    assert protect(scored(20), asked, 11) == Privacy(11)
    assert protect(scored(20, few=2), asked, 11) == Privacy(11, curves=("b",))
    assert protect(scored(20, few=2), spec(), 11) == Privacy(11), "without the crossing there is no circle"


def scored(rows: int, few: int | None = None) -> Decisions:
    """Two attributes, four scores, two labels, and so many rows of each; `few` of one combination."""
    grid = np.indices((2, 2, 4, 2)).reshape(4, -1)
    count = np.full(grid.shape[1], rows)
    count[-1] = rows if few is None else few
    a, b, score, label = np.repeat(grid, count, axis=1).astype(np.int32)
    positive = np.array([0.1, 0.3, 0.7, 0.9])[score]
    factors = tuple(Factor(name, ("0", "1"), codes) for name, codes in (("a", a), ("b", b)))
    scores = np.stack([1 - positive, positive], axis=1)
    return Decisions(Task("binary", BINARY, "yes"), label, (positive > 0.5).astype(np.int32), scores, None, factors)


@pytest.mark.parametrize(
    ("parts", "core"),
    [
        (["", "a", "b", "c"], ""),
        (["ab", "bc", "cd"], ""),
        (["ab", "bc", "ca"], "abc"),
        (["ab", "bc", "ca", "abc"], ""),
        (["ab", "bc", "cd", "da", "de"], "abcd"),
        (["abc", "cde", "efa"], "ace"),
    ],
)
def test_acyclic_families(parts: list[str], core: str):
    for order in itertools.permutations(parts):
        assert cyclic_core([frozenset(part) for part in order]) == frozenset(core)


def test_a_smallest_cell_below_two_is_refused():
    with pytest.raises(ValueError, match="2 or more"):
        protect(decisions_of(np.full((2, 2, 2), 5), world_of(2)), spec(), 1)


def test_entries_that_stand_for_several_rows_count_as_rows(random_decisions: Callable[..., Decisions]):
    decisions = random_decisions(n=500, levels=(4, 3), scores=False)
    asked = spec(["attribute 0", "attribute 1"])
    for least in (2, 8, 20, 50):
        assert protect(decisions.distinct(), asked, least) == protect(decisions, asked, least)
