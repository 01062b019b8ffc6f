"""Changes against the baseline: oracles, laws, planted truth, and the one verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.multitest import multipletests

from imgid_audit.comparison import MethodRuns, compare_methods, primary_changes
from imgid_audit.core.comparison import MethodChange
from imgid_audit.core.factor import Factor
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Undefined
from imgid_audit.core.task import Task
from imgid_audit.evaluation.recalibration import fit_prior, with_prior
from imgid_audit.metrics import METRICS
from tests.comparison.world import BINARY, MANY, SEEDS, World, changes, estimates, reordered, spec


def numbers(one: MethodChange) -> list[float]:
    assert one.interval is not None
    assert isinstance(one.value, float)
    assert one.seed_error is not None
    assert one.test_error is not None
    return [one.value, one.interval.low, one.interval.high, one.seed_error, one.test_error]


def test_a_change_is_the_mean_of_the_seeds_differences() -> None:
    world = World()
    found = compare_methods(world.runs("baseline"), [world.runs("m", 0.4)], spec())
    for one in found.changes:
        if one.quantity == "group":
            continue
        before, after = (estimates(found, name, one.quantity, one.metric) for name in ("baseline", "m"))
        assert_allclose(one.value, np.mean([after[s].value - before[s].value for s in SEEDS]), atol=1e-15)
        assert (one.before, one.after) == (before[None].value, after[None].value)
        differences = [after[s].value - before[s].value for s in SEEDS]
        assert_allclose(one.seed_error, np.std(differences, ddof=1) / 2, atol=1e-15)


@pytest.mark.parametrize("images", [1, 4])
def test_the_test_error_is_that_of_a_bootstrap(images: int) -> None:
    """Subjects drawn anew, with the worst group picked anew: the spread of the change is its reported error."""
    world = World(rows=2400, images=images, groups=3, seed=3)
    worse = np.where(world.group == 1, -1.0, 0.0)
    baseline, method = world.runs("baseline", worse), world.runs("m", worse + 0.4)
    found = compare_methods(baseline, [method], spec())
    units = np.arange(2400) // images
    right = np.stack([[one.label == one.predicted for one in runs.decisions] for runs in (baseline, method)])
    by_cell = np.zeros((units[-1] + 1, 3, 9))
    for place, mask in enumerate((*right.reshape(8, -1), np.ones(2400, dtype=bool))):
        np.add.at(by_cell[:, :, place], (units[mask], world.group[mask]), 1)
    drawn = np.random.default_rng(0).multinomial(len(by_cell), np.full(len(by_cell), 1 / len(by_cell)), size=2000)
    cells = np.tensordot(drawn, by_cell, axes=1)
    rate = cells[..., :8] / cells[..., 8:]
    spread = {
        "worst_group": rate.min(axis=1),
        "gap": rate.max(axis=1) - rate.min(axis=1),
        "overall": cells[..., :8].sum(axis=1) / cells[..., 8].sum(axis=1)[:, None],
    }
    for quantity, drawn_values in spread.items():
        (one,) = changes(found, quantity, "accuracy")  # type: ignore[arg-type]
        change = drawn_values[:, 4:].mean(axis=1) - drawn_values[:, :4].mean(axis=1)
        assert one.test_error is not None
        assert 0.93 < one.test_error / change.std() < 1.15, quantity


def test_swapping_method_and_baseline_turns_the_sign() -> None:
    world = World(images=2)
    a, b = world.runs("a"), world.runs("b", 0.6)
    there, back = compare_methods(a, [b], spec()), compare_methods(b, [a], spec())
    for one, two in zip(there.changes, back.changes, strict=True):
        value, low, high, *errors = numbers(one)
        turned = numbers(two)
        assert_allclose(turned[:3], [-value, -high, -low], atol=1e-12)
        assert_allclose(turned[3:], errors, rtol=1e-9)
        if one.p_value is not None:
            assert_allclose(one.p_value, two.p_value)
    assert [one.verdict for one in there.changes if one.verdict] == ["helps"]
    assert [one.verdict for one in back.changes if one.verdict] == ["harms"]


@pytest.mark.parametrize("images", [1, 3])
def test_the_order_of_rows_and_seeds_is_nothing(images: int) -> None:
    world = World(images=images)
    runs = [world.runs("baseline"), world.runs("m", 0.3)]
    rows = np.random.default_rng(1).permutation(600)
    seeds = np.array([2, 0, 3, 1])
    first = compare_methods(runs[0], runs[1:], spec(metrics=("auroc", "f1")))
    for order in ({"rows": rows}, {"seeds": seeds}):
        moved = [reordered(one, **order) for one in runs]
        second = compare_methods(moved[0], moved[1:], spec(metrics=("auroc", "f1")))
        for one, two in zip(first.changes, second.changes, strict=True):
            assert_allclose(numbers(one), numbers(two), atol=1e-12)
            assert (one.verdict, one.slice, one.class_name) == (two.verdict, two.slice, two.class_name)


@pytest.mark.parametrize("task", [BINARY, MANY])
def test_a_copy_of_the_baseline_changes_nothing(task: Task) -> None:
    world = World(task)
    baseline = world.runs("baseline")
    found = compare_methods(baseline, [replace(baseline, name="copy")], spec(metrics=METRICS.names))
    for one in found.changes:
        assert one.value == 0
        assert one.interval is not None
        assert one.interval.low < 0 < one.interval.high
    (primary,) = [one for one in found.changes if one.verdict]
    assert (primary.p_value, primary.p_adjusted, primary.verdict) == (1.0, 1.0, "no evidence")


@pytest.mark.parametrize("images", [1, 4])
@pytest.mark.parametrize("task", [BINARY, MANY])
def test_every_metric_can_be_paired(task: Task, images: int) -> None:
    """Also one that is registered later: it must say how rows move it."""
    world = World(task, images=images)
    found = compare_methods(world.runs("baseline"), [world.runs("m", 0.3)], spec(metrics=METRICS.names))
    assert {one.metric for one in found.changes if one.quantity == "overall"} == set(METRICS.names)
    for one in found.changes:
        value, low, high, seed_error, test_error = numbers(one)
        assert low < value < high
        assert 0 <= seed_error < 1
        assert 0 < test_error < 1
        assert one.interval is not None
        assert ("by subject" in one.interval.method) == (images > 1)


def test_holm_over_the_methods() -> None:
    world = World()
    methods = [world.runs(f"m{i}", gain) for i, gain in enumerate((0.0, 0.1, 0.2, 0.3, 0.8))]
    asked = spec(quantity="overall")
    found = [one for one in compare_methods(world.runs("baseline"), methods, asked).changes if one.verdict]
    assert [one.method for one in found] == ["m0", "m1", "m2", "m3", "m4"]
    reject, adjusted, *_ = multipletests([one.p_value for one in found], method="holm")
    assert_allclose([one.p_adjusted for one in found], adjusted)
    assert [one.verdict == "helps" for one in found] == list(reject)
    assert reject.any()
    assert not reject.all()
    # what is picked: adjusted by the change alone, and never below the p-value with picks on other rows
    picked = [one for one in compare_methods(world.runs("baseline"), methods, spec()).changes if one.verdict]
    given, of_all = np.array([[one.p_value, one.p_adjusted] for one in picked], dtype=np.float64).T
    assert (given <= of_all).all()
    assert (of_all <= multipletests(given, method="holm")[1] + 1e-12).all()
    for one in picked:
        assert one.interval is not None
        assert one.verdict == "no evidence" or one.interval.low > 0 or one.interval.high < 0


@pytest.mark.parametrize("quantity", ["overall", "worst_group", "gap"])
def test_one_verdict_a_method_and_only_of_the_primary(quantity: str) -> None:
    world = World()
    methods = [world.runs("a", 0.5), world.runs("b")]
    asked = spec(quantity=quantity, metrics=("accuracy", "f1"))  # type: ignore[arg-type]
    found = compare_methods(world.runs("baseline"), methods, asked)
    judged = [one for one in found.changes if one.verdict is not None]
    assert [(one.method, one.quantity, one.metric) for one in judged] == [
        ("a", quantity, "accuracy"),
        ("b", quantity, "accuracy"),
    ]
    others = [one for one in found.changes if one.verdict is None]
    assert all(one.p_value is None and one.p_adjusted is None and one.interval is not None for one in others)


def test_networks_selected_by_the_average_get_no_verdict_and_adjust_nobody() -> None:
    world = World()
    baseline, method = world.runs("baseline"), world.runs("m", 0.3)
    alone = compare_methods(baseline, [method], spec())
    both = compare_methods(baseline, [method, replace(world.runs("m", 0.9), selected="average")], spec())
    assert [one for one in both.changes if one.selected == "declared"] == list(alone.changes)
    average = [one for one in both.changes if one.selected == "average"]
    assert average
    assert all(one.verdict is None and one.p_value is None for one in average)


def test_the_primary_alone_is_the_primary_of_all() -> None:
    world = World(images=2)
    baseline, methods = world.runs("baseline"), [world.runs("a", 0.5), world.runs("b", -0.5), world.runs("c")]
    for quantity in ("overall", "worst_group", "gap"):
        asked = spec("recall", quantity)  # type: ignore[arg-type]
        everything = [replace(one, levelling_down=False) for one in compare_methods(baseline, methods, asked).changes]
        assert primary_changes(baseline, methods, asked) == [one for one in everything if one.verdict]


@pytest.mark.parametrize(("metric", "quantity"), [("false_negative_rate", "worst_group"), ("brier", "overall")])
def test_less_of_what_is_bad_helps(metric: str, quantity: str) -> None:
    world = World(BINARY)
    methods = [world.runs("better", 1.0), world.runs("worse", -1.0), world.runs("equal")]
    asked = spec(metric, quantity)  # type: ignore[arg-type]
    found = [one for one in compare_methods(world.runs("baseline"), methods, asked).changes if one.verdict]
    assert [one.verdict for one in found] == ["helps", "harms", "no evidence"]
    assert isinstance(found[0].value, float)
    assert found[0].value < 0


def test_a_smaller_gap_helps() -> None:
    world = World(rows=3000)
    behind = np.where(world.group == 2, -1.5, 0.0)
    methods = [world.runs("closes", 0.0), world.runs("opens", 2 * behind), world.runs("equal", behind)]
    found = compare_methods(world.runs("baseline", behind), methods, spec(quantity="gap"))
    assert [one.verdict for one in changes(found, "gap")] == ["helps", "harms", "no evidence"]
    assert not any(one.levelling_down for one in found.changes)


@pytest.mark.parametrize(("metric", "lower"), [("accuracy", False), ("false_negative_rate", True)])
@pytest.mark.parametrize("quantity", ["gap", "worst_group"])
def test_levelling_down_is_seen(metric: str, lower: bool, quantity: str) -> None:
    """The best group loses until the gap is closed, and the worst one wins nothing."""
    world = World(BINARY, rows=4000)
    behind = np.where(world.group == 2, -1.5, 0.0)
    methods = [
        world.runs("down", np.full(4000, -1.5)),
        world.runs("up", np.zeros(4000)),
        world.runs("both", np.full(4000, -0.75)),
        world.runs("equal", behind),
    ]
    asked = spec(metric, quantity)  # type: ignore[arg-type]
    found = compare_methods(world.runs("baseline", behind), methods, asked)
    flagged = {(one.method, one.quantity) for one in found.changes if one.levelling_down}
    assert flagged == {("down", "gap"), ("down", "worst_group")}
    (gap,) = [one for one in changes(found, "gap") if one.method == "down"]
    assert isinstance(gap.value, float)
    assert gap.value < -0.05
    best = [one for one in changes(found, "group", metric) if one.method == "down" and "g2" not in one.slice.levels]
    assert all((one.value > 0) == lower for one in best if isinstance(one.value, float))


@pytest.mark.parametrize(("lost", "flagged"), [(3, False), (80, True)])
def test_a_best_group_that_may_have_lost_nothing_is_not_levelling_down(lost: int, flagged: bool) -> None:
    """The same rows of the best group go wrong in every seed, few or many, and nothing else changes."""
    world = World(BINARY, rows=3000)
    baseline = world.runs("baseline", np.choose(world.group, [1.5, 0.0, -1.0]))
    wrong = np.flatnonzero(world.group == 0)[:lost]

    def spoiled(one: Decisions) -> Decisions:
        predicted = one.predicted.copy()
        predicted[wrong] = 1 - one.label[wrong]
        return replace(one, predicted=predicted)

    method = replace(baseline, name="m", decisions=tuple(map(spoiled, baseline.decisions)))
    found = compare_methods(baseline, [method], spec(quantity="gap"))
    (gap,) = changes(found, "gap")
    assert isinstance(gap.value, float)
    assert gap.value < 0
    assert gap.levelling_down == flagged


def test_the_width_of_no_change_is_that_of_one_flip_either_way() -> None:
    """Of one over the rows that count; in a mean over classes of the rarest class's share in it."""
    world = World()
    baseline = world.runs("baseline")
    asked = spec(quantity="overall", metrics=("balanced_accuracy", "accuracy"))
    found = compare_methods(baseline, [replace(baseline, name="copy")], asked)
    flips = {"accuracy": 1 / 600, "balanced_accuracy": 1 / np.bincount(world.label).min() / 3}
    for metric, flip in flips.items():
        (one,) = changes(found, "overall", metric)
        assert one.interval is not None
        assert_allclose(one.test_error, np.sqrt(2) * flip)
        assert_allclose(one.interval.high, stats.t.ppf(0.975, 599) * np.sqrt(2) * flip)


@pytest.mark.parametrize(("few", "images"), [(3, 100), (10, 1)])
def test_few_units_in_one_group_give_few_degrees_of_freedom(few: int, images: int) -> None:
    """Networks that agree over seeds leave Student's quantile of the rows: of a gap to a group of a thousand."""
    rows = few * images + 1000
    world = World(BINARY, rows=rows)
    owner = np.concatenate([np.repeat(np.arange(few), images), few + np.arange(1000)]).astype(np.int32)
    group = Factor("group", ("few", "many"), (owner >= few).astype(np.int32))
    subject = Factor("subject", tuple(map(str, range(few + 1000))), owner) if images > 1 else None

    def runs(name: str, gain: float) -> MethodRuns:
        one = replace(world.decisions(gain, 0.5), attributes=(group,), subject=subject)
        return MethodRuns(name, SEEDS, (one,) * len(SEEDS))

    (one,) = primary_changes(runs("baseline", 0.0), [runs("m", 0.1)], spec(quantity="gap"))
    assert one.interval is not None
    assert isinstance(one.value, float)
    assert one.test_error is not None
    half = min(one.value - one.interval.low, one.interval.high - one.value)
    quantiles = stats.t.ppf(0.975, [few - 1, few])
    assert quantiles[1] < half / one.test_error <= quantiles[0] * 1.001


def test_a_metric_that_a_network_leaves_undefined_is_not_a_number() -> None:
    """A method that never says `yes` in a group has no precision there; the other methods are judged as before."""
    world = World(BINARY)
    baseline, method = world.runs("baseline"), world.runs("good", 0.5)
    silent = world.runs("silent")
    mute = np.where(world.group == 1, 0, silent.decisions[2].predicted).astype(np.int32)
    decisions = list(silent.decisions)
    decisions[2] = replace(decisions[2], predicted=mute)
    silent = replace(silent, decisions=tuple(decisions))
    asked = spec("precision", metrics=("precision",))
    found = compare_methods(baseline, [method, silent], asked)
    good, bad = changes(found, "worst_group")
    assert isinstance(good.value, float)
    assert isinstance(bad.value, Undefined)
    assert "seed 2" in bad.value.reason
    assert "g1" in bad.value.reason
    assert (bad.interval, bad.p_value, bad.p_adjusted, bad.verdict) == (None, None, None, "no evidence")
    alone = changes(compare_methods(baseline, [method], asked), "worst_group")[0]
    assert good.p_value is not None
    assert good.p_adjusted is not None
    assert alone.p_adjusted is not None
    # the method that is undefined ran, so it is one of the two that Holm adjusts for
    assert alone.p_adjusted < good.p_adjusted <= 2 * good.p_value
    assert replace(good, p_adjusted=alone.p_adjusted, verdict=alone.verdict) == alone
    assert found.left_out == {}


def test_methods_that_are_undefined_weaken_the_others() -> None:
    """Eight methods ran, seven of them without a primary: a p-value just below alpha is not evidence."""
    world = World(BINARY)
    baseline, method = world.runs("baseline"), world.runs("good", 0.45)
    mute = [
        replace(one, predicted=np.where(world.group == 1, 0, one.predicted).astype(np.int32))
        for one in world.runs("silent").decisions
    ]
    silent = [replace(baseline, name=f"silent {i}", decisions=tuple(mute)) for i in range(7)]
    found = primary_changes(baseline, [method, *silent], spec("precision"))
    (alone,) = primary_changes(baseline, [method], spec("precision"))
    assert alone.p_value is not None
    low, high = alone.p_value, 8 * alone.p_value
    assert found[0].p_adjusted is not None
    assert low < found[0].p_adjusted <= high
    assert found[0].p_adjusted > 2 * low
    assert [one.p_adjusted for one in found[1:]] == [None] * 7
    assert [one.verdict for one in found[1:]] == ["no evidence"] * 7


def test_without_scores_calibration_has_no_change() -> None:
    world = World()
    runs = [world.runs("baseline"), world.runs("m", 0.5)]
    bare = [replace(one, decisions=tuple(replace(d, scores=None) for d in one.decisions)) for one in runs]
    found = compare_methods(bare[0], bare[1:], spec())
    for metric in ("ece", "brier"):
        (one,) = changes(found, "overall", metric)
        assert isinstance(one.value, Undefined)
        assert one.value.reason == "no scores"
    with_scores = compare_methods(runs[0], runs[1:], spec())
    (one,), (other,) = changes(found, "worst_group"), changes(with_scores, "worst_group")
    # scores also tell rows apart where they fall into halves
    assert (one.value, one.seed_error, one.test_error) == (other.value, other.seed_error, other.test_error)
    assert changes(found, "overall", "accuracy") == changes(with_scores, "overall", "accuracy")


def test_recalibrated_scores_are_compared_beside_the_decided_ones() -> None:
    """A method that trains for another prior is badly calibrated until it is brought back."""
    world = World(BINARY, rows=4000)
    world.label[:] = (np.random.default_rng(0).random(4000) < 0.1).astype(np.int32)
    world.base = world.rng.normal(size=(4000, 2)) + 1.5 * np.eye(2)[world.label] + np.log([0.9, 0.1])
    baseline = world.runs("baseline", noise=0.1)
    world.base -= np.log([0.9, 0.1])
    shifted = world.runs("balanced", noise=0.1)
    fitted = [fit_prior(one.label, one.scores) for one in shifted.decisions if one.scores is not None]
    back = tuple(
        replace(one, scores=with_prior(one.scores, fit))
        for one, fit in zip(shifted.decisions, fitted, strict=True)
        if one.scores is not None
    )
    found = compare_methods(baseline, [replace(shifted, recalibrated=back)], spec("recall", "overall"))
    by = {(one.metric, one.recalibrated): one for one in found.changes if one.metric in ("ece", "brier")}
    assert set(by) == {(metric, again) for metric in ("ece", "brier") for again in (False, True)}
    for metric in ("ece", "brier"):
        before, after = by[metric, False].value, by[metric, True].value
        assert isinstance(before, float)
        assert isinstance(after, float)
        assert before > 0.05
        assert after < 0.02
        assert by[metric, True].before == by[metric, False].before
    assert {one.method for one in found.estimates if one.recalibrated} == {"balanced"}
    again = replace(baseline, recalibrated=back)
    both = compare_methods(again, [replace(shifted, recalibrated=back)], spec("recall", "overall"))
    assert all(one.value == 0 for one in both.changes if one.recalibrated)


def test_the_same_arguments_give_the_same_answer() -> None:
    first, second = World(images=2), World(images=2)
    runs = [[world.runs("baseline"), world.runs("m", 0.2)] for world in (first, second)]
    one, two = (compare_methods(part[0], part[1:], spec(metrics=METRICS.names)) for part in runs)
    assert one.changes == two.changes
    assert one.estimates == two.estimates
