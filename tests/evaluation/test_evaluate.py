"""What an evaluation holds, and the laws that it keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse

from imgid_audit.core.errors import InputError
from imgid_audit.core.factor import Factor
from imgid_audit.core.policy import EvaluationSpec, IntervalSpec, Policy, Rule
from imgid_audit.core.predictions import Decisions
from imgid_audit.core.result import Evaluation, Undefined
from imgid_audit.core.slices import TOTAL, Slice
from imgid_audit.core.task import Task
from imgid_audit.evaluation import breakdown, breakdowns, evaluate
from imgid_audit.metrics import METRICS

Make = Callable[..., Decisions]
QUICK = IntervalSpec(draws=100)


def take(decisions: Decisions, rows: np.ndarray) -> Decisions:
    return replace(
        decisions,
        label=decisions.label[rows],
        predicted=decisions.predicted[rows],
        scores=None if decisions.scores is None else decisions.scores[rows],
        subject=None if decisions.subject is None else decisions.subject.take(rows),
        attributes=tuple(factor.take(rows) for factor in decisions.attributes),
    )


def numbers(evaluation: Evaluation) -> dict[tuple[object, ...], tuple[float, ...] | Undefined]:
    """Every estimate's numbers by what it is of."""
    found = {}
    for one in evaluation.estimates:
        key = (one.metric, one.class_name, frozenset(one.slice.key.items()))
        assert key not in found
        if isinstance(one.value, Undefined):
            found[key] = one.value
        else:
            found[key] = (one.value, one.interval.low, one.interval.high, one.n, one.support, one.subjects or 0)
    return found


def agree(one: Evaluation, two: Evaluation) -> None:
    left, right = numbers(one), numbers(two)
    assert left.keys() == right.keys()
    for key, value in left.items():
        if isinstance(value, Undefined):
            assert value == right[key]
        else:
            assert_allclose(value, right[key], atol=1e-9, err_msg=str(key))


@pytest.mark.parametrize("subjects", [None, 30])
@pytest.mark.parametrize("classes", [2, 3])
def test_everything_asked_for_is_there_once(random_decisions: Make, classes: int, subjects: int | None) -> None:
    decisions = random_decisions(n=200, classes=classes, subjects=subjects)
    crossed = ("attribute 0", "attribute 1")
    found = evaluate(decisions, EvaluationSpec(METRICS.names, (crossed,), QUICK))
    slices = 1 + 3 + 2 + 6
    per_class = 1 if classes == 2 else classes
    whole = sum(1 for metric in METRICS if not metric.per_class)
    macro = sum(1 for metric in METRICS if metric.macro) if classes > 2 else 0
    one_slice = whole + macro + per_class * (len(METRICS) - whole)
    assert len(found.estimates) == slices * one_slice
    assert len(numbers(found)) == len(found.estimates)
    criteria = 3 if classes == 2 else 0
    assert len(found.gaps) == 3 * 2 * (one_slice + criteria)
    assert {gap.attribute for gap in found.gaps} == {"attribute 0", "attribute 1", "attribute 0*attribute 1"}
    assert found.reliability[0].slice == TOTAL
    assert len(found.reliability) == 1 + 3 + 2
    assert found.confusion.sum() == 200
    for one in found.estimates:
        assert (one.subjects is None) == (subjects is None)
        if not isinstance(one.value, Undefined):
            assert one.interval.low <= one.value <= one.interval.high
            assert one.interval.low < one.interval.high
            assert one.interval.level == 0.95
    for gap in found.gaps:
        if not isinstance(gap.value, Undefined):
            assert gap.interval.low <= gap.value <= gap.interval.high
            assert gap.p_value <= gap.p_adjusted <= 1
            assert gap.interval.method.endswith(("one pair", "(Tukey)"))
            assert (gap.envelope is not None) == (gap.kind == "difference")


def test_breakdowns() -> None:
    task = Task("binary", ("n", "p"), "p")
    zeros = np.zeros(4, dtype=np.int32)
    first = Factor("a", ("x", "y", "unseen"), np.array([1, 0, 1, 0], dtype=np.int32))
    second = Factor("b", ("u", "v"), np.array([0, 0, 1, 0], dtype=np.int32))
    decisions = Decisions(task, zeros, zeros, None, None, (first, second))
    total, one, two, crossed = breakdowns(decisions, (("a", "b"),))
    assert total.slices == (TOTAL,)
    assert [where.levels for where in one.slices] == [("x",), ("y",), ("unseen",)]
    assert two.name == "b"
    assert crossed.name == "a*b"
    assert [where.levels for where in crossed.slices] == [("x", "u"), ("y", "u"), ("y", "v")]
    assert crossed.codes.tolist() == [1, 0, 2, 0]
    assert breakdown(decisions, ("b", "a")).slices[0] == Slice(("b", "a"), ("u", "x"))
    found = evaluate(decisions, EvaluationSpec(("accuracy",), intervals=QUICK))
    unseen = next(e for e in found.estimates if e.slice.levels == ("unseen",))
    assert unseen.value == Undefined("empty", "no rows")
    assert (unseen.n, unseen.support, unseen.interval) == (0, 0, None)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), classes=st.sampled_from([2, 3]), subjects=st.sampled_from([None, 12]))
def test_order_of_rows_does_not_matter(random_decisions: Make, seed: int, classes: int, subjects: int | None) -> None:
    """Neither to values nor to intervals; a bootstrap over rows sees only profiles."""
    decisions = random_decisions(n=70, classes=classes, subjects=subjects, seed=seed, digits=2)
    spec = EvaluationSpec(METRICS.names, intervals=QUICK)
    order = np.random.default_rng(seed).permutation(len(decisions))
    agree(evaluate(decisions, spec), evaluate(take(decisions, order), spec))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_numbering_of_levels_and_classes_does_not_matter(random_decisions: Make, seed: int) -> None:
    decisions = random_decisions(n=80, classes=3, subjects=15, seed=seed)
    generator = np.random.default_rng(seed)
    order = generator.permutation(3)  # class order[k] becomes k
    back = np.argsort(order).astype(np.int32)
    levels = [generator.permutation(len(factor.levels)) for factor in decisions.attributes]
    renumbered = replace(
        decisions,
        task=Task("multiclass", tuple(decisions.task.labels[k] for k in order)),
        label=back[decisions.label],
        predicted=back[decisions.predicted],
        scores=decisions.scores[:, order],
        attributes=tuple(
            Factor(f.name, tuple(f.levels[i] for i in p), np.argsort(p).astype(np.int32)[f.codes])
            for f, p in zip(decisions.attributes, levels, strict=True)
        ),
    )
    spec = EvaluationSpec(METRICS.names, intervals=IntervalSpec(draws=60))
    agree(evaluate(decisions, spec), evaluate(renumbered, spec))


def test_merging_levels_of_rows_gives_the_total(random_decisions: Make) -> None:
    """A level that holds everyone has the total's estimates; so has an intersection with it."""
    decisions = random_decisions(n=150, classes=3, subjects=20)
    everyone = Factor("everyone", ("all",), np.zeros(150, dtype=np.int32))
    decisions = replace(decisions, attributes=(everyone, decisions.attributes[0]))
    spec = EvaluationSpec(METRICS.names, (("everyone", "attribute 0"),), IntervalSpec(draws=0))
    found = numbers(evaluate(decisions, spec))
    for (metric, name, where), value in found.items():
        if ("everyone", "all") in where:
            assert value == found[metric, name, where - {("everyone", "all")}]


def test_results_do_not_depend_on_what_else_is_asked(random_decisions: Make) -> None:
    for subjects in (None, 25):
        decisions = random_decisions(n=150, classes=3, subjects=subjects)
        together = numbers(evaluate(decisions, EvaluationSpec(METRICS.names, (), QUICK)))
        for name in ("balanced_accuracy", "f1", "ece", "auroc"):
            alone = numbers(evaluate(decisions, EvaluationSpec((name,), (), QUICK)))
            for key, value in alone.items():
                assert value == together[key]


def test_seed_draws_and_level_act(random_decisions: Make) -> None:
    decisions = random_decisions(n=150)

    def interval(spec: IntervalSpec, metric: str) -> tuple[float, float]:
        found = evaluate(decisions, EvaluationSpec((metric,), (), spec)).estimates[0].interval
        return found.low, found.high

    def envelope(spec: IntervalSpec) -> tuple[float, float]:
        found = evaluate(decisions, EvaluationSpec(("ece",), (), spec)).gaps[0].envelope
        return found.mean, found.upper

    assert envelope(QUICK) == envelope(QUICK)
    assert envelope(QUICK) != envelope(IntervalSpec(draws=100, seed=1))
    assert envelope(QUICK) != envelope(IntervalSpec(draws=200))
    for metric in ("balanced_accuracy", "recall", "auroc", "brier", "ece", "calibration_slope"):
        wide, narrow = interval(IntervalSpec(0.99), metric), interval(IntervalSpec(0.8), metric)
        assert wide[0] <= narrow[0] < narrow[1] < wide[1]


@pytest.mark.parametrize("subjects", [None, 60])
def test_macro_means_against_resampled_rows(random_decisions: Make, subjects: int | None) -> None:
    """Macro recall and macro F1 cover what a loop over drawn rows gives, and not much more."""
    from sklearn.metrics import f1_score, recall_score

    decisions = random_decisions(n=400, classes=3, subjects=subjects, seed=4)
    spec = EvaluationSpec(("recall", "f1"), (), IntervalSpec(0.9, 2000))
    found = {e.metric: e for e in evaluate(decisions, spec).estimates if e.class_name is None and e.slice == TOTAL}
    generator = np.random.default_rng(9)
    members = None if subjects is None else [np.flatnonzero(decisions.subject.codes == i) for i in range(subjects)]
    replicates = []
    for _ in range(600):
        if members is None:
            rows = generator.integers(0, 400, 400)
        else:
            rows = np.concatenate([members[i] for i in generator.integers(0, subjects, subjects)])
        label, predicted = decisions.label[rows], decisions.predicted[rows]
        replicates.append(
            [recall_score(label, predicted, average="macro"), f1_score(label, predicted, average="macro")]
        )
    for i, metric in enumerate(("recall", "f1")):
        values = np.array(replicates)[:, i]
        low, high = np.quantile(values, [0.05, 0.95])
        # Monte-Carlo error of a 5 % quantile from 600 draws: about 0.085 standard deviations
        near = 0.3 * values.std()
        interval = found[metric].interval
        assert interval.low < low + near
        assert interval.high > high - near
        assert interval.high - interval.low < 1.5 * (high - low)
        assert "linearised" in interval.method


def test_macro_means_need_no_draws(random_decisions: Make) -> None:
    names = ("balanced_accuracy", "f1", "precision", "specificity", "false_positive_rate")
    for subjects in (None, 80):
        decisions = random_decisions(n=600, classes=3, subjects=subjects, levels=(2,))
        drawn, closed = (
            evaluate(decisions, EvaluationSpec(names, (), IntervalSpec(draws=draws))).estimates for draws in (200, 0)
        )
        assert drawn == closed


def test_perfect_predictions_still_have_intervals_with_width() -> None:
    label = np.arange(24, dtype=np.int32) % 3
    scores = np.eye(3)[label]
    subject = Factor("s", tuple("abcdef"), np.repeat(np.arange(6, dtype=np.int32), 4))
    group = Factor("g", ("x", "y"), (np.arange(24) // 12).astype(np.int32))
    for who in (None, subject):
        for draws in (0, 200):
            decisions = Decisions(Task("multiclass", tuple("pqr")), label, label, scores, who, (group,))
            found = evaluate(decisions, EvaluationSpec(METRICS.names, (), IntervalSpec(draws=draws)))
            for one in found.estimates:
                if isinstance(one.value, Undefined):
                    assert one.metric.startswith("calibration_"), "only a fitted line has no value here"
                    continue
                assert one.interval.low < one.interval.high, one
            for gap in found.gaps:
                if not isinstance(gap.value, Undefined):
                    assert gap.interval.low <= gap.value <= gap.interval.high


def test_one_subject_says_little() -> None:
    generator = np.random.default_rng(0)
    label = generator.integers(0, 2, 40).astype(np.int32)
    positive = generator.random(40)
    decisions = Decisions(
        Task("binary", ("n", "p"), "p"),
        label,
        (positive > 0.5).astype(np.int32),
        np.column_stack([1 - positive, positive]),
        Factor("s", ("only",), np.zeros(40, dtype=np.int32)),
        (),
    )
    for one in evaluate(decisions, EvaluationSpec(METRICS.names, (), QUICK)).estimates:
        assert one.subjects == 1
        if METRICS[one.metric].bounds == (0.0, 1.0):
            assert one.interval.high - one.interval.low > 0.6, one


def test_reliability_curves(random_decisions: Make) -> None:
    for classes in (2, 4):
        decisions = random_decisions(n=500, classes=classes)
        found = evaluate(decisions, EvaluationSpec(("ece",), (), IntervalSpec(draws=0)))
        for curve in found.reliability:
            estimate = next(e for e in found.estimates if e.slice == curve.slice)
            assert curve.count.sum() == estimate.n
            assert len(curve.edges) == len(curve.count) + 1 == 16
            held = curve.count > 0
            assert np.isnan(curve.mean_score[~held]).all()
            error = (curve.count * np.abs(curve.mean_score - curve.frequency))[held].sum() / estimate.n
            assert_allclose(error, estimate.value, atol=1e-12)
    bare = random_decisions(n=50, scores=False)
    assert evaluate(bare, EvaluationSpec(("ece",), (), QUICK)).reliability == ()


def test_gap_needs_two_levels_and_a_ratio_something_to_divide_by(random_decisions: Make) -> None:
    decisions = random_decisions(n=60, levels=(1, 2))
    found = evaluate(decisions, EvaluationSpec(("recall", "auroc"), (), QUICK))
    alone = [gap for gap in found.gaps if gap.attribute == "attribute 0"]
    assert len(alone) == 2 * (2 + 3)
    for gap in alone:
        assert gap.value.kind == "not_applicable"
        assert gap.interval is gap.best is gap.worst is gap.p_value is None
    never = replace(decisions, predicted=np.zeros(60, dtype=np.int32))
    gaps = {
        (g.metric, g.kind): g for g in evaluate(never, EvaluationSpec((), (), QUICK)).gaps if g.attribute[-1] == "1"
    }
    assert gaps["demographic_parity", "difference"].value == 0
    assert "no denominator" in gaps["demographic_parity", "ratio"].value.reason
    assert gaps["equalized_odds", "ratio"].value.kind == "not_applicable"
    bare = random_decisions(n=60, scores=False)
    undefined = next(g for g in evaluate(bare, EvaluationSpec(("auroc",), (), QUICK)).gaps if g.metric == "auroc")
    assert undefined.value == Undefined("not_applicable", "no scores")


def test_adjusted_p_values_count_each_hypothesis_once(random_decisions: Make) -> None:
    decisions = random_decisions(n=300, levels=(3,), seed=8)
    found = evaluate(decisions, EvaluationSpec(("recall",), (), QUICK)).gaps
    more = evaluate(decisions, EvaluationSpec(("recall", "false_negative_rate"), (), QUICK)).gaps
    first, again = (next(g for g in gaps if g.metric == "recall") for gaps in (found, more))
    assert first.p_adjusted == again.p_adjusted
    complement = next(g for g in more if g.metric == "false_negative_rate")
    assert_allclose(complement.p_value, first.p_value)
    assert_allclose(complement.p_adjusted, first.p_adjusted)
    assert complement.worst == first.worst


def test_what_does_not_exist_is_named_all_at_once(random_decisions: Make) -> None:
    rules = (
        Rule("a", "recal", "max_gap", 0.1, ("attribute 0",)),
        Rule("b", "recall", "max_gap", 0.1),
        Rule("c", "recall", "min_value", 0.1, ("colour",)),
        Rule("d", "equalized_odds", "min_value", 0.1, ("attribute 0",)),
    )
    spec = EvaluationSpec(("acuracy",), (("attribute 0", "shape"),), IntervalSpec(1.5, -1), Policy(rules))
    with pytest.raises(InputError) as caught:
        evaluate(random_decisions(n=20), spec)
    said = str(caught.value)
    assert len(caught.value.problems) == 8
    for text in (
        "'accuracy'",
        "'recall'",
        "'shape'",
        "'colour'",
        "max_gap compares levels",
        "itself a gap",
        "1.5",
        "-1",
    ):
        assert text in said


def test_no_rows_at_all_is_undefined_and_not_a_crash() -> None:
    nobody = np.zeros(0, dtype=np.int32)
    for classes in (2, 3):
        labels = tuple("abc"[:classes])
        task = Task("binary", labels, "b") if classes == 2 else Task("multiclass", labels)
        for subject in (None, Factor("s", ("x",), nobody)):
            decisions = Decisions(
                task, nobody, nobody, np.zeros((0, classes)), subject, (Factor("g", ("x", "y"), nobody),)
            )
            rules = Policy((Rule("r", "recall", "max_gap", 0.1, ("g",)), Rule("t", "accuracy", "min_value", 0.5)))
            found = evaluate(decisions, EvaluationSpec(METRICS.names, (("g",),), QUICK, rules))
            assert all(isinstance(one.value, Undefined) for one in found.estimates)
            assert all(isinstance(gap.value, Undefined) for gap in found.gaps)
            assert [verdict.status for verdict in found.verdicts] == ["not_evaluated", "not_evaluated"]


def test_many_classes_go_in_chunks(random_decisions: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from imgid_audit.metrics import sample

    decisions = random_decisions(n=300, classes=7, subjects=25)
    spec = EvaluationSpec(METRICS.names, (), IntervalSpec(draws=0))
    whole = evaluate(decisions, spec)
    monkeypatch.setattr(sample, "MOST", 0)
    agree(whole, evaluate(decisions, spec))


def test_equalized_odds_hold_both_gaps_at_once(random_decisions: Make) -> None:
    """Limits at a level adjusted for both families, and twice the smaller p-value."""
    from imgid_audit.evaluation.breakdowns import breakdown as divide
    from imgid_audit.metrics.rows import Rows
    from imgid_audit.metrics.sample import Sample
    from imgid_audit.stats.gaps import disparity

    decisions = random_decisions(n=500, levels=(3,), seed=2)
    spec = EvaluationSpec(("recall", "false_positive_rate"), (), IntervalSpec(draws=0))
    found = {(gap.metric, gap.kind): gap for gap in evaluate(decisions, spec).gaps}
    sample = Sample(Rows(decisions), divide(decisions, ("attribute 0",)), spec.intervals)
    for kind in ("difference", "ratio"):
        parts = []
        for name in ("recall", "false_positive_rate"):
            (measured,) = METRICS[name].measure(sample)
            # two families of three pairs: each pair at 1 - 0.05 / 6
            parts.append(disparity(measured.band, measured.defined, kind, 0.975, METRICS[name].better))
        worst = max if kind == "difference" else min
        odds, mean = found["equalized_odds", kind], found["equalized_odds_mean", kind]
        expected = [worst(getattr(part, field) for part in parts) for field in ("value", "low", "high")]
        assert_allclose([odds.value, odds.interval.low, odds.interval.high], expected)
        expected = [np.mean([getattr(part, field) for part in parts]) for field in ("value", "low", "high")]
        assert_allclose([mean.value, mean.interval.low, mean.interval.high], expected)
        p = min(found["recall", kind].p_value, found["false_positive_rate", kind].p_value)
        assert_allclose(odds.p_value, min(1, 2 * p))
        assert odds.p_value == mean.p_value


@pytest.mark.parametrize("subjects", [None, 40])
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("most", [0, 16_000_000])
def test_an_entry_with_a_count_is_that_many_rows(
    random_decisions: Make, monkeypatch: pytest.MonkeyPatch, classes: int, subjects: int | None, most: int
) -> None:
    from imgid_audit.metrics import sample

    monkeypatch.setattr(sample, "MOST", most)
    rows = random_decisions(n=900, classes=classes, subjects=subjects, scores=False)
    distinct = rows.distinct()
    assert distinct.count is not None
    assert len(distinct) < len(rows) == distinct.rows
    again = distinct.distinct()
    assert_allclose(again.label, distinct.label)
    assert_allclose(again.count, distinct.count)
    rules = Policy((Rule("r", "recall", "max_gap", 0.1, ("attribute 0",)), Rule("t", "accuracy", "min_value", 0.5)))
    names = tuple(metric.name for metric in METRICS if metric.needs == "counts")
    spec = EvaluationSpec(names, (("attribute 0", "attribute 1"),), QUICK, rules)
    whole, short = evaluate(rows, spec), evaluate(distinct, spec)
    agree(whole, short)
    assert [(e.n, e.support, e.subjects) for e in whole.estimates] == [
        (e.n, e.support, e.subjects) for e in short.estimates
    ]
    for one, two in zip(whole.estimates, short.estimates, strict=True):
        assert (one.interval is None) == (two.interval is None)
        if one.interval is not None and two.interval is not None:
            assert_allclose([one.interval.low, one.interval.high], [two.interval.low, two.interval.high], atol=1e-9)
    assert [(v.status, v.worst, v.subjects_needed) for v in whole.verdicts] == [
        (v.status, v.worst, v.subjects_needed) for v in short.verdicts
    ]
    assert (whole.confusion == short.confusion).all()


def test_rows_with_scores_stand_for_themselves(random_decisions: Make) -> None:
    rows = random_decisions(n=20)
    assert rows.distinct() is rows
    with pytest.raises(ValueError, match="no count"):
        replace(rows, count=np.ones(20, dtype=np.int64))


def test_resampling_gives_several_quantities_of_the_same_draws(random_decisions: Make) -> None:
    from imgid_audit.evaluation.breakdowns import breakdown as divide
    from imgid_audit.metrics.rows import Rows
    from imgid_audit.metrics.sample import Addends, Sample

    for decisions in (random_decisions(n=300, levels=(3,)), random_decisions(n=300, levels=(3,), subjects=20)):
        sample = Sample(Rows(decisions), divide(decisions, ("attribute 0",)), IntervalSpec(draws=40))
        cells = (Addends(sparse.csr_array(np.eye(4))),)
        both = sample.resample("f", sample.rows.profile, cells, lambda c: np.stack([c[:, 0], c.sum(axis=1)], axis=1))
        assert both.shape == (3, 40, 2)
        one = sample.resample("f", sample.rows.profile, cells, lambda c: c[:, 0])
        assert_allclose(both[..., 0], one)
        held = replace(decisions, scores=None).distinct()
        counted = Sample(Rows(held), divide(held, ("attribute 0",)), IntervalSpec(draws=40))
        again = counted.resample("f", counted.rows.profile, cells, lambda c: np.stack([c[:, 0], c.sum(axis=1)], axis=1))
        assert_allclose(again, both)
        if decisions.subject is None:
            assert_allclose(both[..., 1], np.repeat(sample.n[:, None], 40, axis=1))
